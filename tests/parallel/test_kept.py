"""What a retried step keeps of its children: only what it asks for again."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from agentflow import Action, ApplicationBuilder, GraphBuilder, Select, State, action, expr
from agentflow.parallel import MapActions, RunnableGraph, SubGraphTask, TaskBasedParallelAction, bind_from_state
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


class Holder:
    def way(self, state: State) -> State:
        RUNS["way"] += 1
        return state.update(by="held")


def chosen() -> RunnableGraph:
    leads = ("first_way", ["second_way"], Select(lambda state: "second_way"))
    graph = GraphBuilder().with_actions(first_way, second_way).with_transitions(leads).build()
    return RunnableGraph(graph, "first_way", ["second_way"])


class Odd:
    def __eq__(self, other: object) -> bool:
        raise TypeError("not to be compared")

    __hash__ = None  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("runs", "make"),
    [
        (1, lambda attempt: first_way),
        (1, lambda attempt: first_way.bind(to="all")),
        (1, lambda attempt: first_way.bind(to=object())),
        (1, lambda attempt: first_way.bind(to=functools.partial(print, attempt))),
        (1, lambda attempt: first_way.bind(to=Odd())),
        (1, lambda attempt: bind_from_state(first_way.bind(to="all"), of="told")),
        (1, lambda attempt: Way("all")),
        (1, lambda attempt: made_inside(f"try {attempt}")),
        (1, lambda attempt: action(reads=[], writes=["by"])(Holder().way)),
        (1, lambda attempt: of_two("all")),
        (2, lambda attempt: chosen()),
    ],
    ids=[
        "function",
        "bound",
        "bound to an object",
        "bound to a partial",
        "cannot be compared",
        "bound from the state",
        "class",
        "made at each try",
        "method",
        "graph",
        "graph with a selector",
    ],
)
def test_a_child_is_kept_unless_something_else_is_certain_to_be_asked_for(drive: Driver, runs: int, make: Any) -> None:
    assert runs == runs_after_a_retry(drive, make)


@pytest.mark.parametrize(
    "make",
    [
        lambda attempt: (first_way, second_way)[attempt - 1],
        lambda attempt: (first_way, second_way)[attempt - 1].with_name("way"),
        lambda attempt: first_way.bind(to=f"try {attempt}"),
        lambda attempt: bind_from_state(first_way.bind(to=f"try {attempt}"), of="told"),
        lambda attempt: (Way, OtherWay)[attempt - 1]("all"),
        lambda attempt: (Way("all"), first_way)[attempt - 1].with_name("way"),
        lambda attempt: of_two(f"try {attempt}"),
    ],
    ids=["function", "of one name", "bound", "bound from the state", "class", "kind", "graph"],
)
def test_a_child_under_the_same_key_that_does_something_else_runs_again(drive: Driver, make: Any) -> None:
    kept = runs_after_a_retry(drive, lambda attempt: make(1))
    assert kept < runs_after_a_retry(drive, make)


def test_a_map_whose_actions_change_keeps_no_result_of_another(drive: Driver) -> None:
    class Changing(MapActions):
        reads: Any = []
        writes: Any = ["by"]

        def actions(self, state: State) -> Any:
            yield first[0]
            yield boom

        def reduce(self, state: State, states: Any) -> State:
            return state.update(by=[child["by"] for child in states])

    first = [first_way]

    @action(reads=[], writes=["by"])
    def boom(state: State) -> State:
        if first == [first_way]:
            raise OSError("not yet")
        return state.update(by="boom")

    app = (
        ApplicationBuilder().with_actions(work=Changing(max_concurrency=1)).with_entrypoint("work").with_state().build()
    )
    with pytest.raises(OSError, match="not yet"):
        drive.run(app)
    first[:] = [second_way]
    assert ["second ", "boom"] == drive.run(app)[2]["by"]
