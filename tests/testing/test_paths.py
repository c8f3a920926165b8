"""assert_path: which actions ran, and a readable difference when it were others."""

from __future__ import annotations

import pytest

from agentflow import Application, ApplicationBuilder, State, action, default, switch, when
from agentflow.testing import assert_path
from agentflow.testing.paths import path_of
from tests.drivers import Driver


@action(reads=[], writes=["query"])
def ask(state: State, query: str) -> State:
    return state.update(query=query)


@action(reads=["query"], writes=["answer"])
def draw(state: State) -> State:
    return state.update(answer=f"a picture of {state['query']}")


@action(reads=["query"], writes=["answer"])
def write(state: State) -> State:
    if state["query"] == "trouble":
        raise OSError("no ink")
    return state.update(answer=f"words about {state['query']}")


@pytest.fixture
def app() -> Application:
    return (
        ApplicationBuilder()
        .with_actions(ask, draw, write)
        .with_transitions(("ask", "draw", when(query="cat")), ("ask", "write", default), (["draw", "write"], "ask"))
        .with_entrypoint("ask")
        .build()
    )


def test_the_path_is_what_was_performed(drive: Driver, app: Application) -> None:
    assert_path(app)
    drive.run(app, halt_after=["draw", "write"], inputs={"query": "cat"})
    assert_path(app, "ask", "draw")
    drive.run(app, halt_after=["draw", "write"], inputs={"query": "dog"})
    assert_path(app, "ask", "draw", "ask", "write")


def test_an_action_it_halted_before_was_not_performed(drive: Driver, app: Application) -> None:
    drive.run(app, halt_before=["draw"], inputs={"query": "cat"})
    assert_path(app, "ask")


def test_an_action_that_failed_was_not_performed(drive: Driver, app: Application) -> None:
    with pytest.raises(OSError, match="no ink"):
        drive.run(app, halt_after=["write"], inputs={"query": "trouble"})
    assert_path(app, "ask")


def test_a_choice_that_was_dropped_does_not_count(drive: Driver, app: Application) -> None:
    drive.run(app, halt_before=["draw"], inputs={"query": "cat"})
    app.update_state(app.state.update(query="dog"))
    drive.run(app, halt_after=["draw", "write"])
    assert_path(app, "ask", "write")


def test_a_reset_begins_at_the_entrypoint_again(drive: Driver, app: Application) -> None:
    drive.run(app, halt_after=["draw"], inputs={"query": "cat"})
    app.reset_to_entrypoint()
    drive.run(app, halt_after=["write"], inputs={"query": "dog"})
    assert_path(app, "ask", "draw", "ask", "write")


def test_a_named_choice_is_no_step(drive: Driver) -> None:
    app = (
        ApplicationBuilder()
        .with_actions(draw, write)
        .with_transitions(
            ("draw", "again"),
            ("again", ["draw", "write"], switch("mode")),
        )
        .with_state(mode="draw", query="cat")
        .with_entrypoint("draw")
        .build()
    )
    drive.run(app, halt_when=lambda state: app.sequence_id == 1)
    assert_path(app, "draw", "draw")


def test_a_difference_is_shown_side_by_side_with_the_reason(app: Application) -> None:
    app.run(halt_after=["draw", "write"], inputs={"query": "cat"})
    with pytest.raises(AssertionError) as caught:
        assert_path(app, "ask", "write", "ask")
    assert [
        "the path differs at step 1: 'draw' ran, and 'write' was expected.",
        "       expected   performed",
        "     0  ask        ask",
        "  !  1  write      draw",
        "  !  2  ask        -",
        "  why: 'ask' -> 'draw', decided by condition: query == 'cat'",
        "  the application: halted, halt_after 'draw'",
    ] == str(caught.value).splitlines()


@pytest.mark.parametrize(
    ("expected", "fact"),
    [
        (("ask", "draw", "ask"), "step 2: 'ask' was expected, and nothing ran"),
        (("ask",), "step 1: 'draw' ran, and nothing was expected"),
        ((), "step 0: 'ask' ran, and nothing was expected"),
    ],
)
def test_too_long_and_too_short_are_told(app: Application, expected: tuple[str, ...], fact: str) -> None:
    app.run(halt_after=["draw"], inputs={"query": "cat"})
    with pytest.raises(AssertionError, match=fact):
        assert_path(app, *expected)


def test_a_failure_is_named_where_the_path_is_too_short(app: Application) -> None:
    with pytest.raises(OSError, match="no ink"):
        app.run(halt_after=["write"], inputs={"query": "trouble"})
    with pytest.raises(AssertionError, match=r"the application: failed, .*OSError\('no ink'\)"):
        assert_path(app, "ask", "write")


def test_a_path_that_is_no_longer_known_is_not_guessed(app: Application) -> None:
    app.run(halt_when=lambda state: (app.sequence_id or 0) >= 1_001, inputs={"query": "cat"})
    with pytest.raises(AssertionError, match="an application keeps its last 1,000 decisions"):
        path_of(app)
