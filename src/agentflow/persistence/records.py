"""What a store holds of an application, as frozen facts: its head, its steps, and who may write it.

Texts are encoded by the journal; a store only keeps them. What must not live here: encoding, or storing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

from agentflow.errors import BuildError
from agentflow.select.selector import Decision
from agentflow.state import StateDelta
from agentflow.usage import NOTHING, Usage

#: Bytes of an id. Two of them have to fit into an entry of a PostgreSQL index, which takes 2,704 bytes:
#: https://www.postgresql.org/docs/current/btree.html
LONGEST_ID = 1_000


class Key(NamedTuple):
    """Whose application, and which; no partition is the empty string."""

    partition: str
    app_id: str

    @classmethod
    def of(cls, partition_key: str | None, app_id: str) -> Self:
        """The key of what somebody named; every store can keep it, and none takes it for another.

        Raises:
            BuildError: It is no text, empty, longer than 1,000 bytes in UTF-8, or holds a NUL or half of a character.
        """
        for what, text in (("partition_key", partition_key), ("app_id", app_id)):
            wrong = None if what == "partition_key" and not text else _wrong_with(text)
            if wrong is not None:
                raise BuildError(f"{what}={text!r:.80} {wrong}: give the application another one.")
        return cls(partition_key or "", app_id)


def _wrong_with(text: object) -> str | None:
    """Why no store can keep an id, None when all can."""
    if not isinstance(text, str):
        return "is no text"
    try:
        length = len(text.encode())
    except UnicodeEncodeError:
        return "holds half of a character"
    if not 0 < length <= LONGEST_ID:
        return f"is {length:,} bytes long, and 1 to {LONGEST_ID:,} can be saved" if length else "is empty"
    return "holds a NUL character" if "\0" in text else None


def check_number(what: str, number: object, least: int | None = None) -> None:
    """See that what somebody gave is a whole number, or None: stores take others for different ones, or break.

    Raises:
        BuildError: It is none, or below `least`.
    """
    if number is None:
        return
    if not isinstance(number, int) or isinstance(number, bool) or (least is not None and number < least):
        wanted = "a whole number" if least is None else f"a whole number, {least} or more"
        raise BuildError(f"{what}={number!r:.80} is not usable, and nothing was done: give {wanted}.")


@dataclass(frozen=True, slots=True)
class Pointer:
    """A step of an application: what a fork was taken from, or what spawned a child."""

    key: Key
    sequence_id: int


class Row(NamedTuple):
    """One committed step, as it is stored.

    Attributes:
        sequence_id: The step; the first row of an application is what it started from and has no action.
        action: The name of the action that was performed.
        delta: What it changed, encoded.
        snapshot: The whole state after it, encoded, where one was taken.
        facts: Decisions, usage, duration and attempt, encoded.
        blobs: The hashes of the large values that delta and snapshot point to.
        checksum: Of all the texts together.
        epoch: Under which ownership it was written.
        created_at: When, in seconds since 1970 by the store's clock; 0 until it is stored.
    """

    sequence_id: int
    action: str | None
    delta: str
    snapshot: str | None = None
    facts: str = ""
    blobs: tuple[str, ...] = ()
    checksum: int = 0
    epoch: int = 0
    created_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Mark:
    """Where an application stands apart from its state: its position, encoded, and its status for lists."""

    position: str
    status: str


@dataclass(frozen=True, slots=True)
class Head:
    """The application as a list shows it.

    Attributes:
        sequence_id: The last committed step.
        epoch: How often its ownership has changed; a commit under an older one is refused.
        owner: Who runs it now, "" for nobody.
        lease: For how many seconds more, by the store's clock; not above 0 when it has run out.
        attempt: How many times the step after the last one has been begun, 1 for the first.
        fork: The step it was forked from.
        spawn: The step it was spawned by.
        graph: The names of the actions of its graph, encoded.
    """

    key: Key
    sequence_id: int
    epoch: int
    mark: Mark
    owner: str = ""
    lease: float = 0.0
    attempt: int = 1
    fork: Pointer | None = None
    spawn: Pointer | None = None
    graph: str = ""
    created_at: float = 0.0
    updated_at: float = 0.0

    @property
    def app_id(self) -> str:
        """Which application."""
        return self.key.app_id

    @property
    def partition_key(self) -> str | None:
        """Whose it is."""
        return self.key.partition or None

    @property
    def status(self) -> str:
        """How it stood when it was last written."""
        return self.mark.status


@dataclass(frozen=True, slots=True)
class Birth:
    """What an application is made with: its first row, and where it came from."""

    row: Row
    mark: Mark
    fork: Pointer | None = None
    spawn: Pointer | None = None
    graph: str = ""
    blobs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Claim:
    """What somebody who wants to run an application says.

    Attributes:
        owner: Who.
        seconds: How long the lease is to last unless it is renewed.
        expected: The last step they know of; None takes any.
        birth: What to make the application with if there is none; None when there has to be one.
        force: Take it from whoever holds it.
    """

    owner: str
    seconds: float
    expected: int | None = None
    birth: Birth | None = None
    force: bool = False


@dataclass(frozen=True, slots=True)
class StepRecord:
    """One step of an application's history, decoded.

    Attributes:
        sequence_id: The step; a record without an action is what the application started from.
        action: What was performed.
        change: What it changed in the state.
        decisions: The choices that led to it.
        usage: What its model calls used.
        duration: Seconds from its start to its commit.
        attempt: The attempt that was committed, 1 for the first.
        created_at: When, in seconds since 1970 by the store's clock.
        problem: Why it could not be read, None when it could.
    """

    sequence_id: int
    action: str | None
    change: StateDelta = field(default_factory=StateDelta)
    decisions: tuple[Decision, ...] = ()
    usage: Usage = NOTHING
    duration: float = 0.0
    attempt: int = 1
    created_at: float = 0.0
    problem: str | None = None


#: What `load` gives: partition_key, app_id, sequence_id, position, state, created_at, status.
Loaded = dict[str, Any]
