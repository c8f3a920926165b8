"""The suite for persisters: every store passes it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from agentflow.persistence import Persister
from agentflow.testing.conformance import PersisterSuite


class TestStores(PersisterSuite):
    """The same tests for memory, SQLite, PostgreSQL and Redis."""

    @pytest.fixture(autouse=True)
    def _store(self, persister: Persister) -> None:
        self.persister = persister

    @contextmanager
    def opened(self) -> Iterator[Persister]:
        yield self.persister
