"""What is kept and what may go: deleting an application, pruning its steps, letting its forks stand on their own.

What must not live here: what a store does for it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from agentflow.persistence.encoding import sealed_row
from agentflow.persistence.reading import restore
from agentflow.persistence.records import Head, Key
from agentflow.persistence.snapshots import encode_snapshot
from agentflow.state import State

if TYPE_CHECKING:
    from agentflow.persistence.persister import Persister


def delete(persister: Persister, key: Key) -> bool:
    """Delete an application with everything it spawned; its forks keep what they need."""
    if persister.head(key) is None:
        return False
    spawned, forks = persister.offspring(key)
    for fork in forks:
        anchor(persister, fork)
    for child in spawned:
        delete(persister, child.key)
    persister.remove(key)
    return True


def prune(persister: Persister, key: Key, keep: int) -> int:
    """Delete all but the last `keep` steps, and what those deleted had spawned."""
    head = persister.head(key)
    if head is None:
        return 0
    first = max(head.sequence_id - max(keep, 0), -1)
    rows = persister.rows(key)
    doomed = [row for row in rows if row.sequence_id < first]
    if not doomed:
        return 0
    spawned, forks = persister.offspring(key)
    for fork in forks:
        if fork.fork is not None and fork.fork.sequence_id < first:
            anchor(persister, fork)
    snapshot(persister, key, first)
    for child in spawned:
        if child.spawn is not None and child.spawn.sequence_id <= first:
            delete(persister, child.key)
    persister.remove(key, first)
    return len(doomed)


def anchor(persister: Persister, fork: Head) -> None:
    """Give a fork a snapshot of where it began, so that it needs the application it was taken from no longer."""
    snapshot(persister, fork.key, persister.rows(fork.key, None, 1)[0].sequence_id)


def snapshot(persister: Persister, key: Key, number: int) -> None:
    """Put the whole state after a step beside what the step changed."""
    found = restore(persister, key, number)
    row = found.row
    if row.snapshot is not None:
        return
    made = encode_snapshot(persister.serde, key, number, State(found.values), found.chunks)
    sealed = sealed_row(number, row.action, row.delta, made.text, row.facts, (*row.blobs, *made.digests))
    persister.replace(key, replace(sealed, epoch=row.epoch, created_at=row.created_at), made.blobs)
