"""A SQLite file may be shared with whatever else keeps tables in it, unless its version is somebody else's."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from agentflow.errors import BuildError, StoreError
from agentflow.persistence import Persister, SQLitePersister
from agentflow.select.caching import DiskCache
from agentflow.tracking import LocalTracker, Runs
from tests.persistence.test_saved_runs import builder


def made(path: Path, *statements: str) -> Path:
    """A SQLite file, by hand."""
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)
    return path


def uses(persister: Persister) -> list[int]:
    """The steps of a run that was saved there."""
    with persister:
        builder(persister).build().run(halt_after="note")
        return [step.sequence_id for step in persister.history("a", "p")]


@pytest.mark.parametrize("version", [-1, 2, 7])
@pytest.mark.parametrize("mode", ["DELETE", "WAL"])
@pytest.mark.parametrize("name", ["recipe", "web_app"])
def test_a_database_of_somebody_elses_version_is_refused_and_stays_as_it_is(
    tmp_path: Path, version: int, mode: str, name: str
) -> None:
    path = made(tmp_path / "other.db", f"PRAGMA journal_mode = {mode}", f"CREATE TABLE {name} (at TEXT)")
    made(path, f"PRAGMA user_version = {version}")
    before = path.read_bytes()
    persister = SQLitePersister(path)
    assert False is persister.is_initialized()
    for ask in (persister.initialize, persister.list_app_ids, persister.initialize):  # and again: it stays refused
        with pytest.raises(StoreError, match=rf"other.db is somebody else's database \(user_version {version}\)"):
            ask()
    persister.close()
    assert (before, ["other.db"]) == (path.read_bytes(), [each.name for each in tmp_path.iterdir()])


def test_one_of_the_future_stays_refused(tmp_path: Path) -> None:
    uses(SQLitePersister(tmp_path / "runs.db"))
    persister = SQLitePersister(made(tmp_path / "runs.db", "PRAGMA user_version = 99"))
    for _ in range(2):
        with pytest.raises(StoreError, match="was written by a newer agentflow"):
            persister.initialize()


@pytest.mark.parametrize("statements", [(), ("PRAGMA user_version = 0",), ("CREATE TABLE t (a)", "DROP TABLE t")])
def test_a_file_with_nothing_in_it_becomes_a_store(tmp_path: Path, statements: tuple[str, ...]) -> None:
    path = made(tmp_path / "runs.db", *statements)
    path.touch()
    persister = SQLitePersister(path)
    assert False is persister.is_initialized()
    assert [-1, 0, 1] == uses(persister)
    assert True is persister.is_initialized()


@pytest.mark.parametrize("version", [0, 1])
def test_a_store_may_come_to_tables_that_are_there_already(tmp_path: Path, version: int) -> None:
    path = made(tmp_path / "app.db", "CREATE TABLE users (name TEXT)", f"PRAGMA user_version = {version}")
    made(path, "INSERT INTO users VALUES ('ada')")
    DiskCache(path).put("key", "value")
    persister = SQLitePersister(path)
    assert False is persister.is_initialized()
    assert [-1, 0, 1] == uses(persister)
    assert "value" == DiskCache(path).get("key")
    with closing(sqlite3.connect(path)) as connection:
        assert [("ada",)] == connection.execute("SELECT name FROM users").fetchall()


def test_memory_is_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BuildError, match=r"names no file: use InMemoryPersister\(\)"):
        SQLitePersister(":memory:")
    assert [] == list(tmp_path.iterdir())


def test_a_store_may_hold_another_and_tables_of_somebodys_own(tmp_path: Path) -> None:
    first, second = (SQLitePersister(tmp_path / "runs.db", table_name=name) for name in ("agentflow", "second"))
    assert [-1, 0, 1] == uses(first)
    made(tmp_path / "runs.db", "CREATE TABLE recipe (name TEXT)")
    assert False is second.is_initialized()
    assert [-1, 0, 1] == uses(second)
    again = SQLitePersister(tmp_path / "runs.db")
    assert (True, ["a"]) == (again.is_initialized(), again.list_app_ids())


@pytest.mark.parametrize("tracker_first", [True, False])
def test_a_tracker_and_a_store_share_a_file_whoever_comes_first(tmp_path: Path, tracker_first: bool) -> None:
    path = tmp_path / "agentflow.db"
    tracker, persister = LocalTracker(root=tmp_path), SQLitePersister(path)
    if tracker_first:
        builder(SQLitePersister(tmp_path / "elsewhere.db"), "b").with_tracker(tracker).build().run(halt_after="note")
        assert tracker.flush(20)
        assert path.exists()
        assert False is persister.is_initialized()
    else:
        persister.initialize()
    builder(persister).with_tracker(tracker).build().run(halt_after="note")
    assert tracker.flush(20)
    tracker.close()
    assert ["a"] == persister.list_app_ids()
    assert [0, 1] == [step.sequence_id for step in Runs(path).steps("a")]
