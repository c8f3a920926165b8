"""BranchCoverage: which targets of which choices were ever taken."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from agentflow import END, ApplicationBuilder, State, action, switch
from agentflow.engine.machine import Machine
from agentflow.testing import BranchCoverage
from tests.drivers import Driver


@action(reads=[], writes=["n"])
def ask(state: State) -> State:
    return state.increment(n=1)


@action(reads=[], writes=["n"])
def draw(state: State) -> State:
    return state.increment(n=1)


@action(reads=[], writes=["n"])
def write(state: State) -> State:
    return state.increment(n=1)


def built(mode: str, *targets: str, more: Any = ()) -> Any:
    return (
        ApplicationBuilder()
        .with_actions(ask, draw, write)
        .with_transitions(("ask", [*targets], switch("mode")), ("draw", "write"), *more)
        .with_state(mode=mode, n=0)
        .with_entrypoint("ask")
        .build()
    )


def taken(coverage: BranchCoverage) -> list[tuple[str, dict[str, int]]]:
    return [(each.source, each.taken) for each in coverage.sources]


def test_targets_are_counted_over_applications_of_the_same_graph(drive: Driver) -> None:
    with BranchCoverage() as coverage:
        for targets in (["draw", "write", END], [END, "write", "draw"], ["draw", "write", END]):
            drive.run(built("draw", *targets))
    assert [("ask", {END: 0, "draw": 3, "write": 0})] == taken(coverage)
    assert ((END, "write"),) == tuple(each.never for each in coverage.sources)


def test_a_graph_that_never_ran_counts_as_not_taken() -> None:
    with BranchCoverage() as coverage:
        built("draw", "draw", "write")
    assert [("ask", {"draw": 0, "write": 0})] == taken(coverage)


def test_nothing_counts_before_and_after(drive: Driver) -> None:
    real = {name: vars(Machine)[name] for name in ("__init__", "settle_on")}
    app = built("draw", "draw", "write")
    with BranchCoverage() as coverage:
        pass
    drive.run(app)
    assert [] == taken(coverage)
    assert real == {name: vars(Machine)[name] for name in real}


def test_what_another_process_counted_is_added(drive: Driver) -> None:
    with BranchCoverage() as here:
        drive.run(built("draw", "draw", "write"))
    with BranchCoverage() as there:
        drive.run(built("write", "draw", "write"))
        app = built("draw", "draw", END, more=[("write", ["ask", END], switch("mode"))])
        drive.run(app, halt_after=["draw"])
    here.add(json.loads(json.dumps(there.counts())))
    assert [
        ("ask", {"draw": 1, "write": 1}),
        ("ask", {END: 0, "draw": 1}),
        ("write", {END: 0, "ask": 0}),
    ] == taken(here)


def test_two_may_watch_and_stop_in_any_order(drive: Driver) -> None:
    real = vars(Machine)["settle_on"]
    first, second = BranchCoverage(), BranchCoverage()
    first.start()
    second.start()
    drive.run(built("draw", "draw", "write"))
    first.stop()
    drive.run(built("write", "draw", "write"))
    second.stop()
    assert [("ask", {"draw": 1, "write": 0})] == taken(first)
    assert [("ask", {"draw": 1, "write": 1})] == taken(second)
    assert real is vars(Machine)["settle_on"]


def test_every_thread_is_counted() -> None:
    with BranchCoverage() as coverage, ThreadPoolExecutor(8) as threads:
        for ran in [threads.submit(built("draw", "draw", "write").run) for _ in range(64)]:
            ran.result()
    assert [("ask", {"draw": 64, "write": 0})] == taken(coverage)


def test_the_table_names_what_was_never_taken(drive: Driver) -> None:
    with BranchCoverage() as coverage:
        drive.run(built("draw", "draw", "write", END))
    assert [
        "source  taken  never taken",
        "graph of ask, draw, write",
        "  ask     1/3  the end, write",
        "in all    1/3",
    ] == coverage.table()
