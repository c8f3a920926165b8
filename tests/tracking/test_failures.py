"""Whatever becomes of the store the run is the same; what is lost is counted, what is damaged spoils nothing else."""

from __future__ import annotations

import logging
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import agentflow
from agentflow import END, ApplicationBuilder, State, action, when
from agentflow.tracking import LocalTracker, Runs, store, writer
from tests.drivers import Driver

SOURCES = Path(agentflow.__file__).parents[1]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test waits for what a program may wait for."""
    monkeypatch.setattr(writer, "PERSIST", 0.2)
    monkeypatch.setattr(writer, "PAUSE", 0.01)
    monkeypatch.setattr(writer, "GATHER", 0.01)
    monkeypatch.setattr(store, "PATIENCE", 50)


@action(reads=["count"], writes=["count", "note"])
def count(state: State[Any]) -> State[Any]:
    return state.update(count=state["count"] + 1, note="x" * 500)


@action(reads=[], writes=[])
def fail(state: State[Any]) -> State[Any]:
    raise ValueError("no more")


def counting(limit: int = 30) -> ApplicationBuilder:
    return (
        ApplicationBuilder()
        .with_actions(count, fail)
        .with_transitions(("count", "fail", when(count=limit)), ("count", "count"), ("fail", END))
        .with_entrypoint("count")
        .with_state(count=0, note="")
        .with_identifiers(app_id="a")
    )


def outcome(drive: Driver, builder: ApplicationBuilder) -> tuple[Any, ...]:
    """Everything a caller can see of a run that ends in an error."""
    app = drive.build(builder)
    with pytest.raises(ValueError, match="no more") as caught:
        drive.run(app, halt_after=["fail"])
    return app.state.get_all(), app.sequence_id, app.status, str(caught.value), app.decisions[-1].target


def broken_folder(folder: Path) -> LocalTracker:
    (folder / "file").write_text("no folder")
    return LocalTracker(root=folder / "file" / "below")


def no_database(folder: Path) -> LocalTracker:
    (folder / "agentflow.db").write_bytes(b"this is no database " * 1_000)
    return LocalTracker(root=folder)


def full_disk(folder: Path) -> LocalTracker:
    return LocalTracker(root=folder, max_bytes=60_000)


def hostile_folder(folder: Path) -> LocalTracker:
    (folder / "agentflow.db").mkdir()
    return LocalTracker(root=folder)


@pytest.mark.parametrize("broken", [broken_folder, no_database, full_disk, hostile_folder])
def test_a_store_that_cannot_be_written_changes_nothing(
    drive: Driver, broken: Callable[[Path], LocalTracker], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tracker = broken(tmp_path)
    expected = outcome(drive, counting())
    with caplog.at_level(logging.WARNING):
        found = [outcome(drive, counting().with_tracker(tracker)) for _ in range(3) if tracker.flush(10)]
    tracker.close(10)

    assert [expected] * 3 == found
    assert tracker.dropped > 0
    assert tracker.problem is not None
    assert 1 == len([record for record in caplog.records if "cannot be written" in record.getMessage()])


def test_what_was_written_before_the_disk_was_full_can_be_read(tmp_path: Path) -> None:
    tracker = full_disk(tmp_path)
    app = counting(1_000).with_tracker(tracker).build()
    for _ in range(100):
        app.step()
        tracker.flush(10)
    tracker.close(10)

    steps = Runs(tmp_path).steps("a")

    assert 0 < len(steps) < 100
    assert [None] * len(steps) == [step.damaged for step in steps]


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A database that somebody else writes to and does not end."""
    LocalTracker(root=tmp_path).close()
    with closing(sqlite3.connect(tmp_path / "agentflow.db", isolation_level=None, check_same_thread=False)) as other:
        other.execute("PRAGMA journal_mode = WAL")
        other.execute("BEGIN IMMEDIATE")
        yield other


