"""Backlog: the steps of a fast run that are not written yet, and how far behind the store may be.

What must not live here: when a run writes them (`journal.py`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from agentflow.persistence.records import Mark, Row
from agentflow.runtime import new_lock

#: How far the store may be behind a fast run: in steps, and in seconds.
FAST_STEPS: Final = 64
FAST_SECONDS: Final = 0.25

Write = Callable[[Sequence[Row], Mark, Mapping[str, str]], None]


class Backlog:
    """Committed steps on their way; added by the run, written by the run or by the thread that looks after leases."""

    def __init__(self) -> None:
        self._rows: list[Row] = []
        self._blobs: dict[str, str] = {}
        self._mark: Mark | None = None
        self._since = 0.0
        self._error: BaseException | None = None
        self._lock = new_lock()

    def __bool__(self) -> bool:
        return bool(self._rows) or self._error is not None

    @property
    def is_full(self) -> bool:
        """Whether it has to be written before another step."""
        return len(self._rows) >= FAST_STEPS

    @property
    def is_overdue(self) -> bool:
        """Whether the first of them has waited long enough."""
        return bool(self._rows) and time.monotonic() - self._since > FAST_SECONDS

    def add(self, row: Row, blobs: Mapping[str, str], mark: Mark) -> None:
        """Add a step.

        Raises:
            StoreError: Earlier ones could not be written.
        """
        with self._lock:
            self._raise_earlier()
            self._since = self._since if self._rows else time.monotonic()
            self._rows.append(row)
            self._blobs.update(blobs)
            self._mark = mark

    def write(self, write: Write) -> None:
        """Write all of them as one.

        Raises:
            StoreError, ConflictError: That failed; they are lost, and so is what is in memory.
        """
        with self._lock:
            self._raise_earlier()
            rows, blobs, mark = self._rows, self._blobs, self._mark
            self._rows, self._blobs, self._mark = [], {}, None
            if mark is not None:
                write(rows, mark, blobs)

    def write_later_errors(self, write: Write) -> None:
        """The same from another thread: an error is raised where the run adds or writes next."""
        try:
            self.write(write)
        except Exception as error:
            with self._lock:
                self._error = error

    def _raise_earlier(self) -> None:
        error, self._error = self._error, None
        if error is not None:
            raise error
