"""The promise of a persister: eleven verbs over encoded rows, and what people ask of it, built upon them.

Every verb is one transaction, all or nothing, safe to call from any thread for many applications. A store compares the
head and the epoch inside the transaction that changes them: that is all the locking there is. What must not live here:
encoding (`encoding.py`), the order in which the verbs are called (`journal.py`), or any particular store.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Self

from agentflow.errors import ConflictError, HeldError
from agentflow.persistence.owner import alive
from agentflow.persistence.records import Claim, Head, Key, Loaded, Mark, Pointer, Row, StepRecord, check_number
from agentflow.persistence.serde import Serde


class Persister(ABC):
    """Saves every step of many applications, and gives them back.

    One object serves sync and async runs, any number of applications and threads. Subclasses define the abstract verbs
    and pass `agentflow.testing.conformance`; everything else is the same for all of them.

    Attributes:
        waits: Whether its verbs wait for a disk or a network; then an async run calls them in a thread.
        promise: What a commit survives: "durable" (a crash of the machine), "cache-grade" (of the process; the last
            seconds may be lost with the machine), or "process" (nothing).
        serde: How values become text.

    Example:
        >>> with SQLitePersister("agents.db") as persister:
        ...     builder = ApplicationBuilder().with_graph(graph).with_entrypoint("ask")
        ...     app = builder.with_state_persister(persister).build()
        ...     app.run(halt_after="answer")
        ...     persister.list_app_ids()
    """

    waits: ClassVar[bool] = True
    promise: str = "durable"

    def __init__(self, serde: Serde | None = None) -> None:
        self.serde: Serde = serde or Serde()

    # -- what a store defines

    @abstractmethod
    def initialize(self) -> None:
        """Make whatever the store needs; doing so again changes nothing. The first verb does it too."""

    @abstractmethod
    def is_initialized(self) -> bool:
        """Whether the store has what it needs."""

    @abstractmethod
    def claim(self, key: Key, claim: Claim) -> Head:
        """Become the one who may commit: the epoch grows by one, and a new application is made from `claim.birth`.

        The attempt grows by one when the last owner never released it.

        Raises:
            HeldError: Somebody else holds a lease that has not run out, and `claim.force` is not set.
            ConflictError: The head is not `claim.expected`; there is no such application and no birth; there is
                one where `claim.birth` was to make a new one and `claim.expected` is set; or the birth is that of a
                fork and the step it begins at is gone.
        """

    @abstractmethod
    def renew(self, key: Key, epoch: int, seconds: float) -> bool:
        """Make the lease last `seconds` from now; whether the epoch still held."""

    @abstractmethod
    def release(self, key: Key, epoch: int, mark: Mark | None = None) -> None:
        """Give the lease back, with how the application stands; nothing happens under an older epoch."""

    @abstractmethod
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
        """Add the steps after the head and move it to the last of them; the attempt is 1 again.

        It is on the disk when this returns, unless `durable` is False. With `release` the lease is given back with it.

        Raises:
            ConflictError: The epoch has grown, or the head is not the step before the first row. Nothing was written.
        """

    @abstractmethod
    def note(self, key: Key, epoch: int, head: int, mark: Mark, failed: bool = False, durable: bool = True) -> None:
        """Write how an application stands at its head: a choice that was made, an intent, a failed attempt.

        Raises:
            ConflictError: The epoch has grown, or the head has moved. Nothing was written.
        """

    @abstractmethod
    def head(self, key: Key) -> Head | None:
        """The application's head, None when there is no such application."""

    @abstractmethod
    def heads(self, partition: str | None = None, after: Key | None = None, limit: int | None = None) -> list[Head]:
        """The heads of a partition, or of all of them, by key; `after` and `limit` page through them."""

    @abstractmethod
    def trail(self, key: Key, upto: int) -> list[Row]:
        """The rows from the last snapshot at or before `upto` on, to `upto`, by sequence id."""

    @abstractmethod
    def rows(self, key: Key, after: int | None = None, limit: int | None = None) -> list[Row]:
        """The rows after a step, by sequence id."""

    @abstractmethod
    def blob(self, digest: str) -> str | None:
        """A large value by its hash."""

    @abstractmethod
    def offspring(self, key: Key) -> tuple[list[Head], list[Head]]:
        """The applications it spawned, and those forked from it."""

    @abstractmethod
    def replace(self, key: Key, row: Row, blobs: Mapping[str, str]) -> None:
        """Put a row with a snapshot in the place of the row with the same sequence id; it must say the same."""

    @abstractmethod
    def remove(self, key: Key, before: int | None = None) -> bool:
        """Delete the rows before a step, or the whole application; and large values that nothing points to.

        Whether that was done. It is not while a fork begins at one of those rows and has no snapshot of its own there:
        that is looked at within the transaction, because a fork may be made at any time.
        """

    @abstractmethod
    def close(self) -> None:
        """Let go of connections; the next verb opens them again."""

    # -- what people ask

    def load(
        self, partition_key: str | None, app_id: str | None, sequence_id: int | None = None, **_: Any
    ) -> Loaded | None:
        """An application after its last step, or after an earlier one; None when there is none.

        Returns:
            `partition_key`, `app_id`, `sequence_id`, `position` (the last action), `state` (a `State`), `created_at`
            (seconds since 1970) and `status`.

        Raises:
            ConflictError: That step was pruned, or never was one of its own.
            CorruptRecord: It is damaged.
        """
        from agentflow.persistence.reading import loaded

        return None if app_id is None else loaded(self, Key.of(partition_key, app_id), sequence_id)

    def list_app_ids(self, partition_key: str | None = None, **_: Any) -> list[str]:
        """The ids of a partition's applications, or of all of them."""
        return [head.app_id for head in self.heads(partition_key)]

    def applications(
        self, partition_key: str | None = None, after: Key | None = None, limit: int | None = None
    ) -> list[Head]:
        """The applications of a partition, or all of them, by partition and id; `after` and `limit` page through."""
        check_number("limit", limit, 0)
        return self.heads(partition_key, after, limit)

    def history(
        self, app_id: str, partition_key: str | None = None, after: int | None = None, limit: int | None = None
    ) -> list[StepRecord]:
        """The steps of an application, oldest first; those of a fork begin where it was forked.

        A damaged step is in the list too, with its `problem`.

        Raises:
            BuildError: `limit` is below 0.
        """
        from agentflow.persistence.reading import recorded

        check_number("after", after)
        check_number("limit", limit, 0)
        key = Key.of(partition_key, app_id)
        return [recorded(self, key, row) for row in self.rows(key, after, limit)]

    def fork(
        self,
        app_id: str,
        new_app_id: str,
        sequence_id: int | None = None,
        partition_key: str | None = None,
        new_partition_key: str | None = None,
    ) -> Head:
        """Make a new application that goes on from a step of another; nothing is copied.

        Raises:
            BuildError: `sequence_id` is no whole number.
            ConflictError: There is nothing to fork, or the new id is taken.
        """
        from agentflow.persistence.owner import new_owner
        from agentflow.persistence.reading import forked

        source = Key.of(partition_key, app_id)
        new = Key.of(source.partition if new_partition_key is None else new_partition_key, new_app_id)
        birth = forked(self, source, sequence_id, new)
        head = self.claim(new, Claim(new_owner(), 0.0, birth.row.sequence_id, birth))
        self.release(new, head.epoch)
        return head

    def delete(self, app_id: str, partition_key: str | None = None) -> bool:
        """Delete an application with everything it spawned; its forks keep what they need. Whether there was one."""
        from agentflow.persistence.keeping import delete

        return delete(self, Key.of(partition_key, app_id))

    def prune(self, app_id: str, partition_key: str | None = None, keep: int = 1) -> int:
        """Delete all but the last `keep` steps, and what those deleted had spawned; how many were deleted.

        The state stays as it is, and steps that forks begin at stay readable from them.

        Raises:
            BuildError: `keep` is below 1; nothing was deleted.
        """
        from agentflow.persistence.keeping import prune

        return prune(self, Key.of(partition_key, app_id), keep)

    def all_heads(self, partition: str | None = None, page: int = 500) -> Iterator[Head]:
        """Every head, read page by page."""
        after: Key | None = None
        while found := self.heads(partition, after, page):
            yield from found
            after = found[-1].key

    def __enter__(self) -> Self:
        self.initialize()
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __copy__(self) -> Self:
        return self  # one object serves everybody

    def copy(self) -> Self:
        """Itself: one object serves every application and thread."""
        return self

    def cleanup(self) -> None:
        """The same as `close`."""
        self.close()


