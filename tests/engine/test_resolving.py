"""A state that somebody says a step led to counts as that step's: it has what the action declared, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from agentflow import Application, ApplicationBuilder, State, action
from agentflow.errors import ResultError, UndeclaredKeyError
from agentflow.persistence import InMemoryPersister
from tests.drivers import Driver


@action(reads=["n"], writes=["n", "log"])
def begin(state: State) -> State:
    return state.update(n=1).append(log="begun")


@action(reads=["n"], writes=["n", "sent"], kind="at_most_once")
def send(state: State) -> State:
    raise OSError("the line broke")


@pytest.fixture(params=[False, True], ids=["unsaved", "saved"])
def uncertain(request: pytest.FixtureRequest, drive: Driver) -> Application:
    """An application of which nobody knows whether it sent."""
    made = ApplicationBuilder().with_actions(begin, send).with_transitions(("begin", "send"), ("send", "begin"))
    made.with_entrypoint("begin").with_state(n=0, log=["new"], spare="kept")
    if request.param:
        made.with_state_persister(InMemoryPersister())
    app = drive.build(made)
    drive.step(app)
    with pytest.raises(OSError, match="the line broke"):
        drive.step(app)
    return app


@pytest.mark.parametrize(
    "tell",
    [
        lambda state: state.update(n=5, sent=True),
        lambda state: State({"n": 5, "sent": True}),
        lambda state: State({**state, "n": 5, "sent": True, "log": [*state["log"]]}),
        lambda state: state.update(n=5, sent=True, zzz=1).wipe(delete=["zzz"]),
    ],
    ids=["updated", "fresh", "copied", "taken back"],
)
def test_what_an_action_declares_is_taken(
    drive: Driver, uncertain: Application, tell: Callable[[State], State]
) -> None:
    drive.do(uncertain, "resolve", tell(uncertain.state))
    expected = {"n": 5, "log": ["new", "begun"], "spare": "kept", "sent": True}
    assert (expected, 1) == (uncertain.state.get_all(), uncertain.sequence_id)
    drive.step(uncertain)
    assert ["new", "begun", "begun"] == uncertain.state["log"]


WRONG: list[tuple[Callable[[State], Any], type[Exception], str]] = [
    (lambda state: state.update(sent=True, zzz=1), UndeclaredKeyError, "action 'send' writes 'zzz' without declaring"),
    (lambda state: State({"n": 1, "sent": True, "zzz": 1}), UndeclaredKeyError, "writes 'zzz' without declaring it"),
    (lambda state: state.update(sent=True).append(log="x"), UndeclaredKeyError, "writes 'log' without declaring it"),
    (lambda state: state.update(sent=1).wipe(delete=["spare"]), UndeclaredKeyError, "writes 'spare' without declaring"),
    (lambda state: state.update(n=5), ResultError, "returned a state without 'sent', which it declares to write"),
    (lambda state: {"n": 5, "sent": True}, ResultError, "action 'send' returned a value of type dict"),
]


@pytest.mark.parametrize(("tell", "error", "message"), WRONG, ids=[message for *_, message in WRONG])
def test_anything_else_is_refused_and_the_step_stays_uncertain(
    drive: Driver, uncertain: Application, tell: Callable[[State], Any], error: type[Exception], message: str
) -> None:
    before = uncertain.state.get_all()
    with pytest.raises(error, match=message):
        drive.do(uncertain, "resolve", tell(uncertain.state))
    assert (before, 0, "uncertain") == (uncertain.state.get_all(), uncertain.sequence_id, uncertain.status.value)
    drive.do(uncertain, "resolve", uncertain.state.update(sent=True))
    assert (1, True) == (uncertain.sequence_id, uncertain.state["sent"])
