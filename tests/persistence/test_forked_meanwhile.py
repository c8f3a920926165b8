"""A fork that is made just as what it begins at is deleted: it keeps that, or is told that there is nothing."""

from __future__ import annotations

from typing import Any

import pytest

from agentflow import ApplicationBuilder, State, action
from agentflow.errors import ConflictError
from agentflow.persistence import Persister


def counted(persister: Persister, app_id: str, upto: int) -> None:
    @action(reads=["n"], writes=["n"])
    def count(state: State) -> State:
        return state.increment(n=1)

    made = ApplicationBuilder().with_actions(count).with_transitions(("count", "count")).with_state(n=0)
    made.with_entrypoint("count").with_state_persister(persister).with_identifiers(app_id=app_id)
    app = made.build()
    for _ in range(upto):
        app.step()


def n_of(persister: Persister, app_id: str) -> int:
    found = persister.load(None, app_id)
    assert found is not None
    return int(found["state"]["n"])


def forking(monkeypatch: pytest.MonkeyPatch, persister: Persister, verb: str, times: int) -> None:
    """Have somebody make a fork each time just after, or before, a verb was called."""
    real: Any = getattr(persister, verb)
    made = iter(range(times))

    def called(*args: Any) -> Any:
        answer = real(*args)
        for number in made:
            persister.fork("app", f"fork {number}", 2)
            break
        return answer

    monkeypatch.setattr(persister, verb, called)


def test_a_fork_made_while_its_source_is_deleted_keeps_what_it_needs(
    persister: Persister, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted(persister, "app", 5)
    forking(monkeypatch, persister, "offspring", 3)
    persister.delete("app")
    assert ["fork 0", "fork 1", "fork 2"] == persister.list_app_ids()
    assert [3, 3, 3] == [n_of(persister, f"fork {number}") for number in range(3)]


def test_a_fork_made_while_its_source_is_pruned_keeps_what_it_needs(
    persister: Persister, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted(persister, "app", 6)
    forking(monkeypatch, persister, "offspring", 1)
    persister.prune("app")
    assert (6, 3) == (n_of(persister, "app"), n_of(persister, "fork 0"))
    assert [4, 5] == [step.sequence_id for step in persister.history("app")]


def test_a_fork_of_what_was_deleted_while_it_was_read_is_refused(
    persister: Persister, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted(persister, "app", 3)
    real = persister.claim

    def claimed(*args: Any) -> Any:
        persister.remove(args[0].of("", "app"))
        return real(*args)

    monkeypatch.setattr(persister, "claim", claimed)
    with pytest.raises(ConflictError, match=r"application 'app' has no step 1 to fork from \(any more\)"):
        persister.fork("app", "fork", 1)
    assert [] == persister.list_app_ids()
