"""Ledger: what a store holds of one application, and the rows that make it hold the next step.

What must not live here: when anything is written (`journal.py`).
"""

from __future__ import annotations

import time
from typing import Any, Final

from agentflow.persistence.encoding import decode_facts, encode_change, encode_facts, sealed_row, weight
from agentflow.persistence.reading import encode_position, plain_decision, plain_usage
from agentflow.persistence.records import Birth, Key, Mark, Pointer, Row
from agentflow.persistence.resuming import Progress, Resumed, plain_position
from agentflow.persistence.serde import Serde
from agentflow.persistence.snapshots import Chunks, encode_snapshot
from agentflow.select.selector import Decision
from agentflow.state import State, compacted, delta, difference
from agentflow.usage import Usage, total

#: A snapshot is written when the changes since the last one are as long as it is, and at least this many characters.
SNAPSHOT_AT: Final = 64 * 1024
#: One of at most so many characters is written after so many steps already: it adds little to what they take, and saves
#: most of the time that loading a small application takes.
SMALL: Final = 2 * 1024
SMALL_AFTER: Final = 16

Encoded = tuple[Row, dict[str, str], Mark]


class Ledger:
    """Knows the last state that was saved, so that only what changed is written.

    Attributes:
        position: Where the store says that the application stands.
        error: Why the last attempt failed, as text.
    """

    def __init__(self, key: Key, serde: Serde, beginning: str | None = None) -> None:
        self.key = key
        self.serde = serde
        self.beginning = beginning
        self.position: str = ""
        self.error: str | None = None
        self._saved: State[Any] | None = None
        self._amended = False
        self._base = self._grown = self._steps = 0
        self._chunks: Chunks = {}
        self._next: tuple[int, Chunks] = 0, {}
        self._marks: dict[tuple[str, str, bool], Mark] = {}  # after each action; the same text every time

    # -- what is written

    def birth(self, progress: Progress, spawn: Pointer | None) -> Birth:
        """What makes the application: the state it starts from, whole."""
        number = progress.sequence_id
        made = encode_snapshot(self.serde, self.key, number, progress.state, {})
        self._base, self._grown, self._chunks = made.weight, 0, made.chunks
        self._steps = 0
        facts = encode_facts(self.serde, self.key, number, {"begun": self.beginning}) if self.beginning else ""
        row = sealed_row(number, None, made.text, made.text, facts, made.digests)
        graph = " ".join(sorted(action.name for action in progress.graph.actions))
        return Birth(row, self.mark(progress, "ready"), None, spawn, graph, made.blobs)

    def began_alike(self, first: Row) -> bool:
        """Whether the application whose first row this is began from the same values."""
        facts = decode_facts(self.serde, self.key, first.sequence_id, first.facts)
        return bool(facts) and facts.get("begun") == self.beginning != "anew"

    def step(
        self,
        progress: Progress,
        name: str,
        state: State[Any],
        usages: tuple[Usage, ...],
        started: float,
        attempt: int,
        end: tuple[str, Decision | None] | None = None,
    ) -> Encoded:
        """What saves a step: its row, its large and how the application stands after it (`end` if a run ends).

        Raises:
            SerializationError: A value cannot be saved.
        """
        assert self._saved is not None
        number = progress.sequence_id + 1
        change = compacted(difference(self._saved, state) if self._amended else delta(state), self._saved)
        text, blobs = encode_change(self.serde, self.key, number, change)
        chunks = self._chunks
        if chunks:
            chunks = {
                name: kept for name, kept in chunks.items() if name not in change.set and name not in change.delete
            }
        snapshot, digests = None, list(blobs)
        self._next = self._base, chunks
        if self._is_due(text):
            made = encode_snapshot(self.serde, self.key, number, state, chunks)
            self._next = made.weight, made.chunks
            snapshot = made.text
            blobs |= made.blobs
            digests += made.digests
        facts = self._facts(progress, number, usages, started, attempt)
        mark = self._after(name, progress.entrypoint, *(end or ("ready", None)))
        return sealed_row(number, name, text, snapshot, facts, digests), blobs, mark

    def _is_due(self, text: str) -> bool:
        """Whether the step with this change is saved with a snapshot."""
        if self._grown + weight(text) >= max(SNAPSHOT_AT, self._base):
            return True
        return self._steps + 1 >= SMALL_AFTER and self._base <= SMALL

    def _after(self, name: str, entrypoint: str, standing: str, coming: Decision | None) -> Mark:
        mark = self._marks.get((name, standing, coming is None))
        if mark is None:
            position: dict[str, Any] = {"prior": name, "next": coming and coming.target, "entry": entrypoint}
            if coming is not None:
                position["decisions"] = [plain_decision(coming)]
            mark = self._marks[name, standing, coming is None] = Mark(
                encode_position(self.serde, self.key, position), standing
            )
        return mark

    def mark(self, progress: Progress, status: str) -> Mark:
        """Where the application stands now, between two steps."""
        amended = None
        if self._amended and self._saved is not None:
            change = difference(self._saved, progress.state)
            amended = {"set": dict(change.set), "delete": sorted(change.delete)}
        position = plain_position(progress, amended, self.error)
        return Mark(encode_position(self.serde, self.key, position), status)

    # -- what is known

    def began(self, state: State[Any], position: str) -> None:
        """The application was made with this state."""
        self._saved, self._amended, self.position = state, False, position

    def took(self, resumed: Resumed) -> None:
        """The application was read."""
        self._saved, self._amended = resumed.saved, resumed.saved is not resumed.state
        self._base, self._grown, self._chunks = resumed.base, resumed.grown, resumed.chunks
        self._steps = resumed.steps
        self.position, self.error = resumed.head.mark.position, None

    def settled(self, made: Encoded, state: State[Any]) -> None:
        """The step was saved."""
        row, _, mark = made
        self._saved, self._amended, self.error = state, False, None
        self.position = mark.position
        self._base, self._chunks = self._next
        self._grown = self._grown + weight(row.delta) if row.snapshot is None else 0
        self._steps = self._steps + 1 if row.snapshot is None else 0

    def amended(self, state: State[Any]) -> None:
        """The state was changed from outside."""
        self._amended = self._amended or state is not self._saved

    def _facts(self, progress: Progress, number: int, usages: tuple[Usage, ...], started: float, attempt: int) -> str:
        facts: dict[str, Any] = {"duration": round(time.perf_counter() - started, 6)}
        decisions = progress.decided(number)
        if decisions:
            facts["decisions"] = [plain_decision(each) for each in decisions]
        if usages:
            facts["usage"] = plain_usage(total(usages))
        if attempt > 1:
            facts["attempt"] = attempt
        return encode_facts(self.serde, self.key, number, facts)
