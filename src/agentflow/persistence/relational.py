"""The verbs of a persister in SQL that SQLite and PostgreSQL both speak; each is one transaction.

Every change of an application's row compares the head and the epoch in its WHERE clause; the primary key of the steps
is the second lock. What must not live here: connections, or anything that only one of the two understands.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, ClassVar

from agentflow.errors import BuildError, ConflictError
from agentflow.persistence.persister import Persister, fenced, missing, refusal, unforkable
from agentflow.persistence.records import Claim, Head, Key, Mark, Pointer, Row
from agentflow.persistence.serde import Serde

#: Runs one statement with its values and gives the rows that come back.
Execute = Callable[[str, Mapping[str, Any]], Sequence[Sequence[Any]]]

_HEAD = (
    "id, partition_key, app_id, head, epoch, position, status, owner, held_until - {now}, attempt, "
    "fork_partition, fork_app, fork_step, spawn_partition, spawn_app, spawn_step, graph, created_at, updated_at"
)
_MOVED = "head = :last, position = :position, status = :status, attempt = 1, updated_at = {now}"
_AT_HEAD = "partition_key = :partition AND app_id = :app AND head = :before AND epoch = :epoch RETURNING id"
_ROW = "step, action, delta, snapshot, facts, blobs, checksum, epoch, created_at"

#: {p}: the prefix of the tables; {now}: the store's clock, in seconds; {lock}: what keeps a row that was read.
STATEMENTS: dict[str, str] = {
    "head": f"SELECT {_HEAD} FROM {{p}}_app WHERE partition_key = :partition AND app_id = :app",
    "number": "SELECT id FROM {p}_app WHERE partition_key = :partition AND app_id = :app",
    "claimed": f"SELECT {_HEAD} FROM {{p}}_app WHERE partition_key = :partition AND app_id = :app{{lock}}",
    "heads": f"SELECT {_HEAD} FROM {{p}}_app WHERE (:everybody = 1 OR partition_key = :partition) "
    "AND (partition_key, app_id) > (:after_partition, :after_app) ORDER BY partition_key, app_id LIMIT :limit",
    "first_heads": f"SELECT {_HEAD} FROM {{p}}_app WHERE (:everybody = 1 OR partition_key = :partition) "
    "ORDER BY partition_key, app_id LIMIT :limit",
    "spawned": f"SELECT {_HEAD} FROM {{p}}_app WHERE spawn_partition = :partition AND spawn_app = :app",
    "forked": f"SELECT {_HEAD} FROM {{p}}_app WHERE fork_partition = :partition AND fork_app = :app",
    "bear": "INSERT INTO {p}_app (partition_key, app_id, head, epoch, position, status, owner, held_until, attempt, "
    "fork_partition, fork_app, fork_step, spawn_partition, spawn_app, spawn_step, graph, created_at, updated_at) "
    "VALUES (:partition, :app, :head, 1, :position, :status, :owner, {now} + :seconds, 1, "
    ":fork_partition, :fork_app, :fork_step, :spawn_partition, :spawn_app, :spawn_step, :graph, {now}, {now}) "
    "ON CONFLICT (partition_key, app_id) DO NOTHING RETURNING id",
    "take": "UPDATE {p}_app SET epoch = epoch + 1, owner = :owner, held_until = {now} + :seconds, "
    "attempt = attempt + CASE WHEN owner = '' THEN 0 ELSE 1 END WHERE id = :id RETURNING epoch, attempt",
    "renew": "UPDATE {p}_app SET held_until = {now} + :seconds "
    "WHERE partition_key = :partition AND app_id = :app AND epoch = :epoch AND owner <> '' RETURNING id",
    "release": "UPDATE {p}_app SET owner = '', held_until = 0 "
    "WHERE partition_key = :partition AND app_id = :app AND epoch = :epoch",
    "release_as": "UPDATE {p}_app SET owner = '', held_until = 0, position = :position, status = :status "
    "WHERE partition_key = :partition AND app_id = :app AND epoch = :epoch",
    "move": f"UPDATE {{p}}_app SET {_MOVED} WHERE {_AT_HEAD}",
    "move_last": f"UPDATE {{p}}_app SET {_MOVED}, owner = '', held_until = 0 WHERE {_AT_HEAD}",
    "note": "UPDATE {p}_app SET position = :position, status = :status, attempt = attempt + :failed, "
    "updated_at = {now} "
    "WHERE partition_key = :partition AND app_id = :app AND head = :head AND epoch = :epoch RETURNING id",
    "add": "INSERT INTO {p}_step (app, step, action, delta, snapshot, facts, blobs, checksum, epoch, created_at) "
    "VALUES (:id, :step, :action, :delta, :snapshot, :facts, :blobs, :checksum, :epoch, {now})",
    "swap": "UPDATE {p}_step SET delta = :delta, snapshot = :snapshot, facts = :facts, blobs = :blobs, "
    "checksum = :checksum WHERE app = (SELECT id FROM {p}_app WHERE partition_key = :partition AND app_id = :app) "
    "AND step = :step RETURNING app",
    "trail": f"SELECT {_ROW} FROM {{p}}_step WHERE app = :id AND step <= :upto AND step >= COALESCE("
    "(SELECT MAX(step) FROM {p}_step WHERE app = :id AND step <= :upto AND snapshot IS NOT NULL), -2) ORDER BY step",
    "rows": f"SELECT {_ROW} FROM {{p}}_step WHERE app = :id AND step > :after ORDER BY step LIMIT :limit",
    "keep": "INSERT INTO {p}_blob (digest, body) VALUES (:digest, :body) ON CONFLICT (digest) DO NOTHING",
    "use": "INSERT INTO {p}_use (app, step, digest) VALUES (:id, :step, :digest) ON CONFLICT DO NOTHING",
    "blob": "SELECT body FROM {p}_blob WHERE digest = :digest",
    "trim": "DELETE FROM {p}_step WHERE app = :id AND step < :before",
    "unuse": "DELETE FROM {p}_use WHERE app = :id AND step < :before",
    "stands": "SELECT 1 FROM {p}_step WHERE app = :id AND step = :step",
    "leaning": "SELECT 1 FROM {p}_app AS fork WHERE fork_partition = :partition AND fork_app = :app "
    "AND fork_step < :before AND EXISTS (SELECT 1 FROM {p}_step "
    "WHERE {p}_step.app = fork.id AND step = fork.fork_step AND snapshot IS NULL) LIMIT 1",
    "forget": "DELETE FROM {p}_app WHERE id = :id",
    "used": "SELECT DISTINCT digest FROM {p}_use WHERE app = :id AND step < :before",
    "sweep": "DELETE FROM {p}_blob WHERE digest = :digest "
    "AND NOT EXISTS (SELECT 1 FROM {p}_use WHERE digest = :digest)",
}

#: After every step that can be.
_ALL = 2**62


class RelationalPersister(Persister):
    """A persister over SQL; subclasses say how a transaction is made.

    Attributes:
        now: The store's clock as an SQL expression, in seconds since 1970.
        lock: What is added to a SELECT so that nobody changes the row before the transaction ends.
        alone: What keeps others from adding large values while unused ones are deleted.
    """

    now: ClassVar[str]
    lock: ClassVar[str] = ""
    alone: ClassVar[str] = ""

    def __init__(self, serde: Serde | None = None, table_name: str = "agentflow") -> None:
        super().__init__(serde)
        if not table_name.isidentifier() or not table_name.isascii():
            raise BuildError(f"table_name={table_name!r} is no plain name: use letters, digits and underscores.")
        self.table_name: str = table_name
        self._sql: dict[str, str] = {name: self._worded(text) for name, text in STATEMENTS.items()}

    @abstractmethod
    def _transaction(self, durable: bool) -> AbstractContextManager[Execute]:
        """A transaction that writes: committed at its end, rolled back by any exception.

        Raises:
            StoreError: The database cannot be reached or written.
        """

    @abstractmethod
    def _snapshot(self) -> AbstractContextManager[Execute]:
        """The same for reading: everything is read as of one instant."""

    def _worded(self, text: str) -> str:
        return text.format(p=self.table_name, now=self.now, lock=self.lock)

    # -- writing

    def claim(self, key: Key, claim: Claim) -> Head:
        with self._transaction(durable=False) as run:
            head = self._one(run, "claimed", key)
            if head is None:
                return self._born(run, key, claim)
            refused = refusal(claim, head[1])
            if refused is not None:
                raise refused
            facts = {"owner": claim.owner, "seconds": claim.seconds, "id": head[0]}
            ((epoch, attempt),) = run(self._sql["take"], facts)
            return _owned(head[1], epoch, attempt, claim)

    def _born(self, run: Execute, key: Key, claim: Claim) -> Head:
        birth = claim.birth
        if birth is None:
            raise missing(key)
        if birth.fork is not None:
            source = self._one(run, "claimed", birth.fork.key)  # and held: it is not deleted before this is done
            if source is None or not run(self._sql["stands"], {"id": source[0], "step": birth.fork.sequence_id}):
                raise unforkable(birth.fork)
        facts = {"head": birth.row.sequence_id, "position": birth.mark.position, "status": birth.mark.status}
        facts |= {"owner": claim.owner, "seconds": claim.seconds, "graph": birth.graph, **_whose(key)}
        found = run(self._sql["bear"], facts | _pointed("fork", birth.fork) | _pointed("spawn", birth.spawn))
        if not found:  # somebody made it since we looked
            raise ConflictError(f"application {key.app_id!r} was made by somebody else just now: load it.", key.app_id)
        self._add(run, found[0][0], [birth.row], birth.blobs, 1)
        head = self._one(run, "head", key)
        assert head is not None
        return head[1]

    def renew(self, key: Key, epoch: int, seconds: float) -> bool:
        with self._transaction(durable=False) as run:
            return bool(run(self._sql["renew"], {"epoch": epoch, "seconds": seconds, **_whose(key)}))

    def release(self, key: Key, epoch: int, mark: Mark | None = None) -> None:
        with self._transaction(durable=False) as run:
            facts: dict[str, Any] = {"epoch": epoch, **_whose(key)}
            if mark is None:
                run(self._sql["release"], facts)
            else:
                run(self._sql["release_as"], facts | {"position": mark.position, "status": mark.status})

    def commit(
        self,
        key: Key,
        epoch: int,
        rows: Sequence[Row],
        mark: Mark,
        blobs: Mapping[str, str],
        durable: bool = True,
        release: bool = False,
    ) -> None:
        facts = {"before": rows[0].sequence_id - 1, "last": rows[-1].sequence_id, "epoch": epoch}
        facts |= {"position": mark.position, "status": mark.status, **_whose(key)}  # type: ignore[dict-item]
        with self._transaction(durable) as run:
            found = run(self._sql["move_last" if release else "move"], facts)
            if not found:
                raise self._overtaken(run, key)
            self._add(run, found[0][0], rows, blobs, epoch)

    def note(self, key: Key, epoch: int, head: int, mark: Mark, failed: bool = False, durable: bool = True) -> None:
        facts = {"epoch": epoch, "head": head, "failed": int(failed), **_whose(key)}
        with self._transaction(durable) as run:
            if not run(self._sql["note"], facts | {"position": mark.position, "status": mark.status}):
                raise self._overtaken(run, key)

    def replace(self, key: Key, row: Row, blobs: Mapping[str, str]) -> None:
        with self._transaction(durable=True) as run:
            found = run(self._sql["swap"], _stored(row) | _whose(key))
            for app, *_ in found:
                self._keep(run, app, [row], blobs)

    def remove(self, key: Key, before: int | None = None) -> bool:
        with self._transaction(durable=True) as run:
            head = self._one(run, "claimed", key)
            if head is None:
                return True
            facts = {"id": head[0], "before": _ALL if before is None else before}
            if run(self._sql["leaning"], {"before": facts["before"], **_whose(key)}):
                return False
            used = run(self._sql["used"], facts)
            run(self._sql["trim"], facts)
            run(self._sql["unuse"], facts)
            if before is None:
                run(self._sql["forget"], {"id": head[0]})
            if used and self.alone:
                run(self._worded(self.alone), {})
            for (digest,) in used:
                run(self._sql["sweep"], {"digest": digest})
            return True

    # -- reading

    def head(self, key: Key) -> Head | None:
        with self._snapshot() as run:
            found = self._one(run, "head", key)
            return None if found is None else found[1]

    def heads(self, partition: str | None = None, after: Key | None = None, limit: int | None = None) -> list[Head]:
        facts = {
            "everybody": int(partition is None),
            "partition": partition or "",
            "limit": _ALL if limit is None else limit,
        }
        with self._snapshot() as run:
            if after is None:
                found = run(self._sql["first_heads"], facts)
            else:
                paged = {"after_partition": after.partition, "after_app": after.app_id}
                found = run(self._sql["heads"], facts | paged)
        return [_head(values)[1] for values in found]

    def trail(self, key: Key, upto: int) -> list[Row]:
        return self._rows(key, "trail", {"upto": upto})

    def rows(self, key: Key, after: int | None = None, limit: int | None = None) -> list[Row]:
        return self._rows(
            key, "rows", {"after": -2 if after is None else after, "limit": _ALL if limit is None else limit}
        )

    def blob(self, digest: str) -> str | None:
        with self._snapshot() as run:
            found = run(self._sql["blob"], {"digest": digest})
        return str(found[0][0]) if found else None

    def offspring(self, key: Key) -> tuple[list[Head], list[Head]]:
        with self._snapshot() as run:
            spawned, forked = (run(self._sql[name], _whose(key)) for name in ("spawned", "forked"))
        return [_head(values)[1] for values in spawned], [_head(values)[1] for values in forked]

    # -- inside

    def _one(self, run: Execute, statement: str, key: Key) -> tuple[int, Head] | None:
        found = run(self._sql[statement], _whose(key))
        return _head(found[0]) if found else None

    def _overtaken(self, run: Execute, key: Key) -> ConflictError:
        head = self._one(run, "head", key)
        return fenced(key, None if head is None else head[1].sequence_id)

    def _add(self, run: Execute, app: int, rows: Sequence[Row], blobs: Mapping[str, str], epoch: int) -> None:
        self._keep(run, app, rows, blobs)
        for row in rows:
            run(self._sql["add"], _stored(row) | {"id": app, "action": row.action, "epoch": epoch})

    def _keep(self, run: Execute, app: int, rows: Sequence[Row], blobs: Mapping[str, str]) -> None:
        used = {digest for row in rows for digest in row.blobs}
        for digest in sorted(used & blobs.keys()):  # in one order, so that no two wait for each other
            run(self._sql["keep"], {"digest": digest, "body": blobs[digest]})
        for row in rows:
            for digest in row.blobs:
                run(self._sql["use"], {"id": app, "step": row.sequence_id, "digest": digest})

    def _rows(self, key: Key, statement: str, facts: Mapping[str, Any]) -> list[Row]:
        with self._snapshot() as run:
            numbers = run(self._sql["number"], _whose(key))
            found = [row for (number,) in numbers for row in run(self._sql[statement], {"id": number, **facts})]
        return [_row(*values) for values in found]


def _row(step: int, action: str | None, delta: str, snapshot: str | None, facts: str, blobs: str, *rest: Any) -> Row:
    return Row(step, action, delta, snapshot, facts, tuple(blobs.split()), *rest)


def _whose(key: Key) -> dict[str, Any]:
    return {"partition": key.partition, "app": key.app_id}


def _stored(row: Row) -> dict[str, Any]:
    return {
        "step": row.sequence_id,
        "delta": row.delta,
        "snapshot": row.snapshot,
        "facts": row.facts,
        "blobs": " ".join(row.blobs),
        "checksum": row.checksum,
    }


def _pointed(name: str, pointer: Pointer | None) -> dict[str, Any]:
    if pointer is None:
        return {f"{name}_partition": None, f"{name}_app": None, f"{name}_step": None}
    key = pointer.key
    return {f"{name}_partition": key.partition, f"{name}_app": key.app_id, f"{name}_step": pointer.sequence_id}


def _head(values: Sequence[Any]) -> tuple[int, Head]:
    number, partition, app, step, epoch, position, status, owner, lease, attempt, *rest = values
    fork, spawn = (None if rest[at] is None else Pointer(Key(*rest[at : at + 2]), rest[at + 2]) for at in (0, 3))
    key, mark = Key(partition, app), Mark(position, status)
    return number, Head(key, step, epoch, mark, owner, float(lease), attempt, fork, spawn, *rest[6:])


def _owned(head: Head, epoch: int, attempt: int, claim: Claim) -> Head:
    rest = head.fork, head.spawn, head.graph, head.created_at, head.updated_at
    return Head(head.key, head.sequence_id, epoch, head.mark, claim.owner, claim.seconds, attempt, *rest)
