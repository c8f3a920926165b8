"""What the options of maps, tasks and streams may be, and what is refused by name before anything runs."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from agentflow import ApplicationBuilder, State, action
from agentflow.errors import BuildError, ResultError
from agentflow.parallel import MapStates, Outcome, SubGraphTask, quorum, stream_tasks
from tests.drivers import Driver

#: Only these tests may say what no checker would let pass.
Unchecked = Any


@action(reads=["number"], writes=["result"])
def double(state: State) -> State:
    return state.update(result=state["number"] * 2)


class Doubled(MapStates):
    reads = ["numbers"]
    writes = ["results"]

    def action(self) -> Any:
        return double

    def states(self, state: State) -> Iterator[State]:
        for number in state["numbers"]:
            yield state.update(number=number)

    def reduce(self, state: State, states: Any) -> State:
        return state.update(results=[child["result"] for child in states])


def results(drive: Driver, made: Any) -> Any:
    builder = ApplicationBuilder().with_actions(work=made).with_entrypoint("work").with_state(numbers=[1, 2, 3])
    return drive.run(builder.build())[2]["results"]


async def enough_in_time(outcomes: Sequence[Outcome]) -> bool:
    return True


class Hearer:
    async def __call__(self, outcome: Outcome, count: int) -> None: ...


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"timeout": 0}, "timeout=0 is not a positive number of seconds: give one, or None"),
        ({"timeout": -1}, "timeout=-1 is not a positive number"),
        ({"timeout": "3"}, "timeout='3' is not a positive number"),
        ({"timeout": float("nan")}, "timeout=nan is not a positive number"),
        ({"max_concurrency": None}, "max_concurrency=None is no whole number: say how many"),
        ({"max_concurrency": "3"}, "max_concurrency='3' is no whole number"),
        ({"stop": "first"}, r"stop='first' cannot be called: pass a function of the outcomes, such as first"),
        ({"stop": quorum}, r"stop=quorum does not say how many have to finish: use stop=quorum\(2\)"),
        ({"progress": 3}, "progress=3 cannot be called: pass a function of the outcome"),
        ({"stop": enough_in_time}, "stop= of a map got 'enough_in_time', which is async: make it a plain def"),
        ({"stop": functools.partial(enough_in_time)}, "stop= of a map got 'enough_in_time', which is async"),
        ({"progress": Hearer()}, "progress= of a map got 'Hearer', which is async: make it a plain def"),
    ],
)
def test_an_option_that_cannot_be_used_is_refused_when_the_map_is_made(options: Unchecked, message: str) -> None:
    with pytest.raises(BuildError, match=message):
        Doubled(**options)


@pytest.mark.parametrize("limit", [0, -1, "3"])
def test_a_limit_of_a_task_that_is_none_is_refused_when_the_task_is_made(limit: Unchecked) -> None:
    with pytest.raises(BuildError, match="is not a positive number of seconds"):
        SubGraphTask(double, timeout=limit)


def test_a_stream_that_may_run_nothing_at_once_is_refused() -> None:
    @action(reads=[], writes=[])
    def read(state: State) -> State:
        assert [] == list(stream_tasks([], None, 0))
        return state

    with pytest.raises(BuildError, match="max_concurrency=0 runs nothing: give at least 1"):
        ApplicationBuilder().with_actions(read).with_entrypoint("read").build().run()


def test_a_stop_condition_is_asked_only_when_a_child_has_ended(drive: Driver) -> None:
    asked: list[int] = []

    def stop(outcomes: Sequence[Outcome]) -> bool:
        asked.append(len(outcomes))
        return bool(outcomes[-1].state and outcomes[-1].state["result"] >= 4)

    assert [2, 4] == results(drive, Doubled(stop=stop, max_concurrency=1))
    assert [1, 2] == asked


def test_a_stop_condition_true_of_nothing_does_not_end_a_map_before_its_first_child(drive: Driver) -> None:
    stop = Doubled(stop=lambda outcomes: all(outcome.succeeded for outcome in outcomes), max_concurrency=1)
    assert [2] == results(drive, stop)


@pytest.mark.parametrize("option", ["stop", "progress"])
def test_what_gives_an_awaitable_that_nobody_awaits_is_refused_by_name(drive: Driver, option: str) -> None:
    def hasty(*told: Any) -> Any:
        return enough_in_time([])

    given: Any = {option: hasty}
    with pytest.raises(ResultError, match=f"{option}= of a map, '.*hasty', gave something that has to be awaited"):
        results(drive, Doubled(**given))


def test_a_progress_function_may_start_a_task_of_its_own() -> None:
    begun: list[Any] = []

    def progress(outcome: Outcome, count: int) -> Any:
        begun.append(asyncio.ensure_future(asyncio.sleep(0, outcome.key)))
        return begun[-1]

    async def keys() -> list[str]:
        builder = ApplicationBuilder().with_actions(work=Doubled(progress=progress)).with_entrypoint("work")
        await builder.with_state(numbers=[1, 2]).build().arun()
        return list(await asyncio.gather(*begun))

    assert ["0-0", "0-1"] == asyncio.run(keys())
