"""SQLitePersister: the embedded store, one file, over the standard library.

Write-ahead log, `synchronous=FULL` for what has to be durable and `NORMAL` for claims, which the next durable commit
carries to the disk. One connection writes and one reads, for all applications and threads of a process. What must not
live here: what is written (`relational.py`).
"""

from __future__ import annotations

import os
import sqlite3
import time
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar, NoReturn

from agentflow.errors import BuildError, StoreError
from agentflow.persistence.failpoints import reach
from agentflow.persistence.relational import Execute, RelationalPersister
from agentflow.persistence.serde import Serde
from agentflow.runtime import Lock, new_lock

#: What `PRAGMA user_version` says of the tables below; one with another, but for 0, is a newer agentflow's or no store.
VERSION = 1
#: How long a transaction waits for those of other processes, in seconds.
PATIENCE = 30.0

SCHEMA = """
CREATE TABLE IF NOT EXISTS {p}_app (
    id INTEGER PRIMARY KEY, partition_key TEXT NOT NULL, app_id TEXT NOT NULL, head INTEGER NOT NULL,
    epoch INTEGER NOT NULL, position TEXT NOT NULL, status TEXT NOT NULL, owner TEXT NOT NULL, held_until REAL NOT NULL,
    attempt INTEGER NOT NULL, fork_partition TEXT, fork_app TEXT, fork_step INTEGER, spawn_partition TEXT,
    spawn_app TEXT, spawn_step INTEGER, graph TEXT NOT NULL, created_at REAL NOT NULL, updated_at REAL NOT NULL,
    UNIQUE (partition_key, app_id));
CREATE TABLE IF NOT EXISTS {p}_step (
    app INTEGER NOT NULL, step INTEGER NOT NULL, action TEXT, delta TEXT NOT NULL, snapshot TEXT, facts TEXT NOT NULL,
    blobs TEXT NOT NULL, checksum INTEGER NOT NULL, epoch INTEGER NOT NULL, created_at REAL NOT NULL,
    PRIMARY KEY (app, step));
CREATE TABLE IF NOT EXISTS {p}_blob (digest TEXT PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS {p}_use (
    app INTEGER NOT NULL, step INTEGER NOT NULL, digest TEXT NOT NULL, PRIMARY KEY (app, step, digest)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS {p}_used ON {p}_use (digest);
CREATE INDEX IF NOT EXISTS {p}_spawned ON {p}_app (spawn_partition, spawn_app) WHERE spawn_app IS NOT NULL;
CREATE INDEX IF NOT EXISTS {p}_forked ON {p}_app (fork_partition, fork_app) WHERE fork_app IS NOT NULL;
CREATE INDEX IF NOT EXISTS {p}_snapshots ON {p}_step (app, step) WHERE snapshot IS NOT NULL;
"""

#: Where the locks that a write-ahead log needs do not work.
NETWORK_FILESYSTEMS = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs", "glusterfs", "ceph"})