def free_to(claim: Claim, owner: str, lease: float) -> bool:
    """Whether a claim may be granted where `owner` has `lease` seconds left."""
    return not owner or owner == claim.owner or claim.force or lease <= 0 or not alive(owner)


def refusal(claim: Claim, head: Head) -> ConflictError | None:
    """Why a claim on an application that exists is refused, None when it is not."""
    key = head.key
    if not free_to(claim, head.owner, head.lease):
        return HeldError(
            f"application {key.app_id!r} is being run by {head.owner}, whose lease lasts {head.lease:.0f} seconds "
            'unless it is renewed: try again later, or build with on_conflict="wait" or "takeover".',
            key.app_id,
            head.sequence_id,
            head.owner,
            head.lease,
        )
    if claim.expected is None:
        return None
    if claim.birth is not None:
        return ConflictError(
            f"application {key.app_id!r} exists already, at step {head.sequence_id}: go on with it by "
            "initialize_from(persister, ...), or give the new one another id.",
            key.app_id,
            head.sequence_id,
        )
    return None if head.sequence_id == claim.expected else moved(key, claim.expected, head.sequence_id)


def missing(key: Key) -> ConflictError:
    """The error of a claim on an application that is not there."""
    return ConflictError(f"there is no application {key.app_id!r} (any more): build it anew.", key.app_id)


def unforkable(source: Pointer) -> ConflictError:
    """The error of a fork of what is not there, or has been deleted just now."""
    at = source.sequence_id
    return ConflictError(
        f"application {source.key.app_id!r} has no step {at} to fork from (any more): fork from another step.",
        source.key.app_id,
        at,
    )


def moved(key: Key, expected: int, found: int) -> ConflictError:
    """The error of somebody who thinks the head is elsewhere."""
    return ConflictError(
        f"application {key.app_id!r} has been moved on by somebody else: it is at step {found}, and this object knows "
        f"step {expected}. Take over the newest state with refresh(), or load it again.",
        key.app_id,
        found,
    )


def fenced(key: Key, found: int | None) -> ConflictError:
    """The error of a commit by somebody who was overtaken."""
    return ConflictError(
        f"application {key.app_id!r} was taken over by somebody else while this step ran, so it was not committed. "
        "Take over the newest state with refresh(), or load it again.",
        key.app_id,
        found,
    )
