"""What is kept and what may go: deleting an application, pruning its steps, letting its forks stand on their own.

What must not live here: what a store does for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from agentflow.errors import ConflictError
from agentflow.persistence.encoding import sealed_row
from agentflow.persistence.reading import restore
from agentflow.persistence.records import Head, Key, check_number
from agentflow.persistence.snapshots import encode_snapshot
from agentflow.state import State

if TYPE_CHECKING:
    from agentflow.persistence.persister import Persister

#: How often a deletion is tried again because a fork was made since its forks were looked up.
ATTEMPTS: Final = 100


def delete(persister: Persister, key: Key) -> bool:
    """Delete an application with everything it spawned; its forks keep what they need."""
    if persister.head(key) is None:
        return False
    _remove(persister, key, None)
    return True


def prune(persister: Persister, key: Key, keep: int) -> int:
    """Delete all but the last `keep` steps, and what those deleted had spawned.

    Raises:
        BuildError: `keep` is below 1.
    """
    check_number("keep", keep, 1)
    head = persister.head(key)
    if head is None:
        return 0
    first = max(head.sequence_id - keep, -1)
    doomed = [row for row in persister.rows(key) if row.sequence_id < first]
    if not doomed:
        return 0
    snapshot(persister, key, first)
    _remove(persister, key, first)
    return len(doomed)


def _remove(persister: Persister, key: Key, before: int | None) -> None:
    """Delete what is before a step, or everything, once nobody needs it; again when a fork was made meanwhile.

    Raises:
        ConflictError: Forks were made all the time.
    """
    for _ in range(ATTEMPTS):
        _free(persister, key, before)
        if persister.remove(key, before):
            return
    raise ConflictError(
        f"application {key.app_id!r} is forked as fast as it can be deleted: nothing was deleted, so try again later.",
        key.app_id,
    )


def _free(persister: Persister, key: Key, before: int | None) -> None:
    """Have nobody need it."""
    spawned, forks = persister.offspring(key)
    for fork in forks:
        if before is None or (fork.fork is not None and fork.fork.sequence_id < before):
            anchor(persister, fork)
    for child in spawned:
        if before is None or (child.spawn is not None and child.spawn.sequence_id <= before):
            delete(persister, child.key)


def anchor(persister: Persister, fork: Head) -> None:
    """Give a fork a snapshot of where it began, so that it needs the application it was taken from no longer."""
    for row in persister.rows(fork.key, None, 1):  # none if it was deleted meanwhile
        snapshot(persister, fork.key, row.sequence_id)


def snapshot(persister: Persister, key: Key, number: int) -> None:
    """Put the whole state after a step beside what the step changed."""
    found = restore(persister, key, number)
    row = found.row
    if row.snapshot is not None:
        return
    made = encode_snapshot(persister.serde, key, number, State(found.values), found.chunks)
    sealed = sealed_row(number, row.action, row.delta, made.text, row.facts, (*row.blobs, *made.digests))
    persister.replace(key, sealed._replace(epoch=row.epoch, created_at=row.created_at), made.blobs)
