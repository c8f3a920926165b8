"""What a map gives its children and its reduce, and how users may write it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from agentflow import ApplicationBuilder, ApplicationContext, State, action
from agentflow.errors import BuildError, MissingKeyError, ResultError, UndeclaredKeyError
from agentflow.parallel import (
    MapActions,
    MapActionsAndStates,
    MapStates,
    SubGraphTask,
    TaskBasedParallelAction,
    bind_from_state,
    map_reduce_action,
)
from tests.drivers import Driver


@action(reads=["number"], writes=["result"])
def double(state: State) -> State:
    return state.update(result=state["number"] * 2)


@action(reads=["number"], writes=["result"])
def add(state: State, amount: int) -> State:
    return state.update(result=state["number"] + amount)


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


def application(made: Any, **state: Any) -> Any:
    return ApplicationBuilder().with_actions(work=made).with_entrypoint("work").with_state(**state).build()


def results(drive: Driver, made: Any, **state: Any) -> Any:
    return drive.run(application(made, **state))[2]["results"]


def test_results_come_in_the_order_of_the_tasks(drive: Driver) -> None:
    assert [2 * number for number in range(50)] == results(drive, Doubled(), numbers=list(range(50)))


def test_a_map_over_nothing_reduces_nothing(drive: Driver) -> None:
    assert [] == results(drive, Doubled(), numbers=[])


def test_every_generator_may_be_async_in_an_async_run() -> None:
    class AsyncDoubled(Doubled):
        async def states(self, state: State, inputs: Any, context: ApplicationContext) -> AsyncIterator[State]:
            for number in state["numbers"]:
                yield state.update(number=number)

        async def reduce(self, states: Any, state: State) -> State:
            return state.update(results=[child["result"] async for child in states])

    app = application(AsyncDoubled(), numbers=[1, 2])
    assert [2, 4] == asyncio.run(app.arun())[2]["results"]


def test_the_long_forms_get_what_they_declare(drive: Driver) -> None:
    seen: dict[str, Any] = {}

    class Long(MapActionsAndStates):
        reads = ["numbers"]
        writes = ["results"]

        @property
        def inputs(self) -> list[str]:
            return ["amount", "__context"]

        def actions(self, state: State, context: ApplicationContext, inputs: Any) -> Iterator[Any]:
            seen["actions"] = (context.action_name, dict(inputs))
            yield add.bind(amount=inputs["amount"]).with_name("more")
            yield double

        def states(self, state: State, context: ApplicationContext, inputs: Any) -> Iterator[State]:
            for number in state["numbers"]:
                yield state.update(number=number)

        def reduce(self, state: State, states: Any) -> State:
            return state.update(results=[child["result"] for child in states])

    _, _, state = drive.run(application(Long(), numbers=[1, 2]), inputs={"amount": 10})
    assert [11, 12, 2, 4] == state["results"]
    assert ("work", {"amount": 10}) == seen["actions"]


def test_inputs_of_an_action_and_of_a_state_are_joined(drive: Driver) -> None:
    class Both(MapActionsAndStates):
        reads: Any = []
        writes = ["results"]

        def actions(self) -> Iterator[Any]:
            yield add, {"amount": 1}
            yield add.with_name("again"), {}

        def states(self, state: State) -> Iterator[Any]:
            yield state.update(number=1), {"amount": 5}

        def reduce(self, state: State, states: Any) -> State:
            return state.update(results=[child["result"] for child in states])

    assert [6, 6] == results(drive, Both())


def test_map_actions_starts_from_the_parents_state_unless_told_otherwise(drive: Driver) -> None:
    class Ways(MapActions):
        reads = ["number"]
        writes = ["results"]

        def actions(self) -> list[Any]:
            return [double, add.bind(amount=1)]

        def reduce(self, state: State, states: Any) -> State:
            return state.update(results=[child["result"] for child in states])

    assert [10, 6] == results(drive, Ways(), number=5)


def test_a_child_sees_only_what_the_map_declares_to_read(drive: Driver) -> None:
    class Careless(Doubled):
        def action(self) -> Any:
            return double

        def states(self, state: State) -> Iterator[State]:
            yield state.update(other=1)

    with pytest.raises(MissingKeyError, match="action 'double' reads 'number', which has no value"):
        drive.run(application(Careless(), numbers=[], number=3))


def test_a_map_that_reads_what_it_did_not_declare_is_refused(drive: Driver) -> None:
    class Curious(Doubled):
        def states(self, state: State) -> Iterator[State]:
            yield state.update(number=state["secret"])

    with pytest.raises(UndeclaredKeyError, match="action 'work' reads 'secret' without declaring it"):
        drive.run(application(Curious(), numbers=[], secret=1))


def test_reduce_writes_only_what_is_declared(drive: Driver) -> None:
    class Greedy(Doubled):
        def reduce(self, state: State, states: Any) -> State:
            return state.update(results=[], more=1)

    with pytest.raises(UndeclaredKeyError, match="action 'work' writes 'more'"):
        drive.run(application(Greedy(), numbers=[]))


def test_the_declared_writes_are_taken_from_a_childs_state(drive: Driver) -> None:
    class LastChild(Doubled):
        def reduce(self, states: Any) -> State:
            *_, last = states
            return last.update(results=last["result"])

    _, _, state = drive.run(application(LastChild(), numbers=[1, 2]))
    assert {"numbers": [1, 2], "results": 4} == dict(state)


def test_map_reduce_action_makes_a_map_of_functions(drive: Driver) -> None:
    made = map_reduce_action(
        [double, add],
        lambda state: (state.update(number=number) for number in state["numbers"]),
        lambda state, states: state.update(results=[child["result"] for child in states]),
        reads=["numbers"],
        writes=["results"],
        inputs=["amount"],
    )
    app = application(made, numbers=[1, 2])
    with pytest.raises(Exception, match="no action takes an input 'amount'|needs"):
        drive.run(application(map_reduce_action(add, None, lambda state, states: state, ["numbers"], []), numbers=[1]))
    with pytest.raises(Exception, match="'amount'"):  # `double` takes no such input
        drive.run(app, inputs={"amount": 3})


def test_map_reduce_action_passes_inputs_on(drive: Driver) -> None:
    made = map_reduce_action(
        add,
        lambda state: [state.update(number=number) for number in state["numbers"]],
        lambda state, states: state.update(results=[child["result"] for child in states]),
        reads=["numbers"],
        writes=["results"],
        inputs=["amount"],
    )
    _, _, state = drive.run(application(made, numbers=[1, 2]), inputs={"amount": 3})
    assert [4, 5] == state["results"]


def test_inputs_can_be_bound_from_each_childs_state(drive: Driver) -> None:
    class Bound(Doubled):
        def action(self) -> Any:
            return bind_from_state(add, amount="by")

        def states(self, state: State) -> Iterator[State]:
            for number in state["numbers"]:
                yield state.update(number=number, by=100)

    assert [101, 102] == results(drive, Bound(), numbers=[1, 2])


def test_binding_an_unknown_input_from_the_state_is_named() -> None:
    with pytest.raises(
        BuildError, match=r"bind_from_state\(\) on 'add': no input is named 'amuont'. Did you mean 'amount'"
    ):
        bind_from_state(add, amuont="by")


def test_what_a_map_lacks_is_said_at_build() -> None:
    class Lacking(MapStates):
        reads: Any = []
        writes: Any = []

    with pytest.raises(BuildError) as caught:
        application(Lacking())
    assert [
        "parallel action 'work' defines no action(): write it.",
        "parallel action 'work' defines no states(): write it.",
        "parallel action 'work' defines no reduce(): write it.",
    ] == [str(problem) for problem in caught.value.problems]


def test_a_task_that_is_none_is_named(drive: Driver) -> None:
    class Wrong(TaskBasedParallelAction):
        reads: Any = []
        writes: Any = []

        def tasks(self) -> Iterator[Any]:
            yield "no task"

        def reduce(self, state: State) -> State:
            return state

    with pytest.raises(ResultError, match=r"tasks\(\) of 'work' yielded a str: yield a SubGraphTask"):
        drive.run(application(Wrong()))


def test_two_tasks_with_one_key_are_named(drive: Driver) -> None:
    class Twice(TaskBasedParallelAction):
        reads: Any = []
        writes: Any = []

        def tasks(self) -> Iterator[Any]:
            yield SubGraphTask(double, state=State({"number": 1}), key="same")
            yield SubGraphTask(double, state=State({"number": 1}), key="same")

        def reduce(self, state: State) -> State:
            return state

    with pytest.raises(BuildError, match="two tasks have the key 'same'"):
        drive.run(application(Twice()))


def test_a_task_needs_something_to_run_and_a_state() -> None:
    with pytest.raises(BuildError, match="SubGraphTask.* has nothing to run"):
        SubGraphTask()


def test_a_subclass_may_forget_to_call_the_base_initializer(drive: Driver) -> None:
    class Own(Doubled):
        def __init__(self, factor: int) -> None:
            self.factor = factor

    assert [2] == results(drive, Own(3), numbers=[1])


def test_a_child_nobody_saves_or_hears_of_still_knows_who_it_is(drive: Driver) -> None:
    told: list[tuple[str, Any, Any]] = []

    @action(reads=["number"], writes=["result"])
    def tell(state: State, __context: ApplicationContext) -> State:
        parent = __context._identity.spawning_parent_pointer
        told.append((__context.app_id, __context.sequence_id, parent and parent.app_id))
        return state.update(result=state["number"])

    class Told(Doubled):
        def action(self) -> Any:
            return tell

        def reduce(self, state: State, states: Any, outcomes: Any) -> State:
            assert {(outcome.app_id, 0, "parent") for outcome in outcomes} == set(told)
            return state.update(results=[each["result"] for each in states])

    made = ApplicationBuilder().with_actions(work=Told()).with_entrypoint("work").with_state(numbers=[1, 2])
    drive.run(drive.build(made.with_identifiers(app_id="parent")))
    assert 2 == len({app_id for app_id, *_ in told})
