"""Children whose items are read as they come."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from agentflow import ApplicationBuilder, ApplicationContext, GraphBuilder, State, action, streaming_action
from agentflow.errors import ActionTimeoutError, AsyncCodeError, BuildError, RunError
from agentflow.parallel import RunnableGraph, SubGraphTask, astream_tasks, stream_tasks


@streaming_action(reads=["word"], writes=["word"])
def spell(state: State) -> Iterator[Any]:
    for letter in state["word"]:
        yield letter, None
    yield {}, state.update(word=state["word"].upper())


@streaming_action(reads=["word"], writes=["word"])
async def spell_async(state: State) -> AsyncIterator[Any]:
    for letter in state["word"]:
        await asyncio.sleep(0)
        yield letter, None
    yield {}, state.update(word=state["word"].upper())


@action(reads=["word"], writes=["word"])
def greet(state: State) -> tuple[dict[str, str], State]:
    return {"greeting": "hello"}, state.update(word=f"hello {state['word']}")


@action(reads=[], writes=[])
def fail(state: State) -> State:
    raise OSError("no luck")


def tasks(child: Any) -> list[SubGraphTask]:
    return [SubGraphTask(child, state=State({"word": word}), key=word) for word in ("ab", "xyz")]


def collected(colour: str, make_tasks: Any) -> list[tuple[str, str | None, Any]]:
    """Everything an action that streams its children sees."""
    seen: list[tuple[str, str | None, Any]] = []

    @action(reads=[], writes=[])
    def read(state: State) -> State:
        seen.extend(stream_tasks(make_tasks()))
        return state

    @action(reads=[], writes=[])
    async def read_async(state: State) -> State:
        async for item in astream_tasks(make_tasks()):
            seen.append(item)
        return state

    app = (
        ApplicationBuilder()
        .with_actions(read=read if colour == "blocking" else read_async)
        .with_entrypoint("read")
        .build()
    )
    app.run() if colour == "blocking" else asyncio.run(app.arun())
    return seen


@pytest.mark.parametrize("colour", ["blocking", "async"])
def test_every_item_of_every_child_comes_in_its_order(colour: str) -> None:
    seen = collected(colour, lambda: tasks(spell if colour == "blocking" else spell_async))
    name = "spell" if colour == "blocking" else "spell_async"
    for word in ("ab", "xyz"):
        own = [item for item in seen if item[0] == word]
        *letters, (_, ended, outcome) = own
        assert [(word, name, letter) for letter in word] == letters
        assert (None, word.upper()) == (ended, outcome.state["word"])


@pytest.mark.parametrize("colour", ["blocking", "async"])
def test_an_action_that_does_not_stream_gives_its_result_as_an_item(colour: str) -> None:
    graph = GraphBuilder().with_actions(greet, spell).with_transitions(("greet", "spell")).build()
    task = SubGraphTask(RunnableGraph(graph, "greet", "spell"), state=State({"word": "b"}), key="one")
    seen = collected(colour, lambda: [task])
    letters = [("one", "spell", letter) for letter in "hello b"]
    assert [("one", "greet", {"greeting": "hello"}), *letters] == seen[:-1]
    assert "HELLO B" == seen[-1][2].state["word"]


@pytest.mark.parametrize("colour", ["blocking", "async"])
def test_a_child_that_fails_ends_with_an_outcome_and_the_others_go_on(colour: str) -> None:
    seen = collected(colour, lambda: [SubGraphTask(fail, key="bad"), *tasks(greet)])
    outcomes = {key: outcome for key, name, outcome in seen if name is None}
    assert "no luck" == str(outcomes["bad"].exception)
    assert ["hello ab", "hello xyz"] == [outcomes[word].state["word"] for word in ("ab", "xyz")]


def test_one_child_can_be_cancelled_on_the_result_of_another() -> None:
    ended: list[str] = []

    @streaming_action(reads=["word"], writes=[])
    async def think(state: State) -> AsyncIterator[Any]:
        try:
            yield f"{state['word']} thinks", None
            if state["word"] == "slow":
                await asyncio.Event().wait()
        finally:
            ended.append(state["word"])
        yield {}, state

    outcomes: dict[str, Any] = {}

    @action(reads=[], writes=[])
    async def ask(state: State) -> State:
        stream = astream_tasks(
            [SubGraphTask(think, state=State({"word": word}), key=word) for word in ("quick", "slow")]
        )
        async for key, name, item in stream:
            if name is None:
                outcomes[key] = item
            if key == "quick" and name is None:
                stream.cancel("slow")
        return state

    asyncio.run(ApplicationBuilder().with_actions(ask).with_entrypoint("ask").build().arun())
    assert (True, True) == (outcomes["quick"].succeeded, outcomes["slow"].cancelled)
    assert ["quick", "slow"] == ended


def test_in_threads_a_cancelled_child_stops_at_its_next_item() -> None:
    def letters(state: State) -> Iterator[Any]:
        for number in range(1_000_000):
            yield number, None
        yield {}, state

    endless = streaming_action(reads=[], writes=[])(letters)
    seen: list[Any] = []

    @action(reads=[], writes=[])
    def ask(state: State) -> State:
        stream = stream_tasks([SubGraphTask(endless, key="endless")])
        for item in stream:
            seen.append(item)
            if len(seen) == 3:
                stream.cancel("endless")
        return state

    ApplicationBuilder().with_actions(ask).with_entrypoint("ask").build().run()
    assert seen[-1][2].cancelled
    assert len(seen) < 10


@pytest.mark.parametrize("colour", ["blocking", "async"])
def test_leaving_early_leaves_nobody_behind(colour: str) -> None:
    opened: list[str] = []
    closed: list[str] = []

    @streaming_action(reads=["word"], writes=[])
    def endless(state: State) -> Iterator[Any]:
        opened.append(state["word"])
        try:
            while True:
                yield state["word"], None
        finally:
            closed.append(state["word"])

    @action(reads=[], writes=[])
    def read(state: State) -> State:
        for _ in stream_tasks(tasks(endless)):
            break
        return state

    @action(reads=[], writes=[])
    async def read_async(state: State) -> State:
        merged = aiter(astream_tasks(tasks(endless)))
        async for _ in merged:
            break
        await merged.aclose()
        return state

    app = (
        ApplicationBuilder()
        .with_actions(read=read if colour == "blocking" else read_async)
        .with_entrypoint("read")
        .build()
    )
    app.run() if colour == "blocking" else asyncio.run(app.arun())
    assert opened
    assert sorted(opened) == sorted(closed)


def test_nobody_is_more_than_one_item_ahead_of_the_reader() -> None:
    made: list[int] = []

    @streaming_action(reads=[], writes=[])
    async def count(state: State) -> AsyncIterator[Any]:
        for number in range(20):
            made.append(number)
            yield number, None
        yield {}, state

    ahead: list[int] = []

    @action(reads=[], writes=[])
    async def read(state: State) -> State:
        async for _, name, item in astream_tasks([SubGraphTask(count)]):
            for _ in range(5):
                await asyncio.sleep(0)
            if name is not None:
                ahead.append(len(made) - item)
        return state

    asyncio.run(ApplicationBuilder().with_actions(read).with_entrypoint("read").build().arun())
    assert max(ahead) <= 3


def test_tasks_can_be_streamed_only_inside_an_action() -> None:
    with pytest.raises(RunError, match="tasks can be streamed only inside an action"):
        stream_tasks([])


def test_cancelling_an_unknown_task_names_those_there_are() -> None:
    context = ApplicationBuilder().with_actions(greet).with_entrypoint("greet").with_state(word="").build().context
    assert isinstance(context, ApplicationContext)
    with pytest.raises(BuildError, match="there is no task 'xy' to cancel. Did you mean 'xyz'"):
        stream_tasks(tasks(greet), context).cancel("xy")


@streaming_action(reads=[], writes=[])
async def drip(state: State) -> AsyncIterator[Any]:
    for number in range(8):
        await asyncio.sleep(0.02)
        yield number, None
    yield {}, state


@action(reads=[], writes=[])
async def linger(state: State) -> State:
    await asyncio.Event().wait()
    return state


@pytest.mark.parametrize("child", [linger, drip], ids=["plain", "streaming"])
def test_a_child_that_takes_longer_than_its_limit_is_torn_off(child: Any) -> None:
    seen = collected("async", lambda: [SubGraphTask(child, key="slow", timeout=0.05)])
    *items, (key, name, outcome) = seen
    assert ("slow", None, ActionTimeoutError, False) == (key, name, type(outcome.exception), outcome.cancelled)
    assert "the task 'slow' took longer than its 0.05 seconds" in str(outcome.exception)
    assert len(items) < 8


class Clock:
    """A clock that moves when it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(time, "perf_counter", lambda: self.now)


