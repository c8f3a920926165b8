"""force_decision: a choice goes where a test wants it, and nobody is asked."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from agentflow import END, ApplicationBuilder, HumanDecider, State, Target, action, switch, when
from agentflow.errors import DecideError
from agentflow.select import Selector
from agentflow.testing import assert_path, force_decision
from tests.drivers import Driver


@action(reads=[], writes=["asked"])
def ask(state: State) -> State:
    return state.update(asked=True)


@action(reads=[], writes=["done"])
def draw(state: State) -> State:
    return state.update(done="draw")


@action(reads=[], writes=["done"])
def write(state: State) -> State:
    return state.update(done="write")


class Refuses(Selector):
    """Must not be asked."""

    def select(self, state: State, targets: Sequence[Target]) -> Any:
        raise LookupError("it was asked")


WAYS: dict[str, list[Any]] = {
    "selector": [("ask", ["draw", "write", END], Refuses())],
    "person": [("ask", ["draw", "write"], HumanDecider())],
    "switch": [("ask", ["draw", "write"], switch("mode", default="write"))],
    "condition": [("ask", "draw", when(mode="draw")), ("ask", "write")],
    "named choice": [("ask", "decide"), ("decide", ["draw", "write"], Refuses())],
}


def built(transitions: list[Any]) -> Any:
    return (
        ApplicationBuilder()
        .with_actions(ask, draw, write)
        .with_transitions(*transitions)
        .with_state(mode="write")
        .with_entrypoint("ask")
        .build()
    )


@pytest.mark.parametrize("way", WAYS)
def test_any_choice_goes_where_it_is_forced_to(drive: Driver, way: str) -> None:
    app = built(WAYS[way])
    source = "decide" if way == "named choice" else "ask"
    with force_decision(source, "draw") as forced:
        drive.run(app, halt_after=["draw", "write"])
    assert_path(app, "ask", "draw")
    assert 1 == forced.times
    decision = app.why(1)
    assert decision is not None
    assert (source, "draw", "forced") == (decision.source, decision.target, decision.decided_by)
    assert f"force_decision('{source}', 'draw')" == decision.reason


def test_afterwards_everything_is_as_it_was(drive: Driver) -> None:
    with force_decision("ask", "draw"):
        drive.run(built(WAYS["switch"]))
    app = built(WAYS["switch"])
    drive.run(app)
    assert_path(app, "ask", "write")
    assert "switch" in str(app.decisions[0].decided_by)


def test_the_end_can_be_forced(drive: Driver) -> None:
    app = built(WAYS["selector"])
    with force_decision("ask", END):
        drive.run(app)
    assert_path(app, "ask")
    assert "finished" == app.status


def test_forcing_two_sources_and_the_same_source_anew(drive: Driver) -> None:
    app = built([*WAYS["selector"], ("draw", ["write", END], Refuses())])
    with force_decision("ask", "write") as outer, force_decision("draw", "write"):
        with force_decision("ask", "draw"):
            drive.run(app)
        drive.run(built(WAYS["selector"]))
    assert_path(app, "ask", "draw", "write")
    assert 1 == outer.times


def test_a_graph_built_meanwhile_is_whole(drive: Driver) -> None:
    with force_decision("ask", "draw"):
        app = built([*WAYS["switch"], ("draw", ["write", END], switch("mode"))])
        drive.run(app)
    assert_path(app, "ask", "draw", "write")


def test_a_choice_made_before_stays(drive: Driver) -> None:
    app = built([*WAYS["switch"], ("write", ["draw", END], Refuses())])
    drive.run(app, halt_before=["write"])
    with force_decision("ask", "draw") as forced, force_decision("write", "draw"):
        drive.run(app)
        drive.run(built(WAYS["switch"]))
    assert_path(app, "ask", "write", "draw")
    assert 1 == forced.times


def test_every_thread_is_forced() -> None:
    apps = [built(WAYS["selector"]) for _ in range(32)]
    with force_decision("ask", "draw") as forced, ThreadPoolExecutor(8) as threads:
        for ran in [threads.submit(app.run, halt_after=["draw"]) for app in apps]:
            ran.result()
    assert 32 == forced.times


def test_tests_in_several_threads_may_force_at_once() -> None:
    def force(target: str) -> None:
        for _ in range(50):
            with force_decision(f"elsewhere {target}", target) as forced:
                forced.times = 1

    with force_decision("ask", "draw"), ThreadPoolExecutor(4) as threads:
        for done in [threads.submit(force, target) for target in ("a", "b", "a", "b")]:
            done.result()
        app = built(WAYS["selector"])
        app.run(halt_after=["draw"])
    assert_path(app, "ask", "draw")
    with pytest.raises(LookupError, match="it was asked"):
        built(WAYS["selector"]).run()


def test_a_target_it_has_not_is_told(drive: Driver) -> None:
    with force_decision("ask", "drwa"), pytest.raises(DecideError, match="no target of 'ask'. Did you mean 'draw'"):
        drive.run(built(WAYS["switch"]))


def test_a_source_that_is_never_left_fails() -> None:
    with pytest.raises(AssertionError, match=r"force_decision\('aks', 'draw'\) forced nothing"):
        _force_and_run("aks")


def test_an_error_inside_is_not_hidden_by_what_was_not_forced() -> None:
    with pytest.raises(LookupError, match="it was asked"):
        _force_and_run("aks", "selector")


def _force_and_run(source: str, way: str = "switch") -> None:
    with force_decision(source, "draw"):
        built(WAYS[way]).run()
