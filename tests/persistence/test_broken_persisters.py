"""Each way for a persister to break its promise is caught by the test of the suite that is named after it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from agentflow.errors import AgentflowError, BuildError, ConflictError, HeldError
from agentflow.persistence import Head, InMemoryPersister, Key, Persister
from agentflow.persistence.records import Claim, Mark, Row
from agentflow.testing.conformance import PersisterSuite, persister_suite


class Twice(InMemoryPersister):
    """Loses everything when it is initialized again."""

    def initialize(self) -> None:
        self._heads.clear()


class Nameless(InMemoryPersister):
    """Forgets where an application came from."""

    def claim(self, key: Key, claim: Claim) -> Head:
        birth = claim.birth and replace(claim.birth, fork=None)
        return super().claim(key, replace(claim, birth=birth))


class Trimming(InMemoryPersister):
    """Changes the texts of rows."""

    def commit(self, key: Key, epoch: int, rows: Sequence[Row], *rest: Any, **more: Any) -> None:
        super().commit(key, epoch, [row._replace(delta=row.delta.strip("\x7f")) for row in rows], *rest, **more)


class Keeping(InMemoryPersister):
    """Gives no lease back unless it is asked to do just that."""

    def commit(self, *about: Any, release: bool = False, **more: Any) -> None:
        super().commit(*about, **more)


class Slow(InMemoryPersister):
    """Reads all there is, whatever snapshots there are."""

    def trail(self, key: Key, upto: int) -> list[Row]:
        return [row for row in self.rows(key) if row.sequence_id <= upto]


class Uncounted(InMemoryPersister):
    """Does not count attempts that failed."""

    def note(self, *about: Any, failed: bool = False, **more: Any) -> None:
        super().note(*about, **more)


class Forgetful(InMemoryPersister):
    """Keeps nothing that was written since it was opened."""

    def close(self) -> None:
        self._rows.clear()


class Unlocked(InMemoryPersister):
    """Gives everybody the lease."""

    def claim(self, key: Key, claim: Claim) -> Head:
        return super().claim(key, replace(claim, force=True))


class Endless(InMemoryPersister):
    """Renews what nobody holds."""

    def renew(self, key: Key, epoch: int, seconds: float) -> bool:
        return super().renew(key, epoch, seconds) or epoch == 2


class Stubborn(InMemoryPersister):
    """Never takes a lease from anybody."""

    def claim(self, key: Key, claim: Claim) -> Head:
        return super().claim(key, replace(claim, force=False))


class Unfenced(InMemoryPersister):
    """Lets those write who were overtaken."""

    def _owned(self, key: Key, epoch: int, expected: int) -> Head:
        head = self._seen(key)
        return super()._owned(key, epoch if head is None else head.epoch, expected)


class Gaping(InMemoryPersister):
    """Writes steps that do not follow the head."""

    def _owned(self, key: Key, epoch: int, expected: int) -> Head:
        head = self._seen(key)
        return super()._owned(key, epoch, expected if head is None else head.sequence_id)


class Trusting(InMemoryPersister):
    """Takes any head for what was expected."""

    def claim(self, key: Key, claim: Claim) -> Head:
        return super().claim(key, replace(claim, expected=None) if claim.birth is None else claim)


class Shared(InMemoryPersister):
    """Gives an application to all who want to make it."""

    def claim(self, key: Key, claim: Claim) -> Head:
        try:
            return super().claim(key, claim)
        except HeldError:
            if claim.birth is None:
                raise
            return replace(super().claim(key, replace(claim, force=True, expected=None)), epoch=1)


class Overwriting(InMemoryPersister):
    """Writes a step again when somebody else has, as one does who looks first and writes then."""

    def commit(self, key: Key, epoch: int, rows: Sequence[Row], *rest: Any, **more: Any) -> None:
        try:
            super().commit(key, epoch, rows, *rest, **more)
        except ConflictError:
            if rows[0].delta == "{}" and len(rows) == 1 and self._rows[key].get(rows[0].sequence_id) is not None:
                return
            raise


class OneEpoch(InMemoryPersister):
    """Grants every claim under the same epoch."""

    def claim(self, key: Key, claim: Claim) -> Head:
        head = super().claim(key, claim)
        if head.epoch < 3:
            return head
        self._heads[key] = replace(head, epoch=2), self._heads[key][1]
        return self._heads[key][0]


class Single(InMemoryPersister):
    """Takes a step of one application for a conflict of all."""

    def commit(self, key: Key, *rest: Any, **more: Any) -> None:
        if key != next(iter(self._heads)):
            raise ConflictError("somebody else is writing.")
        super().commit(key, *rest, **more)


class Unsorted(InMemoryPersister):
    """Lists applications as they were made."""

    def heads(self, partition: str | None = None, after: Key | None = None, limit: int | None = None) -> list[Head]:
        found = {head.key: head for head in super().heads(partition, after)}
        return [found[key] for key in self._heads if key in found][:limit]


class Hoarding(InMemoryPersister):
    """Keeps large values that nobody points to."""

    def remove(self, key: Key, before: int | None = None) -> bool:
        blobs = dict(self._blobs)
        removed = super().remove(key, before)
        self._blobs = blobs
        return removed


class Sweeping(InMemoryPersister):
    """Deletes a large value with the first who pointed to it."""

    def remove(self, key: Key, before: int | None = None) -> bool:
        used = {digest for row in self.rows(key) for digest in row.blobs}
        removed = super().remove(key, before)
        for digest in used if key.partition == "lose" else ():
            self._blobs.pop(digest, None)
        return removed


class Orphaning(InMemoryPersister):
    """Does not find forks."""

    def offspring(self, key: Key) -> tuple[list[Head], list[Head]]:
        return super().offspring(key)[0], []


class Dating(InMemoryPersister):
    """Gives a row that is replaced another time."""

    def replace(self, key: Key, row: Row, blobs: Mapping[str, str]) -> None:
        super().replace(key, row, blobs)
        if row.sequence_id in self._rows[key]:
            self._rows[key][row.sequence_id] = row._replace(created_at=1.0)


class Beheading(InMemoryPersister):
    """Takes the first row that is kept for the first that is not."""

    def remove(self, key: Key, before: int | None = None) -> bool:
        return super().remove(key, before if before is None else before + 1)


class Haunted(InMemoryPersister):
    """Leaves the rows of an application that was deleted."""

    def remove(self, key: Key, before: int | None = None) -> bool:
        removed = super().remove(key, before)
        if before is None:
            self._rows[key] = {0: Row(0, "ask", "{}")}
        return removed


class Felling(InMemoryPersister):
    """Removes what a fork begins at."""

    def _leans(self, fork: Key, before: int | None) -> bool:
        return False


class CaseBlind(InMemoryPersister):
    """Takes ids that differ in case only for one another."""

    def claim(self, key: Key, claim: Claim) -> Head:
        return super().claim(Key(*map(str.lower, key)), claim)

    def head(self, key: Key) -> Head | None:
        return super().head(Key(*map(str.lower, key)))


def with_mark_lost() -> Persister:
    class Late(InMemoryPersister):
        def release(self, key: Key, epoch: int, mark: Mark | None = None) -> None:
            super().release(key, epoch, None)

    return Late()


BROKEN: dict[str, Callable[[], Persister]] = {
    "it may be initialized again": Twice,
    "an application is as it was born": Nameless,
    "rows come back as they were committed": Trimming,
    "a commit may give the lease back": Keeping,
    "a trail begins at the last snapshot": Slow,
    "a position is noted without a step": Uncounted,
    "what was committed outlasts closing": Forgetful,
    "a lease keeps others out until it is released": with_mark_lost,
    "a lease runs out unless it is renewed": Endless,
    "force takes it from whoever holds it": Stubborn,
    "who was overtaken changes nothing": Unfenced,
    "a commit goes after the head or nowhere": Gaping,
    "a claim that expects otherwise is refused": Trusting,
    "of many makers one makes it": Shared,
    "of many writers one writes each step": Overwriting,
    "of many claims every one has its epoch": OneEpoch,
    "applications do not hold each other up": Single,
    "applications are listed by partition and id": Unsorted,
    "a large value is kept while a row points to it": Hoarding,
    "a large value is not swept away while it is written": Sweeping,
    "children and forks are found": Orphaning,
    "a row is replaced by one with a snapshot": Dating,
    "old rows are removed and the head stays": Beheading,
    "an application that was removed is gone": Haunted,
    "what a fork begins at is not removed": Felling,
    "ids lead nowhere else": CaseBlind,
}


def promises() -> list[str]:
    return [name.removeprefix("test_").replace("_", " ") for name in dir(PersisterSuite) if name.startswith("test_")]


def broken(promise: str, make: Callable[[], Persister]) -> bool:
    test = getattr(persister_suite(make)(), f"test_{promise.replace(' ', '_')}")
    try:
        test()
    except (AssertionError, AgentflowError, LookupError):
        return True
    return False


@pytest.mark.parametrize("promise", sorted(BROKEN))
def test_a_broken_promise_is_caught_by_its_test(promise: str) -> None:
    assert (False, True) == (broken(promise, InMemoryPersister), broken(promise, BROKEN[promise]))


def test_every_test_of_the_suite_is_shown_to_fail() -> None:
    assert sorted(BROKEN) == sorted(promises())


def test_a_lease_given_to_everybody_is_caught() -> None:
    caught = [promise for promise in promises() if broken(promise, Unlocked)]
    assert "a lease keeps others out until it is released" in caught


def test_a_suite_without_a_persister_says_how_to_get_one() -> None:
    with pytest.raises(BuildError, match="this suite has no persister"):
        PersisterSuite.make()
