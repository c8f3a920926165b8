"""Children in a process pool are saved by their parent as they come back, and run once whatever becomes of it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

import agentflow
from agentflow.persistence import InMemoryPersister, Persister, SQLitePersister
from tests.persistence.pooled_parent import Squares, parent


@pytest.fixture(scope="module")
def pool() -> Iterator[ProcessPoolExecutor]:
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as made:
        yield made


def killed_parent(database: Path, log: Path, boundary: str) -> int:
    paths = [str(Path(agentflow.__file__).parents[1]), str(Path(__file__).parents[2])]
    environment = {**os.environ, "AGENTFLOW_FAILPOINT": boundary, "PYTHONPATH": os.pathsep.join(paths)}
    command = [sys.executable, "-m", "tests.persistence.pooled_parent", str(database), str(log)]
    process = subprocess.Popen(command, env=environment, start_new_session=True)
    try:
        return process.wait(60)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # its workers would wait for work for ever


@pytest.mark.slow
def test_after_a_kill_of_the_parent_only_what_had_not_come_back_runs_again(
    tmp_path: Path, pool: ProcessPoolExecutor
) -> None:
    database, log = tmp_path / "runs.db", tmp_path / "ran"
    assert -signal.SIGKILL == killed_parent(database, log, "after-commit:2")
    assert ["1", "2"] == log.read_text().split()
    with SQLitePersister(database) as persister:
        app = parent(persister, log, Squares(pool)).build()
        app.step()
        assert ([1, 4, 9, 16], [1, 2, 3, 4]) == (app.state["squares"], app.state["roots"])
        assert ["1", "2", "3", "4"] == log.read_text().split()
        children = [head for head in persister.applications() if head.spawn is not None]
        assert [0] * 4 == [head.sequence_id for head in children]


def test_what_came_back_and_was_not_saved_runs_again(tmp_path: Path, pool: ProcessPoolExecutor) -> None:
    database, log = tmp_path / "runs.db", tmp_path / "ran"
    assert -signal.SIGKILL == killed_parent(database, log, "after-effect:2")  # the first is saved, the second is not
    with SQLitePersister(database) as persister:
        app = parent(persister, log, Squares(pool)).build()
        app.step()
        assert [1, 4, 9, 16] == app.state["squares"]
        assert ["1", "2", "2", "3", "4"] == log.read_text().split()


def test_a_child_is_saved_as_it_came_back(tmp_path: Path, pool: ProcessPoolExecutor) -> None:
    persister: Persister = InMemoryPersister()
    parent(persister, tmp_path / "ran", Squares(pool)).build().step()
    child = next(head for head in persister.applications() if head.spawn is not None)
    loaded = persister.load(child.key.partition, child.app_id)
    assert loaded is not None
    assert ("root", {"number", "square", "root"}) == (loaded["position"], set(loaded["state"]))
    assert child.spawn is not None
    assert ("parent", 0) == (child.spawn.key.app_id, child.spawn.sequence_id)


def test_children_that_are_not_to_be_saved_are_not(tmp_path: Path, pool: ProcessPoolExecutor) -> None:
    persister: Persister = InMemoryPersister()
    parent(persister, tmp_path / "ran", Squares(pool, persist=False)).build().step()
    assert ["parent"] == persister.list_app_ids()
