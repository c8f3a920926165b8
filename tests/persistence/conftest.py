"""Every store under one name; the servers are real ones, see `tests/servers.py`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentflow.persistence import InMemoryPersister, Persister, SQLitePersister, persister_from
from tests import servers


@pytest.fixture(scope="session")
def stores() -> Iterator[dict[str, str]]:
    """The URLs of the servers, by the kind of store; they are started when the first test needs them."""
    servers.start()
    yield {"sqlite": "", "postgresql": os.environ[servers.POSTGRES], "redis": os.environ[servers.REDIS]}
    servers.stop()


#: That a server keeps what every store promises is tested of each, always (`test_conformance.py` and others).
SERVERS = [pytest.param(kind, marks=pytest.mark.slow) for kind in ("postgresql", "redis")]


@pytest.fixture(params=["memory", "sqlite", *SERVERS])
def persister(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Persister]:
    """An empty store of each kind."""
    kind = request.param
    if kind == "memory":
        made: Persister = InMemoryPersister()
    elif kind == "sqlite":
        made = SQLitePersister(tmp_path / "runs.db")
    else:
        made = persister_from(request.getfixturevalue("stores")[kind])
    with made:
        servers.emptied(made)
        yield made
