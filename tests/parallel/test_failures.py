"""Children that fail, hang, are cancelled: nobody is left behind, nothing finished is lost or done twice."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from agentflow import ApplicationBuilder, State, Status, action
from agentflow.errors import ActionTimeoutError, BuildError
from agentflow.parallel import MapStates, Outcome, first, quorum
from tests.drivers import Driver

SIZES = [1, 2, 7, 16, 64]


class World:
    """What the children do to the world, and which of them fail."""

    def __init__(self) -> None:
        self.started: Counter[Any] = Counter()
        self.finished: Counter[Any] = Counter()
        self.failing: set[Any] = set()
        self.lock = threading.Lock()

    def begin(self, who: Any) -> None:
        with self.lock:
            self.started[who] += 1
        if who in self.failing:
            raise OSError(f"child {who} failed")

    def end(self, who: Any) -> None:
        with self.lock:
            self.finished[who] += 1


def work_in(world: World, colour: str) -> Any:
    """A child's action: it begins, lets others run, and ends."""

    @action(reads=["who"], writes=["answer"])
    def work(state: State) -> State:
        world.begin(state["who"])
        world.end(state["who"])
        return state.update(answer=f"{state['who']} done")

    @action(reads=["who"], writes=["answer"])
    async def work_async(state: State) -> State:
        world.begin(state["who"])
        await asyncio.sleep(0)
        world.end(state["who"])
        return state.update(answer=f"{state['who']} done")

    return (work if colour == "blocking" else work_async).with_name("work")


def fan_out(child: Any, **options: Any) -> MapStates:
    class FanOut(MapStates):
        reads = ["count"]
        writes = ["answers"]

        def action(self) -> Any:
            return child

        def states(self, state: State) -> Iterator[State]:
            for who in range(state["count"]):
                yield state.update(who=who)

        def reduce(self, state: State, states: Any) -> State:
            return state.update(
                answers=[
                    (each.key, each.state["answer"] if each.succeeded else type(each.exception).__name__)
                    if isinstance(each, Outcome)
                    else each["answer"]
                    for each in states
                ]
            )

    return FanOut(**options)


def application(made: Any, count: int) -> Any:
    return ApplicationBuilder().with_actions(work=made).with_entrypoint("work").with_state(count=count).build()


@pytest.mark.parametrize("count", SIZES)
@pytest.mark.parametrize("share", ["one", "half", "all"])
@pytest.mark.parametrize("timeout", [None, 60.0])  # with one, children are run as whole applications
def test_a_retry_runs_only_what_had_not_finished(drive: Driver, count: int, share: str, timeout: float | None) -> None:
    world = World()
    world.failing = set(range(count)[:: {"one": count, "half": 2, "all": 1}[share]])
    app = application(fan_out(work_in(world, drive.colour), max_concurrency=4, timeout=timeout), count)
    with pytest.raises(OSError, match="child .* failed"):
        drive.run(app)
    done_before = set(world.finished)
    assert world.started.keys() - world.failing == done_before, (
        "whoever began without failing has ended: nobody is left"
    )
    assert (Status.failed, None) == (app.status, app.sequence_id)

    world.failing = set()
    _, _, state = drive.run(app)
    assert [f"{who} done" for who in range(count)] == state["answers"]
    assert dict.fromkeys(range(count), 1) == dict(world.finished), "what had finished was not run again"


@pytest.mark.parametrize("count", [4, 64])
def test_nested_twice_a_retry_runs_only_what_had_not_finished(drive: Driver, count: int) -> None:
    world = World()
    inner = work_in(world, drive.colour)

    class Inner(MapStates):
        reads = ["row", "count"]
        writes = ["answers"]

        def action(self) -> Any:
            return inner

        def states(self, state: State) -> Iterator[State]:
            for who in range(state["count"]):
                yield state.update(who=(state["row"], who))

        def reduce(self, state: State, states: Any) -> State:
            return state.update(answers=[child["answer"] for child in states])

    class Outer(MapStates):
        reads = ["count"]
        writes = ["answers"]

        def action(self) -> Any:
            return Inner(max_concurrency=3).with_name("inner")

        def states(self, state: State) -> Iterator[State]:
            for row in range(3):
                yield state.update(row=row)

        def reduce(self, state: State, states: Any) -> State:
            return state.update(answers=[answer for child in states for answer in child["answers"]])

    world.failing = {(1, 2)}
    app = application(Outer(), count)
    with pytest.raises(OSError, match=r"child \(1, 2\) failed"):
        drive.run(app)
    world.failing = set()
    _, _, state = drive.run(app)
    everyone = [(row, who) for row in range(3) for who in range(count)]
    assert [f"{who} done" for who in everyone] == state["answers"]
    assert dict.fromkeys(everyone, 1) == dict(world.finished)