def test_a_locked_database_changes_nothing_and_what_it_costs_is_counted(
    drive: Driver, tmp_path: Path, locked: sqlite3.Connection
) -> None:
    tracker = LocalTracker(root=tmp_path)

    assert outcome(drive, counting()) == outcome(drive, counting().with_tracker(tracker))
    assert tracker.flush(20)
    assert tracker.dropped > 0
    assert "locked" in str(tracker.problem)
    tracker.close(20)


def test_a_database_that_is_locked_for_a_while_gets_everything(
    tmp_path: Path, locked: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "PERSIST", 30.0)
    tracker = LocalTracker(root=tmp_path)
    counting(100).with_tracker(tracker).build().step()

    assert not tracker.flush(0.05)
    locked.execute("COMMIT")
    assert tracker.close(20)

    assert 0 == tracker.dropped
    assert 1 == len(Runs(tmp_path).steps("a"))


def test_a_writer_that_hangs_holds_up_nobody(drive: Driver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "WAITING", 20)
    tracker, released, entered = LocalTracker(root=tmp_path), threading.Event(), threading.Event()
    real = tracker._writer.store.write

    def hang(*rows: Any) -> None:
        entered.set()
        released.wait(30)
        real(*rows)

    monkeypatch.setattr(tracker._writer.store, "write", hang)
    expected = outcome(drive, counting())
    began = time.monotonic()

    found = outcome(drive, counting().with_tracker(tracker))
    assert not tracker.flush(0.05)

    assert expected == found
    assert entered.wait(10)
    assert time.monotonic() - began < 20
    assert tracker.dropped > 0
    released.set()
    tracker.close(10)


def test_what_waits_is_bounded_in_size_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "CHARACTERS", 2_000)
    tracker = LocalTracker(root=tmp_path)
    app = counting(100).with_tracker(tracker).build()
    for _ in range(50):
        app.step()
    tracker.close(10)

    assert tracker.dropped > 0


def test_a_value_that_cannot_be_looked_at_changes_nothing(drive: Driver, tmp_path: Path) -> None:
    class Rude(dict[str, Any]):
        def __iter__(self) -> Any:
            raise RuntimeError("no")

        items = keys = values = __len__ = __repr__ = __iter__  # type: ignore[assignment]

    @action(reads=[], writes=["rude"])
    def be(state: State[Any]) -> State[Any]:
        return state.update(rude=Rude(a=1))

    tracker = LocalTracker(root=tmp_path)
    builder = ApplicationBuilder().with_actions(be).with_entrypoint("be").with_identifiers(app_id="r")
    drive.step(drive.build(builder.with_tracker(tracker)))
    tracker.close(10)

    (step,) = Runs(tmp_path).steps("r")
    assert {"rude": "<a Rude that cannot be shown>"} == step.set


def test_facts_that_no_engine_would_tell_are_counted_and_not_raised(tmp_path: Path) -> None:
    tracker = LocalTracker(root=tmp_path)
    tracker.pre_run_step(app_id="a", partition_key=None, sequence_id=0, action=None, inputs={})
    tracker.post_run_execute_call()
    tracker.close(10)

    assert 2 == tracker.dropped
    assert tracker.problem is not None


def test_the_file_is_for_its_owners_eyes_only(tmp_path: Path) -> None:
    tracker = LocalTracker(root=tmp_path / "new")
    counting().with_tracker(tracker).build().step()
    tracker.flush(10)

    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "new").iterdir()}
    tracker.close(10)

    assert {0o600} == set(modes.values())
    assert 0o700 == stat.S_IMODE((tmp_path / "new").stat().st_mode)


def test_a_file_that_is_taken_away_is_made_anew(tmp_path: Path) -> None:
    tracker = LocalTracker(root=tmp_path)
    app = counting(100).with_tracker(tracker).build()
    app.step()
    tracker.flush(10)
    for path in tmp_path.iterdir():
        path.unlink()
    app.step()
    tracker.close(10)

    assert [1] == [step.sequence_id for step in Runs(tmp_path).steps("a")]


