"""Who runs an application: owners told apart, leases renewed, boundaries named."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from agentflow import ApplicationBuilder, State, action
from agentflow.persistence import InMemoryPersister, Key, SQLitePersister
from agentflow.persistence import owner as owners
from agentflow.persistence.failpoints import POINTS, arm


def test_an_owner_is_alive_while_it_holds_something() -> None:
    mine = owners.new_owner()
    assert not owners.alive(mine)
    owners.holds(mine)
    assert owners.alive(mine)
    owners.lets_go(mine)
    assert not owners.alive(mine)


def test_a_process_of_this_host_that_is_gone_is_not_alive() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    owner = f"{owners.host()}/{child.pid}/{owners.started(child.pid)}/1"
    assert owners.alive(owner)
    assert not owners.alive(f"{owners.host()}/{child.pid}/another start/1")
    child.communicate(b"\n")
    assert not owners.alive(owner)


def test_nothing_is_known_of_other_hosts() -> None:
    assert owners.alive("another-host/1/1/1")
    assert owners.alive("whatever")


def test_a_lease_is_renewed_while_an_action_runs() -> None:
    persister = InMemoryPersister()
    left: list[float] = []
    renewed = threading.Event()
    real = persister.renew

    def renew(key: Key, epoch: int, seconds: float) -> bool:
        held = real(key, epoch, seconds)
        renewed.set()
        return held

    persister.renew = renew  # type: ignore[method-assign]

    @action(reads=[], writes=[])
    def slow(state: State) -> State:
        assert renewed.wait(10)
        head = persister.head(Key("", "one"))
        left.append(head.lease if head is not None else 0.0)
        return state

    made = ApplicationBuilder().with_actions(slow).with_entrypoint("slow").with_identifiers(app_id="one")
    made.with_state_persister(persister, lease_seconds=0.3).build().step()
    assert 0 < left[0] <= 0.3
    released = persister.head(Key("", "one"))
    assert released is not None
    assert "" == released.owner


def test_a_boundary_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="AGENTFLOW_FAILPOINT names 'nowhere', no boundary"):
        arm("nowhere:1")
    arm(None)
    assert len(POINTS) == len(set(POINTS))


def test_a_sqlite_file_is_for_its_owner_only_and_one_of_the_future_is_refused(tmp_path: Path) -> None:
    with SQLitePersister(tmp_path / "runs.db"):
        assert 0o600 == os.stat(tmp_path / "runs.db").st_mode & 0o777
    import sqlite3

    connection = sqlite3.connect(tmp_path / "runs.db")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with (
        pytest.raises(Exception, match="was written by a newer agentflow") as caught,
        SQLitePersister(tmp_path / "runs.db"),
    ):
        pass
    assert "StoreError" == type(caught.value).__name__
    with pytest.raises(Exception, match="there is no directory"):
        SQLitePersister(tmp_path / "nowhere" / "runs.db").initialize()
    (tmp_path / "text.db").write_text("this is no database, however long it may be" * 100)
    with pytest.raises(Exception, match="file is not a database"):
        SQLitePersister(tmp_path / "text.db").initialize()