def test_a_map_in_a_loop_runs_every_child_of_every_round(drive: Driver) -> None:
    ids: list[str] = []

    @action(reads=["who"], writes=["answer"])
    def child(state: State, __context: Any) -> State:
        ids.append(__context.app_id)
        return state.update(answer=state["who"])

    class Round(MapStates):
        reads = ["rounds"]
        writes = ["rounds"]

        def action(self) -> Any:
            return child

        def states(self, state: State) -> Iterator[State]:
            for who in range(8):
                yield state.update(who=who)

        def reduce(self, state: State, states: Any) -> State:
            return state.update(rounds=[*state["rounds"], sum(child["answer"] for child in states)])

    app = (
        ApplicationBuilder()
        .with_actions(round=Round())
        .with_transitions(("round", "round"))
        .with_entrypoint("round")
        .with_state(rounds=[])
        .with_identifiers(app_id="parent")
        .build()
    )
    _, _, state = drive.run(app, halt_when=lambda state: len(state["rounds"]) == 3)
    assert [28, 28, 28] == state["rounds"]
    assert (24, 24) == (len(ids), len(set(ids)))


def test_collect_gives_reduce_every_outcome(drive: Driver) -> None:
    world = World()
    world.failing = {1}
    app = application(fan_out(work_in(world, drive.colour), on_error="collect"), 3)
    assert [("0-0", "0 done"), ("0-1", "OSError"), ("0-2", "2 done")] == drive.run(app)[2]["answers"]


def test_drop_gives_reduce_what_finished(drive: Driver) -> None:
    world = World()
    world.failing = {1}
    app = application(fan_out(work_in(world, drive.colour), on_error="drop"), 3)
    assert ["0 done", "2 done"] == drive.run(app)[2]["answers"]


@pytest.mark.parametrize("stop", [first, quorum(2)], ids=["first", "quorum of 2"])
def test_enough_answers_cancel_the_rest(drive: Driver, stop: Any) -> None:
    world = World()
    made = fan_out(work_in(world, drive.colour), stop=stop, max_concurrency=1)
    wanted = 1 if stop is first else 2
    assert [f"{who} done" for who in range(wanted)] == drive.run(application(made, 9))[2]["answers"]
    assert wanted == sum(world.started.values())


def test_a_failure_is_not_an_answer_to_a_race(drive: Driver) -> None:
    world = World()
    world.failing = {0}
    made = fan_out(work_in(world, drive.colour), stop=first, on_error="drop", max_concurrency=1)
    assert ["1 done"] == drive.run(application(made, 5))[2]["answers"]


def test_the_losers_of_an_async_race_are_cancelled_and_awaited() -> None:
    ended: list[str] = []

    @action(reads=["who"], writes=["answer"])
    async def race(state: State) -> State:
        try:
            await asyncio.sleep(0)  # so that all have begun
            if state["who"] != 2:
                await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0)  # somebody who cleans up is waited for
            ended.append(f"{state['who']} cancelled")
            raise
        return state.update(answer=f"{state['who']} won")

    app = application(fan_out(race, stop=first), 4)
    assert ["2 won"] == asyncio.run(app.arun())[2]["answers"]
    assert ["0 cancelled", "1 cancelled", "3 cancelled"] == sorted(ended)


def test_cancelling_the_parent_cancels_and_awaits_every_child() -> None:
    ended: list[int] = []

    @action(reads=["who"], writes=["answer"])
    async def wait(state: State) -> State:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(state["who"])
        return state

    app = application(fan_out(wait), 5)

    async def main() -> None:
        task = asyncio.create_task(app.arun())
        while app.status is not Status.running:
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(main())
    assert ([0, 1, 2, 3, 4], Status.cancelled, None) == (sorted(ended), app.status, app.sequence_id)


