"""Every way to give a map its states, actions and tasks, and what is said of what is none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from agentflow import ApplicationBuilder, State, action
from agentflow.errors import AsyncCodeError, BuildError, ResultError
from agentflow.parallel import MapStates, SubGraphTask, TaskBasedParallelAction, map_reduce_action
from tests.drivers import Driver


@action(reads=["number"], writes=["result"])
def double(state: State, by: int = 2) -> State:
    return state.update(result=state["number"] * by)


def collect(state: State, states: Any) -> State:
    return state.update(results=[child["result"] for child in states])


def results(drive: Driver, made: Any, **options: Any) -> Any:
    builder = ApplicationBuilder().with_actions(work=made).with_entrypoint("work").with_state(results=[])
    return drive.run(builder.build(), **options)[2]["results"]


def mapped(states: Callable[..., Any], **more: Any) -> Any:
    """A map over what that function gives."""
    body = {"reads": [], "writes": ["results"], "action": lambda self: double, "states": states, "reduce": None}
    body["reduce"] = lambda self, state, states: collect(state, states)
    return type("Mapped", (MapStates,), {**body, **more})()


def generator(self: Any, state: State) -> Iterator[State]:
    yield state.update(number=1)
    yield state.update(number=2)


async def async_generator(self: Any, state: State) -> AsyncIterator[State]:
    yield state.update(number=1)
    yield state.update(number=2)


async def coroutine(self: Any, state: State) -> list[State]:
    return list(generator(self, state))


def listed(self: Any, state: State) -> list[State]:
    return list(generator(self, state))


@pytest.mark.parametrize("states", [generator, async_generator, coroutine, listed])
def test_states_may_be_given_in_every_way_in_both_colours(drive: Driver, states: Any) -> None:
    assert [2, 4] == results(drive, mapped(states))


def test_the_states_of_functions_may_be_too_with_inputs_passed_on(drive: Driver) -> None:
    async def states(state: State) -> AsyncIterator[State]:
        yield state.update(number=1)

    made = map_reduce_action(double, states, collect, reads=[], writes=["results"], inputs=["by"])
    assert [5] == results(drive, made, inputs={"by": 5})


def test_tasks_may_be_given_by_an_async_generator_in_both_colours(drive: Driver) -> None:
    class Tasks(TaskBasedParallelAction):
        reads: Any = []
        writes: Any = ["results"]

        async def tasks(self, state: State) -> AsyncIterator[SubGraphTask]:
            yield SubGraphTask(double, state=state.update(number=3))

        def reduce(self, state: State, states: Any) -> State:
            return collect(state, states)

    assert [6] == results(drive, Tasks())


@pytest.mark.parametrize("seconds", [0, 0.001])
def test_one_that_waits_on_an_event_loop_is_refused_by_name_in_a_blocking_run(seconds: float) -> None:
    async def waiting(self: Any, state: State) -> AsyncIterator[State]:
        await asyncio.sleep(seconds)
        yield state.update(number=1)

    app = ApplicationBuilder().with_actions(work=mapped(waiting)).with_entrypoint("work").build()
    with pytest.raises(AsyncCodeError, match=r"states\(\) of 'work' waits on an event loop: use the async verb"):
        app.run()
    assert [2] == asyncio.run(app.arun())[2]["results"]


@pytest.mark.parametrize(
    ("states", "kind"),
    [
        (lambda self, state: None, "NoneType"),
        (lambda self, state: state.update(number=1), "State"),  # a forgotten yield
    ],
)
def test_states_that_are_not_several_are_refused_by_name(drive: Driver, states: Any, kind: str) -> None:
    with pytest.raises(ResultError, match=rf"states\(\) of 'work' gave a {kind}: yield one after the other, or return"):
        results(drive, mapped(states))


@pytest.mark.parametrize("name", ["action", "tracker"])
def test_what_gives_one_thing_may_not_be_async(name: str) -> None:
    async def waiting(self: Any) -> Any:
        return double

    made: Any = mapped(generator, **{name: waiting})
    with pytest.raises(BuildError, match=rf"{name}\(\) of parallel action 'work' is async: make it a plain def"):
        ApplicationBuilder().with_actions(work=made).with_entrypoint("work").build()
