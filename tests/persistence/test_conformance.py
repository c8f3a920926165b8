"""The suite for persisters: every store passes it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from agentflow.persistence import Persister
from agentflow.testing.conformance import PersisterSuite
from agentflow.testing.persister_catalogue import HOSTILE_IDS
from tests.effort import tries


class TestStores(PersisterSuite):
    """The same tests for memory, SQLite, PostgreSQL and Redis."""

    @pytest.fixture(autouse=True)
    def _store(self, persister: Persister, monkeypatch: pytest.MonkeyPatch) -> None:
        self.persister = persister
        ids = tries(2 * len(HOSTILE_IDS), thorough=200)  # each as either part of a key, and what chance makes
        monkeypatch.setenv("AGENTFLOW_FUZZ", str(ids))

    @contextmanager
    def opened(self) -> Iterator[Persister]:
        yield self.persister