def test_a_child_that_takes_too_long_is_cancelled_in_tasks() -> None:
    @action(reads=["who"], writes=["answer"])
    async def slow(state: State) -> State:
        if state["who"] == 1:
            await asyncio.Event().wait()
        return state.update(answer=f"{state['who']} done")

    app = application(fan_out(slow, timeout=0.02, on_error="collect"), 3)
    assert [("0-0", "0 done"), ("0-1", "ActionTimeoutError"), ("0-2", "2 done")] == asyncio.run(app.arun())[2][
        "answers"
    ]


def test_a_child_in_a_thread_that_took_too_long_counts_as_timed_out() -> None:
    gate = threading.Event()

    @action(reads=["who"], writes=["answer"])
    def slow(state: State) -> State:
        gate.wait(0.03 if state["who"] == 1 else 0)
        return state.update(answer=f"{state['who']} done")

    app = application(fan_out(slow, timeout=0.02), 2)
    with pytest.raises(ActionTimeoutError, match="the task '0-1' took longer than its 0.02 seconds"):
        app.run()


def test_progress_is_told_of_every_outcome(drive: Driver) -> None:
    world = World()
    told: list[tuple[str, int]] = []
    made = fan_out(
        work_in(world, drive.colour),
        max_concurrency=1,
        progress=lambda outcome, total: told.append((outcome.key, total)),
    )
    drive.run(application(made, 3))
    assert [("0-0", 3), ("0-1", 3), ("0-2", 3)] == told


def test_no_more_run_at_once_than_allowed(drive: Driver) -> None:
    running, most = set(), []
    lock = threading.Lock()

    def enter(who: int) -> None:
        with lock:
            running.add(who)
            most.append(len(running))

    @action(reads=["who"], writes=["answer"])
    def count(state: State) -> State:
        enter(state["who"])
        running.discard(state["who"])
        return state.update(answer="")

    @action(reads=["who"], writes=["answer"])
    async def count_async(state: State) -> State:
        enter(state["who"])
        await asyncio.sleep(0)
        running.discard(state["who"])
        return state.update(answer="")

    child = (count if drive.colour == "blocking" else count_async).with_name("work")
    drive.run(application(fan_out(child, max_concurrency=3), 30))
    assert max(most) <= 3
    assert 30 == len(most)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"on_error": "ignore"}, "on_error='ignore' is unknown: use 'raise', 'collect' or 'drop'"),
        ({"max_concurrency": 0}, "max_concurrency=0 runs nothing: give at least 1"),
    ],
)
def test_wrong_options_are_said_at_once(options: dict[str, Any], message: str) -> None:
    with pytest.raises(BuildError, match=message):
        fan_out(None, **options)
    with pytest.raises(BuildError, match="quorum"):
        quorum(0)


@pytest.mark.parametrize("listener", ["progress", "stop"])
def test_a_listener_that_raises_ends_the_map_with_its_own_error(drive: Driver, listener: str) -> None:
    class Unheard(Exception):
        pass

    def raising(*told: Any) -> bool:
        heard.append(told)
        raise Unheard("nobody listens")

    heard: list[Any] = []
    app = application(fan_out(work_in(World(), drive.colour), max_concurrency=4, **{listener: raising}), 16)
    with pytest.raises(Unheard, match="nobody listens"):
        drive.run(app)
    assert (Status.failed, 1) == (app.status, len(heard)), "it is not told of those that are cancelled because of it"


@pytest.mark.parametrize("how", ["stop", "progress", "error"])
def test_one_at_a_time_nothing_starts_after_the_matter_is_decided(drive: Driver, how: str) -> None:
    def raising(*told: Any) -> None:
        raise OSError("nobody listens")

    world = World()
    world.failing = {0} if how == "error" else set()
    options: dict[str, Any] = {"stop": {"stop": first}, "progress": {"progress": raising}, "error": {}}[how]
    app = application(fan_out(work_in(world, drive.colour), max_concurrency=1, **options), 16)
    with contextlib.suppress(OSError):
        drive.run(app)
    assert {0: 1} == dict(world.started)
