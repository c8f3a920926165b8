"""PostgresPersister: one PostgreSQL for many hosts, over psycopg 3 and a pool of connections.

A commit waits for the server's disk, whatever the server's default is; a claim does not. What must not live here: what
is written (`relational.py`).
"""

from __future__ import annotations

import math
import os
import re
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from agentflow.errors import BuildError, MissingExtraError, StoreError
from agentflow.persistence.failpoints import reach
from agentflow.persistence.relational import Execute, RelationalPersister
from agentflow.persistence.serde import Serde
from agentflow.runtime import Lock, new_lock

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg_pool import ConnectionPool

#: How long a verb waits for a free connection, or for the server to come back, unless somebody says otherwise.
PATIENCE = 10.0

SCHEMA = """
CREATE TABLE IF NOT EXISTS {p}_app (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, partition_key TEXT COLLATE "C" NOT NULL,
    app_id TEXT COLLATE "C" NOT NULL, head BIGINT NOT NULL, epoch BIGINT NOT NULL, position TEXT NOT NULL,
    status TEXT NOT NULL, owner TEXT NOT NULL, held_until DOUBLE PRECISION NOT NULL, attempt BIGINT NOT NULL,
    fork_partition TEXT, fork_app TEXT, fork_step BIGINT, spawn_partition TEXT, spawn_app TEXT, spawn_step BIGINT,
    graph TEXT NOT NULL, created_at DOUBLE PRECISION NOT NULL, updated_at DOUBLE PRECISION NOT NULL,
    UNIQUE (partition_key, app_id));
CREATE TABLE IF NOT EXISTS {p}_step (
    app BIGINT NOT NULL, step BIGINT NOT NULL, action TEXT, delta TEXT NOT NULL, snapshot TEXT, facts TEXT NOT NULL,
    blobs TEXT NOT NULL, checksum BIGINT NOT NULL, epoch BIGINT NOT NULL, created_at DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (app, step));
CREATE TABLE IF NOT EXISTS {p}_blob (digest TEXT PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS {p}_use (
    app BIGINT NOT NULL, step BIGINT NOT NULL, digest TEXT NOT NULL, PRIMARY KEY (app, step, digest));
CREATE INDEX IF NOT EXISTS {p}_used ON {p}_use (digest);
CREATE INDEX IF NOT EXISTS {p}_spawned ON {p}_app (spawn_partition, spawn_app) WHERE spawn_app IS NOT NULL;
CREATE INDEX IF NOT EXISTS {p}_forked ON {p}_app (fork_partition, fork_app) WHERE fork_app IS NOT NULL;
CREATE INDEX IF NOT EXISTS {p}_snapshots ON {p}_step (app, step) WHERE snapshot IS NOT NULL;
"""
#: Held while the tables are made, so that two who start at once do not stumble over each other.
_MAKING = 0x6167656E74666C77


