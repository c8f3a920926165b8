"""Stores that are named by a URL."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentflow import ApplicationBuilder, State, action
from agentflow.errors import BuildError
from agentflow.persistence import InMemoryPersister, SQLitePersister, persister_from


@action(reads=["n"], writes=["n"])
def count(state: State) -> State:
    return state.update(n=state["n"] + 1)


def test_one_url_is_one_store_for_saving_and_loading(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/runs.db"
    for expected in (1, 2, 3):
        made = ApplicationBuilder().with_actions(count).with_transitions(("count", "count")).with_state_persister(url)
        made.initialize_from(url, default_state={"n": 0}, default_entrypoint="count").with_identifiers(app_id="one")
        app = made.build()
        app.step()
        assert expected == app.state["n"]


def test_a_url_says_what_kind_of_store_it_is(tmp_path: Path) -> None:
    store = persister_from(f"sqlite:///{tmp_path}/x.db")
    assert isinstance(store, SQLitePersister)
    assert tmp_path / "x.db" == store.db_path
    assert isinstance(persister_from(f"{tmp_path}/y.db"), SQLitePersister)
    assert isinstance(persister_from("memory:"), InMemoryPersister)
    with pytest.raises(BuildError, match="'mysql://x' names no store"):
        persister_from("mysql://x")