HOSTILE = [
    "\ud800",
    "a\x00b",
    "../../etc/passwd",
    "'; DROP TABLE tracked_app; --",
    "%",
    "_",
    "\u202e",
    "x" * 10_000,
    " ",
]


def test_hostile_names_are_names(tmp_path: Path) -> None:
    tracker = LocalTracker("p'\"", root=tmp_path)
    for name in HOSTILE:
        counting(100).with_identifiers(app_id=name, partition_key=name).with_tracker(tracker).build().step()
    tracker.close(10)
    runs = Runs(tmp_path)

    assert (0, None) == (tracker.dropped, tracker.problem)
    assert len(HOSTILE) == len(runs.applications("p'\""))
    assert [1] * len(HOSTILE) == [len(runs.steps(name, partition_key=name)) for name in HOSTILE]
    assert [] == runs.steps("%%")
    assert 1 == len([found for found in runs.search("%") if found.kind == "app"])
    assert {"agentflow.db"} == {path.name.removesuffix("-wal").removesuffix("-shm") for path in tmp_path.iterdir()}


def test_an_event_that_no_database_takes_is_lost_alone(tmp_path: Path) -> None:
    tracker = LocalTracker(root=tmp_path)
    app = counting(100).with_tracker(tracker).build()
    app.step()
    facts: dict[str, Any] = {"app_id": "a", "partition_key": None, "action": "x", "action_sequence_id": 2**70}
    tracker.do_log_attributes(attributes={"a": 1}, **facts)
    app.step()
    tracker.close(10)

    assert 1 == tracker.dropped
    assert 2 == len(Runs(tmp_path).steps("a"))


# -- what is damaged


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    tracker = LocalTracker(root=tmp_path)
    for name in ("a", "b"):
        app = counting(100).with_identifiers(app_id=name).with_tracker(tracker).build()
        for _ in range(5):
            app.step()
    tracker.close(10)
    return tmp_path / "agentflow.db"


DAMAGES = ["{", "[]", "null", "5", b"\xff\xfe", '"x"', "{}", '{"action": {}, "usages": 5}', "[" * 100_000]


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("kind", ["step", "decision", "build", "run"])
def test_a_damaged_record_is_shown_as_damaged_among_the_others(recorded: Path, kind: str, damage: str | bytes) -> None:
    with closing(sqlite3.connect(recorded)) as connection, connection:
        connection.execute(
            "UPDATE tracked_event SET data = ? WHERE id = (SELECT max(e.id) FROM tracked_event e JOIN tracked_app a ON "
            "a.id = e.app WHERE a.app_id = 'a' AND kind = ? AND step IS NOT 0)",
            (damage, kind),
        )
    runs = Runs(recorded)

    assert ["b", "a"] == [app.app_id for app in runs.applications()]
    assert (5, 5) == (len(runs.steps("a")), len(runs.steps("b")))
    assert (kind == "step") is any(step.damaged for step in runs.steps("a"))
    assert 4 == len(runs.decisions("a"))
    assert not any(step.damaged for step in runs.steps("b"))
    assert isinstance(runs.state("a"), dict)
    assert runs.search("count")


def test_damaged_applications_graphs_and_spans_spoil_nothing(recorded: Path) -> None:
    with closing(sqlite3.connect(recorded)) as connection, connection:
        connection.execute("UPDATE tracked_app SET created_at = 'x', parent_app = 5, parent_step = 'y' WHERE id = 1")
        connection.execute("UPDATE tracked_graph SET data = '{'")
        connection.execute("INSERT INTO tracked_event (app, kind, step, at, data) VALUES (2, 'span_end', 0, 1, '{}')")
    runs = Runs(recorded)

    listed = runs.applications()

    assert 2 == len(listed)
    assert "damaged" in str(listed[1].damaged)
    assert {} == runs.application("b").graph  # type: ignore[union-attr]
    assert [True] == [span.damaged is not None for span in runs.spans("b")]
    assert 5 == len(runs.steps("b"))