class PostgresPersister(RelationalPersister):
    """Saves runs in a PostgreSQL database, for any number of processes and hosts.

    Args:
        dsn: Where it is, as libpq takes it: `postgresql://user@host/database`, or `key=value` pairs.
        serde: How values become text.
        table_name: What the names of the tables begin with.
        max_connections: How many connections this object opens at most, in each process.
        wait_seconds: How long a verb waits for a free one of them, or for a server that went away to come back; then
            it raises `StoreError`. Connecting for the first time waits at least 2 seconds, which libpq asks for, unless
            the dsn says `connect_timeout`. A statement that is under way is not cut short by it.

    Raises:
        BuildError: `wait_seconds` is not positive.
        MissingExtraError: psycopg is not installed.
        StoreError: The server cannot be reached; every verb says so.

    Example:
        >>> persister = PostgresPersister("postgresql://agents@db.example.com/agents")
    """

    now: ClassVar[str] = "CAST(EXTRACT(EPOCH FROM clock_timestamp()) AS double precision)"
    lock: ClassVar[str] = " FOR UPDATE"
    alone: ClassVar[str] = "LOCK TABLE {p}_blob IN SHARE ROW EXCLUSIVE MODE"

    def __init__(
        self,
        dsn: str,
        serde: Serde | None = None,
        table_name: str = "agentflow",
        max_connections: int = 8,
        wait_seconds: float = PATIENCE,
    ) -> None:
        super().__init__(serde, table_name)
        if wait_seconds <= 0:
            raise BuildError(f"wait_seconds={wait_seconds} waits for nothing: give seconds, more than 0.")
        try:
            import psycopg
            import psycopg_pool
        except ImportError as error:
            raise MissingExtraError("PostgresPersister", "postgres") from error
        self._errors: tuple[type[Exception], ...] = (psycopg.Error, psycopg_pool.PoolTimeout, psycopg_pool.PoolClosed)
        self.dsn = dsn
        self.max_connections = max_connections
        self.wait_seconds = wait_seconds
        self._pool: ConnectionPool[Connection[Any]] | None = None
        self._opening: Lock = new_lock()
        self._sql = {name: re.sub(r":(\w+)", r"%(\1)s", text) for name, text in self._sql.items()}
        _everywhere.add(self)

    def initialize(self) -> None:
        with self._connection("written"):
            pass  # a pool is opened with its tables

    def is_initialized(self) -> bool:
        with self._connection("read") as connection:
            found = connection.execute("SELECT to_regclass(%s)", (f"{self.table_name}_app",)).fetchone()
            return bool(found and found[0])

    def close(self) -> None:
        with self._opening:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return PostgresPersister, (self.dsn, self.serde, self.table_name, self.max_connections, self.wait_seconds)

    # -- transactions

    @contextmanager
    def _transaction(self, durable: bool) -> Iterator[Execute]:
        with self._connection("written") as connection, connection.transaction():
            if not durable:
                connection.execute("SET LOCAL synchronous_commit = off")
            yield _execute(connection)
            reach("in-transaction")

    @contextmanager
    def _snapshot(self) -> Iterator[Execute]:
        with self._connection("read") as connection, connection.transaction():
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            yield _execute(connection)

    @contextmanager
    def _connection(self, what: str) -> Iterator[Connection[Any]]:
        try:
            with self._opened().connection() as connection:
                yield connection
        except self._errors as error:
            said = str(error).strip().partition("\n")[0]
            raise StoreError(
                f"the PostgreSQL database could not be {what} ({type(error).__name__}: {said}): see that it runs and "
                "can be reached, and run again."
            ) from error

    def _opened(self) -> ConnectionPool[Connection[Any]]:
        import psycopg
        from psycopg_pool import ConnectionPool

        with self._opening:
            if self._pool is None:
                within = max(2, math.ceil(self.wait_seconds))
                told: dict[str, Any] = {} if "connect_timeout" in self.dsn else {"connect_timeout": within}
                with psycopg.connect(self.dsn, **told) as connection:  # the error of a pool would not say why
                    self._prepare(connection)
                self._pool = ConnectionPool(
                    self.dsn,
                    min_size=1,
                    max_size=self.max_connections,
                    kwargs=told,
                    timeout=self.wait_seconds,
                    num_workers=1,
                    configure=_configure,
                    check=ConnectionPool.check_connection,
                    open=True,
                )
            return self._pool

    def _prepare(self, connection: Connection[Any]) -> None:
        last = f"{self.table_name}_snapshots"
        found = connection.execute("SELECT to_regclass(%s), current_setting('fsync')", (last,)).fetchone()
        made, synced = found or (None, "off")
        self.promise = "durable" if synced == "on" else "cache-grade"
        if made is None:
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (_MAKING,))
            for statement in self._worded(SCHEMA).split(";\n"):
                if statement.strip():
                    connection.execute(statement)

    def _forget(self) -> None:
        """In a forked child the connections are the parent's."""
        if self._pool is not None:
            _abandoned.append(self._pool)
        self._pool, self._opening = None, new_lock()


def _configure(connection: Connection[Any]) -> None:
    """A commit waits for the disk here, even where the server's own setting is not to."""
    found = connection.execute("SHOW synchronous_commit").fetchone()
    if found and found[0] == "off":
        connection.execute("SET synchronous_commit = on")
    connection.commit()


def _execute(connection: Connection[Any]) -> Execute:
    def run(statement: str, values: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
        cursor = connection.execute(statement, values)
        return cursor.fetchall() if cursor.description is not None else ()

    return run


_abandoned: list[Any] = []  # kept, so that nothing closes what the parent process still uses
_everywhere: weakref.WeakSet[PostgresPersister] = weakref.WeakSet()


def _forget() -> None:
    for persister in _everywhere:
        persister._forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
