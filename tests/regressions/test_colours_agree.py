"""Where other engines' two halves have drifted apart, ours are held to be one: seven defects, each a test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from agentflow import Application, ApplicationBuilder, ApplicationContext, State, Status, action, streaming_action
from tests.drivers import Driver


class Everything:
    """Hears every moment, and remembers its name and what matters of it."""

    def __init__(self, name: str = "") -> None:
        self.name = name
        self.heard: list[tuple[Any, ...]] = []

    def pre_run_execute_call(self, *, method: Any, **rest: Any) -> None:
        self.heard.append((f"{self.name}pre_run_execute_call", method.value.removeprefix("a")))

    def post_run_execute_call(self, *, method: Any, exception: Any, **rest: Any) -> None:
        self.heard.append(
            (f"{self.name}post_run_execute_call", method.value.removeprefix("a"), type(exception).__name__)
        )

    def pre_run_step(self, *, action: Any, inputs: Any, sequence_id: int, **rest: Any) -> None:
        self.heard.append((f"{self.name}pre_run_step", action.name, dict(inputs), sequence_id))

    def post_run_step(self, *, action: Any, exception: Any, **rest: Any) -> None:
        self.heard.append((f"{self.name}post_run_step", action.name, type(exception).__name__))

    def pre_start_stream(self, *, action: str, **rest: Any) -> None:
        self.heard.append((f"{self.name}pre_start_stream", action))

    def post_stream_item(self, *, item: Any, item_index: int, **rest: Any) -> None:
        self.heard.append((f"{self.name}post_stream_item", item, item_index))

    def post_end_stream(self, *, action: str, **rest: Any) -> None:
        self.heard.append((f"{self.name}post_end_stream", action))


@action(reads=[], writes=["said"])
def listen(state: State, said: str, loud: bool = False) -> State:
    return state.update(said=said)


@streaming_action(reads=["said"], writes=["said"])
def echo(state: State) -> Iterator[Any]:
    for letter in state["said"]:
        yield letter, None
    yield {}, state


@action(reads=[], writes=[])
def fail(state: State) -> State:
    raise OSError("no luck")


def chat(*hooks: Any, last: Any = echo) -> Application:
    return (
        ApplicationBuilder()
        .with_actions(listen=listen, last=last)
        .with_transitions(("listen", "last"))
        .with_entrypoint("listen")
        .with_hooks(*hooks)
        .build()
    )


def test_a_hook_sees_the_same_inputs_in_both_colours(drive: Driver) -> None:
    hook = Everything()
    drive.run(chat(hook), halt_after=["listen"], inputs={"said": "hi"})
    assert ("pre_run_step", "listen", {"said": "hi"}, 0) in hook.heard


def test_a_stream_tells_its_hooks_the_same_in_both_colours(drive: Driver) -> None:
    hook = Everything()
    app = chat(hook)
    _, items, _, _ = drive.stream_result(app, halt_after="last", inputs={"said": "ab"})
    assert ["a", "b"] == items
    assert [
        ("pre_run_execute_call", "stream_result"),
        ("pre_run_step", "listen", {"said": "ab"}, 0),
        ("post_run_step", "listen", "NoneType"),
        ("pre_run_step", "last", {}, 1),
        ("pre_start_stream", "last"),
        ("post_stream_item", "a", 0),
        ("post_stream_item", "b", 1),
        ("post_end_stream", "last"),
        ("post_run_step", "last", "NoneType"),
        ("post_run_execute_call", "stream_result", "NoneType"),
    ] == hook.heard
    assert (Status.halted, "halt_after 'last'") == (app.status, app.halted_by)


def test_hooks_before_run_in_order_and_hooks_after_in_reverse(drive: Driver) -> None:
    heard: list[tuple[Any, ...]] = []
    first, second = Everything("first "), Everything("second ")
    first.heard = second.heard = heard
    drive.step(chat(first, second), inputs={"said": "hi"})
    assert ["first pre", "second pre", "second post", "first post"] == [
        told[0].split("_")[0] for told in heard if "run_step" in told[0]
    ]


def test_around_iterate_the_hooks_fire_when_it_begins_and_when_it_ends() -> None:
    hook = Everything()
    iterator = chat(hook).iterate(inputs={"said": "a"})
    assert [] == hook.heard
    next(iterator)
    assert ("pre_run_execute_call", "iterate") == hook.heard[0]
    assert ("post_run_execute_call", "iterate", "NoneType") not in hook.heard
    list(iterator)
    assert ("post_run_execute_call", "iterate", "NoneType") == hook.heard[-1]


def test_an_iteration_that_is_left_early_has_ended_for_its_hooks() -> None:
    hook = Everything()
    iterator = chat(hook).iterate(inputs={"said": "a"})
    next(iterator)
    iterator.close()
    assert ("post_run_execute_call", "iterate", "NoneType") == hook.heard[-1]


def test_the_hook_after_a_run_sees_what_ended_it(drive: Driver) -> None:
    hook = Everything()
    app = chat(hook, last=fail)
    with pytest.raises(OSError, match="no luck"):
        drive.run(app, inputs={"said": "a"})
    assert [("post_run_step", "last", "OSError"), ("post_run_execute_call", "run", "OSError")] == hook.heard[-2:]


def test_a_child_run_leaves_the_parents_context_alone(drive: Driver) -> None:
    seen: list[Any] = []

    @action(reads=[], writes=[])
    def parent(state: State, context: ApplicationContext) -> State:
        chat().run(inputs={"said": "child"})
        seen.extend([context, ApplicationContext.get()])
        return state

    app = ApplicationBuilder().with_actions(parent).with_entrypoint("parent").build()
    drive.run(app)
    assert seen[0] is seen[1]
    assert app.app_id == seen[0].app_id
    assert ApplicationContext.get() is None


def test_a_cancelled_step_is_never_recorded_as_completed() -> None:
    hook = Everything()

    @action(reads=[], writes=[])
    async def charge(state: State) -> State:
        await asyncio.Event().wait()
        return state

    app = chat(hook, last=charge)

    async def main() -> None:
        task = asyncio.create_task(app.arun(inputs={"said": "a"}))
        while ("pre_run_step", "last", {}, 1) not in hook.heard:
            await asyncio.sleep(0)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(main())
    assert (Status.cancelled, 0) == (app.status, app.sequence_id)
    assert ("post_run_step", "last", "CancelledError") in hook.heard
    assert "last" == asyncio.run(app.aget_next_action()).name


def test_a_step_is_counted_once_however_it_is_streamed(drive: Driver) -> None:
    @streaming_action(reads=["said"], writes=["said"])
    async def echo_async(state: State) -> AsyncIterator[Any]:
        yield "x", None
        yield {}, state

    app = chat(last=echo if drive.colour == "blocking" else echo_async)
    assert [("listen", []), ("last", ["h", "i"] if drive.colour == "blocking" else ["x"])] == drive.stream_iterate(
        app, inputs={"said": "hi"}
    )
    assert 1 == app.sequence_id
