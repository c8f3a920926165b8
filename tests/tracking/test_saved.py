"""Beside a persister in the same file, what a step changed is stored once, and shown by the reader all the same."""

from __future__ import annotations

import datetime
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from agentflow import ApplicationBuilder, State, action, when
from agentflow.persistence import SQLitePersister
from agentflow.tracking import LocalTracker, Runs
from tests.drivers import Driver
from tests.tracking.canaries import ENVIRONMENT, leaked


@action(reads=["count"], writes=["count", "log", "day"])
def count(state: State[Any], by: int = 1) -> tuple[dict[str, Any], State[Any]]:
    number = state["count"] + by
    day = datetime.date(2024, 1, number)
    return {"count": number}, state.update(count=number, day={"on": day, "of": (1, 2)}).append(log="marked-word")


@action(reads=["count"], writes=[])
def fail(state: State[Any]) -> State[Any]:
    raise ValueError("no more")


def counting(persister: SQLitePersister, **state: Any) -> ApplicationBuilder:
    return (
        ApplicationBuilder()
        .with_actions(count, fail)
        .with_transitions(("count", "fail", when(count=4)), ("count", "count"))
        .with_state_persister(persister)
        .initialize_from(
            persister,
            resume_at_next_action=True,
            default_state={"count": 0, "log": [], "big": "y" * 100_000, **state},
            default_entrypoint="count",
        )
        .with_identifiers(app_id="a", partition_key="ada")
    )


@pytest.fixture
def persister(tmp_path: Path) -> SQLitePersister:
    return SQLitePersister(tmp_path / "agents.db")


def test_a_local_tracker_keeps_to_the_persisters_file(drive: Driver, persister: SQLitePersister) -> None:
    app = drive.build(counting(persister).with_tracker("local", project="demo"))
    for _ in range(3):
        drive.step(app)
    tracker = app.context.tracker
    tracker.close(10)
    runs = Runs(persister.db_path)

    steps = runs.steps("a")

    assert persister.db_path == tracker.path
    assert ["demo"] == [project.name for project in runs.projects()]
    assert [1, 2, 3] == [step.set["count"] for step in steps]
    assert {"on": "2024-01-01", "of": [1, 2]} == steps[0].set["day"]
    assert [{"log": ["marked-word"]}] * 3 == [step.append for step in steps]
    assert [{"count": 1}, {"count": 2}, {"count": 3}] == [step.result for step in steps]
    assert [None] * 3 == [step.damaged for step in steps]
    assert (3, "y" * 100_000) == (runs.state("a")["count"], runs.state("a")["big"])
    assert (2, ["marked-word"] * 2) == (runs.state("a", 1)["count"], runs.state("a", 1)["log"])
    assert [3] == [step.set["count"] for step in runs.steps("a", after=steps[1].number)]


def test_what_a_step_changed_is_in_the_file_once(drive: Driver, persister: SQLitePersister) -> None:
    app = drive.build(counting(persister).with_tracker("local"))
    for _ in range(3):
        drive.step(app)
    app.context.tracker.close(10)
    with closing(sqlite3.connect(persister.db_path)) as connection:
        tracked = "".join(data for (data,) in connection.execute("SELECT data FROM tracked_event"))

    assert 0 == tracked.count("marked-word") + tracked.count("yyyyyyyy")


def test_a_run_that_goes_on_in_another_process_is_one_history(drive: Driver, persister: SQLitePersister) -> None:
    for _ in range(2):
        with SQLitePersister(persister.db_path) as again:
            app = drive.build(counting(again).with_tracker("local"))
            drive.step(app)
            app.context.tracker.close(10)
    runs = Runs(persister.db_path)

    assert [(0, 1), (1, 2)] == [(step.sequence_id, step.set["count"]) for step in runs.steps("a")]
    assert app.state["log"] == runs.state("a")["log"]
    assert 1 == len(runs.applications())


def test_a_failed_step_has_its_error_and_no_change(drive: Driver, persister: SQLitePersister) -> None:
    app = drive.build(counting(persister, count=3).with_tracker("local"))
    with pytest.raises(ValueError, match="no more"):
        drive.run(app, halt_after=["fail"])
    app.context.tracker.close(10)

    done, failed = Runs(persister.db_path).steps("a")

    assert ({"count": 4}, {}) == (done.result, failed.set)
    assert ("failed", None) == (failed.status, failed.damaged)


def test_a_tracker_that_is_told_where_to_record_does_so_alone(persister: SQLitePersister, tmp_path: Path) -> None:
    app = counting(persister).with_tracker("local", root=tmp_path / "runs").build()
    app.step()
    app.context.tracker.close(10)
    runs = Runs(tmp_path / "runs")

    assert [1] == [step.set["count"] for step in runs.steps("a")]
    assert 1 == runs.state("a")["count"]
    assert [] == Runs(persister.db_path).applications()


def test_a_tracker_can_be_given_the_persisters_file(persister: SQLitePersister) -> None:
    tracker = LocalTracker("demo", store=persister.db_path)
    app = counting(persister).with_tracker(tracker).build()
    app.step()
    tracker.close(10)

    assert [1] == [step.set["count"] for step in Runs(persister.db_path).steps("a")]


def test_what_the_persister_holds_is_shown_without_secrets(
    persister: SQLitePersister, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(*ENVIRONMENT)

    @action(reads=[], writes=["password", "said"])
    def log_in(state: State[Any]) -> State[Any]:
        return state.update(password="canary-named-00000005", said="my sk-proj-canary00000000000001")

    app = (
        ApplicationBuilder()
        .with_actions(log_in)
        .with_entrypoint("log_in")
        .with_identifiers(app_id="a")
        .with_state_persister(persister)
        .with_tracker("local")
        .build()
    )
    app.step()
    app.context.tracker.close(10)
    runs = Runs(persister.db_path)

    assert {"password": "[redacted]", "said": "my [redacted]"} == runs.steps("a")[0].set
    assert [] == leaked(repr([runs.state("a"), runs.steps("a"), runs.search("canary")]))


@pytest.mark.parametrize("damage", ["{", "[]", '{"set": 5}', '{"large_set": {"a": "gone"}}'])
def test_a_change_that_is_damaged_is_shown_as_damaged(persister: SQLitePersister, damage: str) -> None:
    app = counting(persister).with_tracker("local").build()
    app.step()
    app.step()
    app.context.tracker.close(10)
    with closing(sqlite3.connect(persister.db_path)) as connection, connection:
        connection.execute("UPDATE agentflow_step SET delta = ? WHERE step = 1", (damage,))
        connection.execute("UPDATE tracked_event SET data = ? WHERE kind = 'run'", ('{"saved": "x; DROP TABLE x"}',))
    steps = Runs(persister.db_path).steps("a")

    assert 2 == len(steps)
    assert {"count": 1} == steps[0].result
    assert (steps[1].damaged is not None) or {"a": "..."} == steps[1].set


def test_a_record_that_names_other_tables_reads_none(persister: SQLitePersister) -> None:
    app = counting(persister).with_tracker("local").build()
    app.step()
    app.context.tracker.close(10)
    with closing(sqlite3.connect(persister.db_path)) as connection, connection:
        for name in ("x; DROP TABLE agentflow_step; --", "nothing", 5):
            facts = json.dumps({"action": "count", "saved": name})
            connection.execute("UPDATE tracked_event SET data = ? WHERE kind = 'step'", (facts,))
            connection.commit()
            (step,) = Runs(persister.db_path).steps("a")
            assert {} == step.set
    assert persister.load("ada", "a") is not None