def test_in_threads_a_child_counts_as_timed_out_when_its_action_returns(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)

    @action(reads=[], writes=[])
    def slow(state: State) -> State:
        clock.now += 3
        return state

    ((_, name, outcome),) = collected("blocking", lambda: [SubGraphTask(slow, timeout=2)])
    assert (None, ActionTimeoutError) == (name, type(outcome.exception))


def test_in_threads_a_stream_is_left_at_the_first_item_that_comes_too_late(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, closed = Clock(monkeypatch), []

    @streaming_action(reads=[], writes=[])
    def count(state: State) -> Iterator[Any]:
        try:
            for number in range(8):
                clock.now += 1
                yield number, None
            yield {}, state
        finally:
            closed.append(True)

    *items, (_, name, outcome) = collected("blocking", lambda: [SubGraphTask(count, timeout=3)])
    assert [0, 1, 2] == [item for _, _, item in items]
    assert (None, ActionTimeoutError, [True]) == (name, type(outcome.exception), closed)


def test_waiting_for_the_reader_is_no_time_of_the_child(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)

    @action(reads=[], writes=[])
    async def read(state: State) -> State:
        task = SubGraphTask(spell, state=State({"word": "abc"}), timeout=1)
        async for _, _, item in astream_tasks([task]):
            for _ in range(5):  # so that the next item waits for room
                await asyncio.sleep(0)
            clock.now += 2
            seen.append(item)
        return state

    seen: list[Any] = []
    asyncio.run(ApplicationBuilder().with_actions(read).with_entrypoint("read").build().arun())
    assert "ABC" == seen[-1].state["word"]


def reading(read: Any) -> Any:
    return ApplicationBuilder().with_actions(read=action(reads=[], writes=[])(read)).with_entrypoint("read").build()


def test_an_action_that_is_no_task_is_refused() -> None:
    with pytest.raises(BuildError, match=r"<action 'greet'> is no task to stream: give SubGraphTask\(action"):
        collected("blocking", lambda: [greet])


def test_two_tasks_with_one_key_are_refused() -> None:
    with pytest.raises(BuildError, match="two tasks have the key 'ab'"):
        collected("blocking", lambda: [*tasks(greet), *tasks(greet)])


def test_an_async_stream_read_with_a_plain_for_is_refused() -> None:
    async def read(state: State) -> State:
        assert list(astream_tasks(tasks(greet)))
        return state

    with pytest.raises(AsyncCodeError, match=r"astream_tasks\(\) is read with `async for`"):
        asyncio.run(reading(read).arun())


def test_a_blocking_stream_read_with_async_for_is_refused() -> None:
    async def read(state: State) -> State:
        assert [item async for item in stream_tasks(tasks(greet))]
        return state

    with pytest.raises(RunError, match=r"stream_tasks\(\) is read with a plain `for`"):
        asyncio.run(reading(read).arun())


def test_an_async_stream_in_threads_is_refused_by_the_name_of_its_action() -> None:
    *_, (_, _, outcome) = collected("blocking", lambda: tasks(spell_async))
    assert "'spell_async' is async: use the async verb" in str(outcome.exception)