class SQLitePersister(RelationalPersister):
    """Saves runs in one SQLite file.

    Args:
        db_path: The file; it is made, readable by its owner only, when it is not there.
        serde: How values become text.
        table_name: What the names of the tables begin with.
        allow_network_filesystem: Use a file on a network filesystem, where its locks may not hold.

    Raises:
        BuildError: `db_path` is ":memory:".
        StoreError: The file cannot be opened, or its `user_version` is somebody else's; other tables may be in it.

    Example:
        >>> persister = SQLitePersister("agents.db")
        >>> app = builder.with_state_persister(persister).initialize_from(persister, default_entrypoint="ask").build()
    """

    now: ClassVar[str] = "((julianday('now') - 2440587.5) * 86400.0)"

    def __init__(
        self,
        db_path: str | os.PathLike[str] = "agentflow.db",
        serde: Serde | None = None,
        table_name: str = "agentflow",
        allow_network_filesystem: bool = False,
    ) -> None:
        super().__init__(serde, table_name)
        if db_path == ":memory:":
            raise BuildError('SQLitePersister(":memory:") names no file: use InMemoryPersister() to save in memory.')
        self.db_path: Path = Path(db_path).absolute()
        self._allow_network = allow_network_filesystem
        self._writer: sqlite3.Connection | None = None
        self._reader: sqlite3.Connection | None = None
        self._durable: bool | None = None
        self._writing: Lock = new_lock()
        self._looking: Lock = new_lock()
        _everywhere.add(self)

    def initialize(self) -> None:
        with self._transaction(durable=True):
            pass  # a connection is made with its tables

    def is_initialized(self) -> bool:
        if not self.db_path.exists():
            return False
        with self._explained("read"), closing(self._opened()) as connection:
            return f"{self.table_name}_app" in _tables(connection)

    def close(self) -> None:
        with self._writing, self._looking:
            for connection in (self._writer, self._reader):
                if connection is not None:
                    connection.close()
            self._writer = self._reader = None

    def __reduce__(self) -> tuple[Any, ...]:
        return SQLitePersister, (self.db_path, self.serde, self.table_name, self._allow_network)

    # -- transactions

    @contextmanager
    def _transaction(self, durable: bool) -> Iterator[Execute]:
        with self._writing, self._explained("written"):
            connection = self._writing_connection()
            if durable is not self._durable:
                connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
                self._durable = durable
            _begin(connection)
            try:
                yield _execute(connection)
                reach("in-transaction")
                connection.execute("COMMIT")
            finally:
                _roll_back(connection)

    @contextmanager
    def _snapshot(self) -> Iterator[Execute]:
        with self._looking, self._explained("read"):
            connection = self._reading_connection()
            connection.execute("BEGIN")
            try:
                yield _execute(connection)
            finally:
                _roll_back(connection)

    @contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            lost = "nothing of this was saved; " if what == "written" else ""
            raise StoreError(
                f"the SQLite file {self.db_path} could not be {what} ({error}): {lost}put that right and run again."
            ) from error

    # -- connections

    def _writing_connection(self) -> sqlite3.Connection:
        if self._writer is None:
            connection = self._opened()
            try:
                self._prepare(connection)
            except BaseException:
                connection.close()  # or the next verb would take it for one that is prepared
                raise
            self._writer, self._durable = connection, None
        return self._writer

    def _reading_connection(self) -> sqlite3.Connection:
        if self._reader is None:
            with self._writing:
                self._writing_connection()
            self._reader = self._opened()
        _roll_back(self._reader)
        return self._reader

    def _forget(self) -> None:
        """In a forked child a connection must neither be used nor closed, and nobody is left to unlock anything."""
        _abandoned.extend(each for each in (self._writer, self._reader) if each is not None)
        self._writer = self._reader = None
        self._writing, self._looking = new_lock(), new_lock()

    def _opened(self) -> sqlite3.Connection:
        self._check_place()
        with suppress(FileExistsError):
            os.close(os.open(self.db_path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        return sqlite3.connect(self.db_path, timeout=PATIENCE, isolation_level=None, check_same_thread=False)

    def _check_place(self) -> None:
        if not self.db_path.parent.is_dir():
            raise StoreError(f"there is no directory {self.db_path.parent} to keep {self.db_path.name} in: make it.")
        kind = filesystem_of(self.db_path.parent)
        if kind in NETWORK_FILESYSTEMS and not self._allow_network:
            raise StoreError(
                f"{self.db_path} lies on a network filesystem ({kind}), where SQLite's locks may not hold: use a local "
                "disk or PostgreSQL, or pass allow_network_filesystem=True."
            )

    def _prepare(self, connection: sqlite3.Connection) -> None:
        ((version,),) = connection.execute("PRAGMA user_version").fetchall()
        if version not in (0, VERSION):
            self._refuse(version, _tables(connection))
        connection.execute("PRAGMA journal_mode = WAL")
        _begin(connection)
        for statement in self._worded(SCHEMA).split(";"):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")

    def _refuse(self, version: int, found: set[str]) -> NoReturn:
        if f"{self.table_name}_app" in found:
            raise StoreError(
                f"{self.db_path} was written by a newer agentflow (version {version} of its tables, this one knows "
                f"{VERSION}): install that one."
            )
        raise StoreError(
            f"{self.db_path} is somebody else's database (user_version {version}): nothing in it was changed; give the "
            "runs a file of their own."
        )


_abandoned: list[sqlite3.Connection] = []  # kept, so that nothing closes what the parent process still uses
_everywhere: weakref.WeakSet[SQLitePersister] = weakref.WeakSet()


def _forget() -> None:
    for persister in _everywhere:
        persister._forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def _begin(connection: sqlite3.Connection) -> None:
    _roll_back(connection)
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:  # some locks are refused without waiting for them
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
        else:
            return


def _roll_back(connection: sqlite3.Connection) -> None:
    """End a transaction that was not committed; an interrupt may have come between it and its end."""
    if connection.in_transaction:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")


def _tables(connection: sqlite3.Connection) -> set[str]:
    return {str(name) for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type <> 'index'")}


def _execute(connection: sqlite3.Connection) -> Execute:
    def run(statement: str, values: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
        return connection.execute(statement, values).fetchall()

    return run


def filesystem_of(folder: Path) -> str:
    """The kind of filesystem a folder lies on, "" where that cannot be told."""
    inner, best, kind = f"{folder.resolve()}/", "", ""
    with suppress(OSError), open("/proc/mounts", encoding="utf-8") as mounts:
        for line in mounts:
            _, where, named, *_ = line.split(" ")
            if inner.startswith(f"{where.rstrip('/')}/") and len(where) >= len(best):
                best, kind = where, named
    return kind


SQLLitePersister = SQLitePersister  # the name under which others know it