def test_a_damaged_page_gives_what_can_still_be_read(recorded: Path) -> None:
    whole = recorded.read_bytes()
    recorded.write_bytes(whole[:8192] + b"\xa5" * (len(whole) - 8192))

    runs = Runs(recorded)

    assert isinstance(runs.applications(), list)
    assert isinstance(runs.steps("a"), list)


# -- processes

SCRIPT = """
import os, sys
sys.path.insert(0, {sources!r})
from agentflow import ApplicationBuilder, action
from agentflow.tracking import LocalTracker

@action(reads=["count"], writes=["count"])
def count(state):
    return state.update(count=state["count"] + 1)

def app(name):
    return (
        ApplicationBuilder().with_actions(count).with_transitions(("count", "count")).with_entrypoint("count")
        .with_state(count=0).with_identifiers(app_id=name).with_tracker(tracker).build()
    )

tracker = LocalTracker(root={root!r})
"""


def start(root: Path, code: str) -> subprocess.Popen[str]:
    script = SCRIPT.format(sources=str(SOURCES), root=str(root)) + code
    return subprocess.Popen([sys.executable, "-W", "ignore", "-c", script], text=True, stderr=subprocess.PIPE)


def run(root: Path, code: str) -> None:
    process = start(root, code)
    _, told = process.communicate(timeout=60)
    assert (0, "") == (process.returncode, told)


def test_what_was_tracked_is_written_when_the_process_ends(tmp_path: Path) -> None:
    run(tmp_path, "a = app('a')\nfor _ in range(25): a.step()")

    assert 25 == len(Runs(tmp_path).steps("a"))


def test_a_forked_process_writes_its_own_and_not_its_parents(tmp_path: Path) -> None:
    code = """
a = app("parent")
for _ in range(10): a.step()
child = os.fork()
b = app("child" if child == 0 else "after")
for _ in range(10): b.step()
if child == 0:
    tracker.flush(30)
    os._exit(0)
os.waitpid(child, 0)
"""
    run(tmp_path, code)
    runs = Runs(tmp_path)

    assert [10, 10, 10] == [len(runs.steps(name)) for name in ("parent", "child", "after")]


def test_several_processes_write_to_one_file(tmp_path: Path) -> None:
    processes = [
        start(tmp_path, f"a = app('a{n}')\nfor _ in range(200): a.step()\ntracker.flush(30)") for n in range(3)
    ]
    told = [process.communicate(timeout=60)[1] for process in processes]
    runs = Runs(tmp_path)

    assert ["", "", ""] == told
    assert [200, 200, 200] == [len(runs.steps(f"a{n}")) for n in range(3)]


def test_a_process_that_is_killed_leaves_a_whole_file_and_a_step_under_way(tmp_path: Path) -> None:
    code = """
import signal
a = app("a")
for _ in range(10): a.step()
tracker.pre_run_step(app_id="a", partition_key=None, sequence_id=10, action=count, inputs={"by": 2})
tracker.flush(30)
os.kill(os.getpid(), signal.SIGKILL)
"""
    process = start(tmp_path, code)
    process.communicate(timeout=60)
    (listed,) = Runs(tmp_path).applications()
    with closing(sqlite3.connect(tmp_path / "agentflow.db")) as connection:
        whole = connection.execute("PRAGMA integrity_check").fetchall()

    assert [("ok",)] == whole
    assert ("running", 10, {"by": 2}) == (listed.status, listed.last_step, Runs(tmp_path).steps("a")[-1].inputs)


def test_the_thread_ends_when_there_is_nothing_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "IDLE", 0.05)
    tracker = LocalTracker(root=tmp_path)
    app = counting(100).with_tracker(tracker).build()
    for _ in range(3):
        app.step()
        assert tracker.flush(10)
        thread = tracker._writer._thread
        if thread is not None:
            thread.join(10)
        assert tracker._writer._thread is None
    tracker.close()

    assert 3 == len(Runs(tmp_path).steps("a"))
