"""Children of a typed parent: its keys are validated there too, others are free."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pydantic
import pytest

from agentflow import ApplicationBuilder, PydanticTypingSystem, State, action
from agentflow.errors import InvalidValueError
from agentflow.parallel import MapStates, SubGraphTask, TaskBasedParallelAction
from tests.drivers import Driver


class Numbers(pydantic.BaseModel):
    numbers: list[int] = []
    total: int = 0


@action(reads=["number"], writes=["total"])
def wrong(state: State) -> State:
    return state.update(total="many")


@action(reads=["number"], writes=["square"])
def square(state: State) -> State:
    return state.update(square=state["number"] ** 2)


class Squares(MapStates):
    reads = ["numbers"]
    writes = ["total"]
    child: Any = square

    def action(self) -> Any:
        return type(self).child

    def states(self, state: State) -> Iterator[State]:
        for number in state["numbers"]:
            yield state.update(number=number)

    def reduce(self, state: State, states: Any) -> State:
        return state.update(total=sum(child["square"] for child in states))


class WrongTotals(Squares):
    child = wrong


def application(made: Any) -> Any:
    return (
        ApplicationBuilder()
        .with_actions(work=made)
        .with_entrypoint("work")
        .with_typing(PydanticTypingSystem(Numbers))
        .with_state(numbers=[1, 2, 3])
        .build()
    )


def test_a_child_may_hold_keys_that_the_parents_type_has_not(drive: Driver) -> None:
    _, _, state = drive.run(application(Squares()))
    assert Numbers(numbers=[1, 2, 3], total=14) == state.data


def test_a_child_cannot_write_a_wrong_value_to_the_parents_key(drive: Driver) -> None:
    with pytest.raises(InvalidValueError, match="state.'total'. of Numbers refuses a value of type str"):
        drive.run(application(WrongTotals()))


def test_a_task_may_refuse_the_parents_typing(drive: Driver) -> None:
    class Refusing(TaskBasedParallelAction):
        reads = ["numbers"]
        writes = ["total"]

        def tasks(self, state: State) -> Iterator[SubGraphTask]:
            yield SubGraphTask(wrong, state=state.update(number=1), typing=None)

        def reduce(self, state: State, states: Any) -> State:
            return state.update(total=[child["total"] for child in states].count("many"))

    assert 1 == drive.run(application(Refusing()))[2]["total"]
