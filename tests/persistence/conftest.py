"""Every store under one name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from agentflow.persistence import InMemoryPersister, Persister, SQLitePersister


@pytest.fixture(params=["memory", "sqlite"])
def persister(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Persister]:
    made = InMemoryPersister() if request.param == "memory" else SQLitePersister(tmp_path / "runs.db")
    with made:
        yield made
