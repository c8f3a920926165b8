"""InMemoryPersister: the whole promise in dictionaries, for tests and for programs that fork and rewind.

What must not live here: anything that outlives the process.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from agentflow.persistence.persister import Persister, fenced, missing, refusal, unforkable
from agentflow.persistence.records import Claim, Head, Key, Loaded, Mark, Row
from agentflow.persistence.serde import Serde
from agentflow.runtime import new_lock


class InMemoryPersister(Persister):
    """Saves runs in this process; they end with it.

    Example:
        >>> app = builder.with_state_persister(InMemoryPersister()).build()
    """

    waits: ClassVar[bool] = False
    promise: str = "process"

    def __init__(self, serde: Serde | None = None) -> None:
        super().__init__(serde)
        self._heads: dict[Key, tuple[Head, float]] = {}  # with the end of the lease
        self._rows: dict[Key, dict[int, Row]] = {}
        self._blobs: dict[str, str] = {}
        self._offspring: defaultdict[tuple[str, Key], set[Key]] = defaultdict(set)  # how they came, and from whom
        self._lock = new_lock()

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("an InMemoryPersister is in one process: use a SQLitePersister to share between processes.")

    def initialize(self) -> None:
        """Nothing is needed."""

    def is_initialized(self) -> bool:
        return True

    def close(self) -> None:
        """There is nothing to let go of."""

    def claim(self, key: Key, claim: Claim) -> Head:
        with self._lock:
            head = self._seen(key)
            now = time.time()
            if head is None:
                birth = claim.birth
                if birth is None:
                    raise missing(key)
                if birth.fork is not None and birth.fork.sequence_id not in self._rows.get(birth.fork.key, {}):
                    raise unforkable(birth.fork)
                made = (claim.owner, claim.seconds, 1, birth.fork, birth.spawn, birth.graph, now, now)
                head = Head(key, birth.row.sequence_id, 1, birth.mark, *made)
                self._rows[key] = {birth.row.sequence_id: birth.row._replace(epoch=1, created_at=now)}
                self._blobs.update(birth.blobs)
                for source in _sources(head):
                    self._offspring[source].add(key)
            else:
                refused = refusal(claim, head)
                if refused is not None:
                    raise refused
                attempt = head.attempt + bool(head.owner)
                owned = {"owner": claim.owner, "lease": claim.seconds, "attempt": attempt}
                head = replace(head, epoch=head.epoch + 1, **owned)  # type: ignore[arg-type]
            self._heads[key] = head, time.monotonic() + claim.seconds
            return head

    def renew(self, key: Key, epoch: int, seconds: float) -> bool:
        with self._lock:
            head = self._seen(key)
            if head is None or head.epoch != epoch or not head.owner:
                return False
            self._heads[key] = head, time.monotonic() + seconds
            return True

    def release(self, key: Key, epoch: int, mark: Mark | None = None) -> None:
        with self._lock:
            head = self._seen(key)
            if head is not None and head.epoch == epoch:
                self._free(key, mark or head.mark)

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
        with self._lock:
            head = self._owned(key, epoch, rows[0].sequence_id - 1)
            now = time.time()
            for row in rows:
                self._rows[key][row.sequence_id] = row._replace(epoch=epoch, created_at=now)
            self._blobs.update(blobs)
            self._keep(replace(head, sequence_id=rows[-1].sequence_id, mark=mark, attempt=1, updated_at=now))
            if release:
                self._free(key, mark)

    def note(self, key: Key, epoch: int, head: int, mark: Mark, failed: bool = False, durable: bool = True) -> None:
        with self._lock:
            found = self._owned(key, epoch, head)
            self._keep(replace(found, mark=mark, attempt=found.attempt + failed, updated_at=time.time()))

    def head(self, key: Key) -> Head | None:
        with self._lock:
            return self._seen(key)

    def heads(self, partition: str | None = None, after: Key | None = None, limit: int | None = None) -> list[Head]:
        with self._lock:
            keys = sorted(
                key
                for key in self._heads
                if (partition is None or key.partition == partition) and (after is None or key > after)
            )
            found = [self._seen(key) for key in keys[:limit]]
            return [head for head in found if head is not None]

    def trail(self, key: Key, upto: int) -> list[Row]:
        rows = [row for row in self.rows(key) if row.sequence_id <= upto]
        snapshots = [position for position, row in enumerate(rows) if row.snapshot is not None]
        return rows[snapshots[-1] if snapshots else 0 :]

    def rows(self, key: Key, after: int | None = None, limit: int | None = None) -> list[Row]:
        with self._lock:
            kept = self._rows.get(key, {})
            return [kept[number] for number in sorted(kept) if after is None or number > after][:limit]

    def blob(self, digest: str) -> str | None:
        return self._blobs.get(digest)

    def offspring(self, key: Key) -> tuple[list[Head], list[Head]]:
        with self._lock:
            return self._came("spawn", key), self._came("fork", key)

    def replace(self, key: Key, row: Row, blobs: Mapping[str, str]) -> None:
        with self._lock:
            before = self._rows.get(key, {}).get(row.sequence_id)
            if before is not None:
                self._rows[key][row.sequence_id] = row._replace(epoch=before.epoch, created_at=before.created_at)
                self._blobs.update(blobs)

    def remove(self, key: Key, before: int | None = None) -> bool:
        with self._lock:
            if any(self._leans(fork.key, before) for fork in self._came("fork", key)):
                return False
            kept = self._rows.get(key, {})
            for number in [number for number in kept if before is None or number < before]:
                del kept[number]
            if before is None:
                self._rows.pop(key, None)
                self._forget(key)
            used = {digest for rows in self._rows.values() for row in rows.values() for digest in row.blobs}
            self._blobs = {digest: body for digest, body in self._blobs.items() if digest in used}
            return True

    def _leans(self, fork: Key, before: int | None) -> bool:
        """Whether a fork begins before that step, with no snapshot of its own."""
        first = min(self._rows[fork])
        return self._rows[fork][first].snapshot is None and (before is None or first < before)

    def _came(self, how: str, source: Key) -> list[Head]:
        found = [self._seen(key) for key in sorted(self._offspring.get((how, source), ()))]
        return [head for head in found if head is not None]

    def _forget(self, key: Key) -> None:
        head, _ = self._heads.pop(key, (None, 0.0))
        for source in () if head is None else _sources(head):
            self._offspring[source].discard(key)
            if not self._offspring[source]:
                del self._offspring[source]

    def _seen(self, key: Key) -> Head | None:
        found = self._heads.get(key)
        return None if found is None else replace(found[0], lease=found[1] - time.monotonic())

    def _owned(self, key: Key, epoch: int, expected: int) -> Head:
        head = self._seen(key)
        if head is None or head.epoch != epoch or head.sequence_id != expected:
            raise fenced(key, None if head is None else head.sequence_id)
        return head

    def _free(self, key: Key, mark: Mark) -> None:
        self._heads[key] = replace(self._heads[key][0], owner="", mark=mark), 0.0

    def _keep(self, head: Head) -> None:
        self._heads[head.key] = head, self._heads[head.key][1]


def _sources(head: Head) -> list[tuple[str, Key]]:
    """How an application came, and from whom."""
    return [(how, each.key) for how, each in (("spawn", head.spawn), ("fork", head.fork)) if each is not None]


class DevNullPersister(InMemoryPersister):
    """Keeps who runs what, and no states: for measuring what saving costs, and for switching it off."""

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
        super().commit(key, epoch, rows, mark, {}, durable, release)
        with self._lock:
            self._rows[key].clear()

    def load(
        self, partition_key: str | None, app_id: str | None, sequence_id: int | None = None, **_: Any
    ) -> Loaded | None:
        """Nothing."""
        return None


AsyncInMemoryPersister = InMemoryPersister  # one class serves both colours
