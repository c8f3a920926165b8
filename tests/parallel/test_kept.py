"""What a retried step keeps of its children: only what it asks for again."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from agentflow import Action, ApplicationBuilder, GraphBuilder, State, action, expr
from agentflow.parallel import RunnableGraph, SubGraphTask, TaskBasedParallelAction, bind_from_state
from tests.drivers import Driver

#: Who has run, by what it was told.
RUNS: Counter[str] = Counter()


@action(reads=[], writes=["by"])
def first_way(state: State, to: str = "", of: str = "") -> State:
    RUNS["first"] += 1
    return state.update(by=f"first {to}")


@action(reads=[], writes=["by"])
def second_way(state: State) -> State:
    RUNS["second"] += 1
    return state.update(by="second ")


class Way(Action):
    reads: Any = []
    writes: Any = ["by"]

    def __init__(self, to: str) -> None:
        self.to = to

    def run(self, state: State, /) -> dict[str, Any]:
        RUNS[type(self).__name__] += 1
        return {"by": self.to}

    def update(self, result: Any, state: State, /) -> State:
        return state.update(**result)


class OtherWay(Way):
    pass


def made_inside(to: str) -> Action:
    @action(reads=[], writes=["by"])
    def inside(state: State) -> State:
        RUNS["inside"] += 1
        return state.update(by=to)

    return inside


def of_two(to: str) -> RunnableGraph:
    leads = ("first_way", "second_way", expr("by == 'first more'"))
    graph = GraphBuilder().with_actions(first_way.bind(to=to), second_way).with_transitions(leads).build()
    return RunnableGraph(graph, "first_way", ["second_way"])


def runs_after_a_retry(drive: Driver, make: Callable[[int], Any]) -> int:
    """How often the child ran, of a step of two tries of which only the second went well, for all of its children."""

    class Twice(TaskBasedParallelAction):
        reads: Any = []
        writes: Any = ["by"]
        tries = 0

        def tasks(self, state: State) -> Iterator[SubGraphTask]:
            self.tries += 1
            yield SubGraphTask(make(self.tries), key="child", state=state.update(told="x"))

        def reduce(self, state: State, states: Any) -> State:
            if self.tries == 1:
                raise OSError("not yet")
            return state.update(by=states[0]["by"])

    RUNS.clear()
    app = ApplicationBuilder().with_actions(work=Twice()).with_entrypoint("work").with_state().build()
    with pytest.raises(OSError, match="not yet"):
        drive.run(app)
    drive.run(app)
    return sum(RUNS.values())


@pytest.mark.parametrize(
    "make",
    [
        lambda attempt: first_way,
        lambda attempt: first_way.bind(to="all"),
        lambda attempt: bind_from_state(first_way.bind(to="all"), of="told"),
        lambda attempt: Way("all"),
        lambda attempt: made_inside("all"),
        lambda attempt: of_two("all"),
    ],
    ids=["function", "bound", "bound from the state", "class", "made at each try", "graph"],
)
def test_a_child_that_is_asked_for_again_is_kept(drive: Driver, make: Any) -> None:
    assert 1 == runs_after_a_retry(drive, make)


@pytest.mark.parametrize(
    "make",
    [
        lambda attempt: (first_way, second_way)[attempt - 1],
        lambda attempt: first_way.bind(to=f"try {attempt}"),
        lambda attempt: (Way, OtherWay)[attempt - 1]("all"),
        lambda attempt: Way(f"try {attempt}"),
        lambda attempt: made_inside(f"try {attempt}"),
        lambda attempt: of_two(f"try {attempt}"),
        lambda attempt: Way(object()),  # type: ignore[arg-type]  # nobody can tell
        lambda attempt: Way(functools.partial(print, attempt)),  # type: ignore[arg-type]
    ],
    ids=["function", "bound", "class", "instance", "enclosed", "graph", "cannot be compared", "partial"],
)
def test_a_child_under_the_same_key_that_does_something_else_runs_again(drive: Driver, make: Any) -> None:
    assert 2 == runs_after_a_retry(drive, make)
