"""Journal: one application's side of the commit protocol, from its claim to its release.

The order of a run: claim, then for each step the choice (if it runs code), the intent (if the action may run once
only), the action, the commit; then the release. Nothing moves in memory before it is committed. What must not live
here: encoding (`ledger.py`), SQL, or anything about actions.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from agentflow.errors import ConflictError, HeldError, StoreError
from agentflow.persistence import leases
from agentflow.persistence.backlog import Backlog
from agentflow.persistence.failpoints import reach
from agentflow.persistence.ledger import Encoded, Ledger
from agentflow.persistence.owner import holds, lets_go, new_owner
from agentflow.persistence.persister import Persister, missing
from agentflow.persistence.records import Claim, Head, Key, Mark, Pointer, Row
from agentflow.persistence.resuming import Fit, Progress, Resumed, put, read
from agentflow.persistence.serde import Serde
from agentflow.persistence.terms import Terms
from agentflow.runtime import BLOCKING, Runtime
from agentflow.state import State, TypingSystem
from agentflow.usage import Usage

T = TypeVar("T")


class Journal:
    """What saves one application object.

    Args:
        persister, key: Where to, and which application.
        terms: How.
        serde, typing: How its values become text, and what its state is declared to be.
        fit: How what is saved is fitted to the graph.
        spawn: The step that spawned it.
        beginning: Of a child, what it starts from, as a digest: one that is saved with the same is gone on with, and
            one with another is deleted first.

    Attributes:
        attempt: The attempt at the step that comes next, 1 for the first.
    """

    def __init__(
        self,
        persister: Persister,
        key: Key,
        terms: Terms,
        serde: Serde,
        typing: TypingSystem | None = None,
        fit: Fit | None = None,
        spawn: Pointer | None = None,
        beginning: str | None = None,
    ) -> None:
        self.persister = persister
        self.key = key
        self.terms = terms
        self.typing = typing
        self.fit: Fit = fit or Fit()
        self.spawn = spawn
        self.attempt: int = 1
        self._beginning = beginning
        self._ledger = Ledger(key, serde, beginning)
        self._head: Head | None = None  # as it was last seen; None before there is one
        self._owner = ""
        self._stale = False  # the store may be a step of this object's own ahead
        self._started = 0.0
        self._renewed = 0.0
        self._backlog = Backlog()

    # -- claiming

    @property
    def durability(self) -> str:
        """How far the store may be behind, and what it survives."""
        return f"{self.terms.behind}; the store is {self.persister.promise}"

    @property
    def held(self) -> bool:
        """Whether this object is the one that may commit."""
        return bool(self._owner)

    async def open(self, progress: Progress, runtime: Runtime) -> None:
        """Become the one who may commit, unless that is so already; then nobody else runs the application.

        Raises:
            HeldError: Somebody else runs it.
            ConflictError: Somebody else has moved it on.
            StoreError: The store cannot be reached.
        """
        if self._owner and not self._stale:
            return
        if self._beginning is not None and self._head is None:
            await self._store(runtime, self.clear)
        reach("before-claim")
        owner = self._owner or new_owner()
        holds(owner)
        try:
            head = await self._claimed(progress, runtime, owner)
        except BaseException:
            lets_go(owner)
            raise
        before, self._head, self._owner = self._head, head, owner
        self._renewed, self.attempt = time.monotonic(), head.attempt
        leases.keep(self)
        reach("after-claim")
        if before is None and head.epoch == 1:
            self._ledger.began(progress.state, head.mark.position)
        elif self._must_reload(before, head, progress):
            await self.reload(progress, runtime)

    def clear(self) -> None:
        """Delete what is saved under this id where that began otherwise."""
        if (first := self.persister.rows(self.key, None, 1)) and not self._ledger.began_alike(first[0]):
            self.persister.delete(self.key.app_id, self.key.partition)

    def _must_reload(self, before: Head | None, head: Head, progress: Progress) -> bool:
        """Whether others did anything since; a choice or a change at the same step is simply taken over."""
        if self._stale or before is None or head.created_at != before.created_at:  # another one under the same id
            return True
        return (head.sequence_id, head.mark.position) != (progress.sequence_id, self._ledger.position)

    async def _claimed(self, progress: Progress, runtime: Runtime, owner: str) -> Head:
        terms, head = self.terms, self._head
        any_head = self._stale or self._beginning is not None or terms.on_conflict != "raise"
        claim = Claim(
            owner,
            terms.lease_seconds,
            None if any_head else progress.sequence_id,
            self._ledger.birth(progress, self.spawn) if head is None else None,
            terms.on_conflict == "takeover" or self._stale,
        )
        deadline, pause = time.monotonic() + terms.wait_seconds, 0.005
        while True:
            try:
                return await self._store(runtime, self.persister.claim, self.key, claim)
            except HeldError:
                if terms.on_conflict != "wait" or time.monotonic() > deadline:
                    raise
            await runtime.sleep(pause)
            pause = min(pause * 2, 0.25)

    async def reload(self, progress: Progress, runtime: Runtime) -> None:
        """Take the newest state from the store; it may be gone, damaged, or not fit the graph."""
        resumed = await self._store(runtime, self._read)
        put(resumed, progress, Fit(self.fit.migrations, self.fit.upgrade_state))
        self.took(resumed)

    def took(self, resumed: Resumed) -> None:
        """Know the application as it was read."""
        self._head, self.attempt, self._stale = resumed.head, resumed.head.attempt, False
        self._ledger.took(resumed)

    def _read(self) -> Resumed:
        if (head := self.persister.head(self.key)) is None:
            raise missing(self.key)
        return read(self.persister, head, self._ledger.serde, self.typing, self.fit)

    async def close(self, progress: Progress, runtime: Runtime, status: str) -> None:
        """Write out what is held back, and let others run the application.

        Raises:
            StoreError: What was held back could not be written.
        """
        if not self._owner:
            return
        try:
            await self._flushed(runtime)
            mark = self._ledger.mark(progress, status) if not self._stale else None
            assert self._head is not None
            reach("before-release")
            with contextlib.suppress(StoreError):  # the lease runs out by itself, and every step is committed
                await self._store(runtime, self.persister.release, self.key, self._head.epoch, mark)
                self._ledger.position = self._ledger.position if mark is None else mark.position
            reach("after-release")
        finally:
            self._let_go()

    def abandon(self) -> None:
        """Let others run the application at once, wherever this is called from."""
        if self._owner and self._head is not None:
            with contextlib.suppress(StoreError):
                self.persister.release(self.key, self._head.epoch)
            self._let_go()

    def _let_go(self) -> None:
        leases.drop(self)
        lets_go(self._owner)
        self._owner = ""

    # -- one step

    async def begin(self) -> None:
        """An action is about to be performed: its time counts from here."""
        self._started = time.perf_counter()

    async def noted(self, progress: Progress, runtime: Runtime, what: str = "decision") -> None:
        """Save where the application stands: a choice that was made, an intent, a change from outside."""
        reach(f"before-{what}")
        await self._note(progress, runtime, "ready", failed=False)
        reach(f"after-{what}")

    async def changed(self, progress: Progress, runtime: Runtime) -> None:
        """Save what was changed from outside."""
        self._ledger.amended(progress.state)
        await self.noted(progress, runtime)

    async def commit(
        self, progress: Progress, runtime: Runtime, name: str, state: State[Any], usages: tuple[Usage, ...] = ()
    ) -> None:
        """Commit a step, and then move the machine; with the last step of a run, others may run the application.

        Raises:
            SerializationError: A value cannot be saved; nothing was written.
            ConflictError: Somebody else has taken the application over; nothing was written.
            StoreError: The store cannot be reached, and does not hold the step.
        """
        reach("after-effect")
        durable = self.terms.mode == "durable"
        end = progress.until(name) if durable and progress.until is not None else None
        made = self._ledger.step(progress, name, state, usages, self._started, self.attempt, end)
        interrupted = None
        if durable:
            interrupted = await self._written(runtime, made, end is not None)
        else:
            self._backlog.add(*made)
        if end is not None:
            self._let_go()
        progress.commit(name, state)
        self._ledger.settled(made, state)
        self.attempt = 1
        if interrupted is not None:
            raise interrupted
        if self._backlog.is_full:
            await self._flushed(runtime)

    async def _written(self, runtime: Runtime, made: Encoded, last: bool) -> BaseException | None:
        """Write a step; the interruption that came after it was written, if one did."""
        row, blobs, mark = made
        try:
            await self._store(runtime, self._commit, (row,), mark, blobs, last)
        except ConflictError:
            self._let_go()
            raise
        except BaseException as error:
            if not await self._landed(runtime, row):
                raise
            return None if isinstance(error, StoreError) else error
        return None

    def _commit(self, rows: Sequence[Row], mark: Mark, blobs: Mapping[str, str], last: bool = False) -> None:
        assert self._head is not None
        self.persister.commit(self.key, self._head.epoch, rows, mark, blobs, self.terms.mode == "durable", last)
        reach("after-commit")

    async def _landed(self, runtime: Runtime, row: Row) -> bool:
        """Whether a commit whose answer never came is in the store."""
        assert self._head is not None
        self._stale = True  # until that is known, the store is looked at before the next step
        try:
            head = await self._store(runtime, self.persister.head, self.key)
        except StoreError:
            return False
        self._stale = False
        return head is not None and (head.epoch, head.sequence_id) == (self._head.epoch, row.sequence_id)

    async def failed(self, progress: Progress, runtime: Runtime, status: str, error: BaseException) -> None:
        """Record that the step was not performed to its end, whatever the store says to that; nothing moves."""
        if not self._owner or self._stale:
            return
        self._ledger.error = f"{type(error).__name__}: {error}"[:2000]
        try:
            await self._note(progress, runtime, status, failed=True)
            self.attempt += 1
        except ConflictError:
            self._stale = True  # a commit of this object landed while it was interrupted, or somebody took over
        except StoreError:
            pass

    async def _note(self, progress: Progress, runtime: Runtime, status: str, *, failed: bool) -> None:
        await self._flushed(runtime)
        assert self._head is not None
        mark = self._ledger.mark(progress, status)
        about = (self.key, self._head.epoch, progress.sequence_id, mark, failed, self.terms.mode == "durable")
        try:
            await self._store(runtime, self.persister.note, *about)
        except ConflictError:
            if not failed:
                self._let_go()
            raise
        self._ledger.position = mark.position

    async def _flushed(self, runtime: Runtime) -> None:
        if self._backlog:
            try:
                await self._store(runtime, self._backlog.write, self._commit)
            except BaseException:
                self._stale = True  # what is in memory is further than the store
                raise

    async def _store(self, runtime: Runtime, verb: Callable[..., T], /, *args: Any) -> T:
        if self.persister.waits and runtime is not BLOCKING:
            return await runtime.complete(verb, *args)
        return verb(*args)

    def look(self) -> None:
        """Renew the lease if it is time to, and write out what has been held back too long; called from a thread."""
        if self._backlog.is_overdue:
            self._backlog.write_later_errors(self._commit)
        now, head = time.monotonic(), self._head
        if head is not None and self._owner and now - self._renewed > self.terms.lease_seconds / 3:
            self._renewed = now
            with contextlib.suppress(StoreError):  # the lease is a courtesy; the epoch is what counts
                self.persister.renew(self.key, head.epoch, self.terms.lease_seconds)
