"""The SQLite file that holds what was tracked: its tables, and writing a batch of rows.

The rows are only ever added. `synchronous=NORMAL`, also where nobody else uses the file: a checkpoint by a connection
that does not sync would undo what a persister in the same file promises. What must not live here: when a batch is
written, and what becomes of one that cannot be.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import Any, Final, NamedTuple

#: The version of the tables.
VERSION: Final = 1
#: So many applications are known by number without asking the file.
KNOWN: Final = 10_000
#: So many rows are added by one statement. Between two statements this thread waits for its turn in Python, and holds
#: the file meanwhile; a row of its own each would hold it for seconds beside a thread that computes.
TOGETHER: Final = 100
#: How long one transaction waits for those of others, in milliseconds.
PATIENCE: Final = 1_000

SCHEMA: Final = (
    """CREATE TABLE IF NOT EXISTS tracked_version (version INTEGER PRIMARY KEY)""",
    f"""INSERT OR IGNORE INTO tracked_version VALUES ({VERSION})""",
    """CREATE TABLE IF NOT EXISTS tracked_graph (digest TEXT PRIMARY KEY, data TEXT NOT NULL) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS tracked_app (
        id INTEGER PRIMARY KEY, project TEXT NOT NULL, partition_key TEXT, app_id TEXT NOT NULL,
        created_at REAL NOT NULL, graph TEXT, parent_app TEXT, parent_partition TEXT, parent_step INTEGER,
        fork_app TEXT, fork_partition TEXT, fork_step INTEGER)""",
    """CREATE TABLE IF NOT EXISTS tracked_event (
        id INTEGER PRIMARY KEY, app INTEGER NOT NULL, kind TEXT NOT NULL, step INTEGER, at REAL NOT NULL,
        data TEXT NOT NULL)""",
    """CREATE INDEX IF NOT EXISTS tracked_app_id ON tracked_app (app_id)""",
    """CREATE INDEX IF NOT EXISTS tracked_app_project ON tracked_app (project)""",
    """CREATE INDEX IF NOT EXISTS tracked_app_parent ON tracked_app (parent_app) WHERE parent_app IS NOT NULL""",
    """CREATE INDEX IF NOT EXISTS tracked_event_app ON tracked_event (app, kind, id)""",
)


class Source(NamedTuple):
    """Where an event comes from: one application in one project."""

    project: str
    partition_key: str | None
    app_id: str


class Pointer(NamedTuple):
    """A step of another application."""

    app_id: str | None = None
    partition_key: str | None = None
    sequence_id: int | None = None


class Row(NamedTuple):
    """One event as it is stored: what kind, at which step, when (seconds since 1970), and the facts as JSON text."""

    source: Source
    kind: str
    step: int | None
    at: float
    data: str


class Built(NamedTuple):
    """What is told once, when an application is built: its graph as JSON text, and where it comes from."""

    source: Source
    at: float
    digest: str
    graph: str
    parent: Pointer
    fork: Pointer


class Store:
    """The file, for one writer of this process; others may write to it at the same time.

    Args:
        path: Where it is; it is made, for its owner's eyes only, when something is first written.
        max_bytes: How large it may grow; None for as large as the disk.
    """

    def __init__(self, path: Path, max_bytes: int | None = None) -> None:
        self.path: Path = path
        self.max_bytes: int | None = max_bytes
        self._connection: sqlite3.Connection | None = None
        self._opened_file: tuple[int, int] | None = None
        self._known: dict[Source, int] = {}

    def write(self, built: Iterable[Built], rows: Iterable[Row]) -> None:
        """Add all of these, or none of them.

        Raises:
            OSError: The file cannot be made.
            sqlite3.Error: It cannot be written.
        """
        with self._transaction() as connection:
            for each in built:
                self._add_application(connection, each)
            numbered = [(self._number(connection, row), row.kind, row.step, row.at, row.data) for row in rows]
            for at in range(0, len(numbered), TOGETHER):
                part = numbered[at : at + TOGETHER]
                places = ",".join(["(?,?,?,?,?)"] * len(part))
                connection.execute(
                    f"INSERT INTO tracked_event (app, kind, step, at, data) VALUES {places}", tuple(chain(*part))
                )

    def close(self) -> None:
        """Close the file; the next write opens it again."""
        connection, self._connection = self._connection, None
        self._known.clear()
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()

    def abandon(self) -> None:
        """Forget the connection without closing it: on the other side of a fork it is somebody else's."""
        if self._connection is not None:
            _abandoned.append(self._connection)
        self._connection = None
        self._known.clear()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        connection = self._open()
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            self._known.clear()  # some of them were numbered in this very transaction
            if connection.in_transaction:
                with suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
            raise

    def _open(self) -> sqlite3.Connection:
        if self._connection is not None and self._opened_file == _file_at(self.path):
            return self._connection
        self.close()
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(FileExistsError):
            os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        connection = sqlite3.connect(self.path, timeout=PATIENCE / 1_000, isolation_level=None, check_same_thread=False)
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        self._connection, self._opened_file = connection, _file_at(self.path)
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        if self.max_bytes is not None:
            ((page,),) = connection.execute("PRAGMA page_size").fetchall()
            connection.execute(f"PRAGMA max_page_count = {max(1, self.max_bytes // page)}")
        connection.execute("BEGIN IMMEDIATE")
        for statement in SCHEMA:
            connection.execute(statement)
        connection.execute("COMMIT")

    def _number(self, connection: sqlite3.Connection, row: Row) -> int:
        number = self._known.get(row.source)
        return self._numbered(connection, row.source, row.at) if number is None else number

    def _numbered(self, connection: sqlite3.Connection, source: Source, at: float) -> int:
        found = connection.execute(
            "SELECT id FROM tracked_app WHERE app_id = ? AND project = ? AND partition_key IS ?",
            (source.app_id, source.project, source.partition_key),
        ).fetchall()
        if found:
            number: int = found[0][0]
        else:
            added = connection.execute(
                "INSERT INTO tracked_app (project, partition_key, app_id, created_at) VALUES (?,?,?,?)", (*source, at)
            )
            number = added.lastrowid or 0
        if len(self._known) >= KNOWN:
            self._known.clear()
        self._known[source] = number
        return number

    def _add_application(self, connection: sqlite3.Connection, built: Built) -> None:
        number = self._numbered(connection, built.source, built.at)
        connection.execute("INSERT OR IGNORE INTO tracked_graph VALUES (?,?)", (built.digest, built.graph))
        connection.execute(
            "UPDATE tracked_app SET graph = ?, parent_app = coalesce(?, parent_app), parent_partition = "
            "coalesce(?, parent_partition), parent_step = coalesce(?, parent_step), fork_app = coalesce(?, fork_app), "
            "fork_partition = coalesce(?, fork_partition), fork_step = coalesce(?, fork_step) WHERE id = ?",
            (built.digest, *built.parent, *built.fork, number),
        )


_abandoned: list[Any] = []  # kept, so that nothing closes what the parent process still uses


def _file_at(path: Path) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino
