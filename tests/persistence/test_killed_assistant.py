"""The email assistant is killed while it drafts, and ends in a new process as if nothing had happened."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from agentflow.persistence import Persister, SQLitePersister
from agentflow.testing import Request, ScriptedProvider
from agentflow.testing.torture.processes import ended, forked, note, notes

pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")

SAID = [
    {
        "email_to_respond": "Subject: Dinner\n\nWould you like to join us for dinner?\nRobin",
        "response_instructions": "Accept",
    },
    {"clarification_inputs": ["Yes, gladly.", "Thursday at seven.", "Well."]},
    {"feedback": "Make it shorter, please."},
    {"feedback": ""},
]


@pytest.fixture(autouse=True)
def examples_can_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "examples"))


def converse(persister: Persister, app_id: str, calls: Path, dies_at_draft: int | None = None) -> str:
    """Say all that is to be said, from wherever the conversation stands; the final draft."""
    from email_assistant import scripted
    from email_assistant.application import ASKS, DONE, application

    def answer(request: Request) -> Any:
        kind = "decide" if request.choices else "ask" if request.response_schema is not None else "draft"
        note(calls, kind)
        if kind == "draft" and notes(calls).count("draft") == dies_at_draft:
            os.kill(os.getpid(), signal.SIGKILL)
        return scripted.answer(request)

    app = application().builder.saved_in(persister, app_id).build()  # type: ignore[union-attr]
    with ScriptedProvider(answer):
        while (said := next_words(app.state.get_all(), app.status.value)) is not None:
            app.run(halt_before=ASKS, halt_after=DONE, inputs=said)
    return str(app.state["final_draft"])


def next_words(state: dict[str, Any], status: str) -> dict[str, Any] | None:
    """What the person says where the conversation stands; what was said before a crash has been saved."""
    if state["final_draft"] is not None:
        return None
    if state["email_to_respond"] is None:
        return SAID[0]
    if not state["drafts"]:
        return {} if state["answers"] is not None else SAID[1]
    if len(state["drafts"]) == len(state["feedback_history"]):
        return {}
    return SAID[2 + len(state["feedback_history"])]


@pytest.mark.slow
@pytest.mark.parametrize("dies_at_draft", [1, 2])
def test_it_ends_with_the_same_final_draft(tmp_path: Path, dies_at_draft: int) -> None:
    expected = converse(SQLitePersister(tmp_path / "whole.db"), "whole", tmp_path / "whole.calls")
    store, calls, result = tmp_path / "killed.db", tmp_path / "killed.calls", tmp_path / "result"

    def work() -> None:
        result.write_text(json.dumps(converse(SQLitePersister(store), "dinner", calls, dies_at_draft)))

    first = forked(work, tmp_path / "errors")
    assert -signal.SIGKILL == ended(first, 60), (tmp_path / "errors").read_text()
    second = forked(work, tmp_path / "errors")
    assert 0 == ended(second, 60), (tmp_path / "errors").read_text()
    assert expected == json.loads(result.read_text())
    whole, killed = (Counter(notes(path)) for path in (tmp_path / "whole.calls", calls))
    assert whole + Counter({"draft": 1}) == killed  # only the draft that was interrupted was asked for again
