"""Remembering what a model answered to a prompt: in memory, or in a file.

What must not live here: what a prompt is, or how an answer is read.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections import OrderedDict
from pathlib import Path
from typing import Any, Protocol

from agentflow.errors import BuildError
from agentflow.runtime import new_lock

_log = logging.getLogger("agentflow")


class DecisionCache(Protocol):
    """Texts by key; used from several threads at once."""

    def get(self, key: str) -> str | None:
        """The text kept under `key`, None when there is none."""

    def put(self, key: str, text: str) -> None:
        """Keep a text under `key`, in place of any other."""


class MemoryCache:
    """The answers of this process; the one used longest ago goes when it is full.

    Args:
        limit: How many answers it keeps.

    Example:
        >>> from agentflow.select import MemoryCache
        >>> cache = MemoryCache(limit=2)
        >>> cache.put("a", "1"); cache.get("a")
        '1'
    """

    limit: int

    def __init__(self, limit: int = 10_000) -> None:
        if limit < 1:
            raise BuildError(f"MemoryCache(limit={limit}) could keep nothing: give a positive number.")
        self.limit = limit
        self._texts: OrderedDict[str, str] = OrderedDict()
        self._lock = new_lock()

    def get(self, key: str) -> str | None:
        with self._lock:
            if key in self._texts:
                self._texts.move_to_end(key)
            return self._texts.get(key)

    def put(self, key: str, text: str) -> None:
        with self._lock:
            self._texts[key] = text
            self._texts.move_to_end(key)
            if len(self._texts) > self.limit:
                self._texts.popitem(last=False)

    def __reduce__(self) -> tuple[Any, ...]:
        return MemoryCache, (self.limit,)  # what another process gets starts empty


class DiskCache:
    """Answers in an SQLite file, shared by every process that opens it.

    Args:
        path: The file; made, with its folder, when the first answer is kept.
    """

    path: Path

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    def get(self, key: str) -> str | None:
        row = self._run("SELECT text FROM decisions WHERE key = ?", (key,)) if self.path.exists() else None
        return None if row is None else str(row[0])

    def put(self, key: str, text: str) -> None:
        self._run("INSERT OR REPLACE INTO decisions VALUES (?, ?)", (key, text))

    def _run(self, statement: str, values: tuple[str, ...]) -> Any:
        """The first row of a statement; None, and a warning in the log, when the file cannot be used.

        An answer that has been paid for must not be lost because it cannot be kept.
        """
        import sqlite3

        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.closing(sqlite3.connect(self.path, timeout=10)) as connection, connection:
                connection.execute("CREATE TABLE IF NOT EXISTS decisions (key TEXT PRIMARY KEY, text TEXT NOT NULL)")
                return connection.execute(statement, values).fetchone()
        except (sqlite3.Error, OSError) as error:
            _log.warning("The decisions in '%s' cannot be used, so models are asked again: %s.", self.path, error)
            return None
