"""What was tracked, as frozen facts: applications, steps, decisions, spans and runs.

Times are seconds since 1970 by the clock of the machine that ran it. A fact that could not be read says so in
`damaged` and has nothing else to say. What must not live here: reading or writing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from agentflow.context import ParentPointer
from agentflow.usage import NOTHING, Usage

#: A JSON object, as it comes out of the store.
Facts = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackedProject:
    """A project: a name that runs are listed under.

    Attributes:
        applications: How many were tracked.
        last_at: When something was last tracked in it.
    """

    name: str
    applications: int = 0
    last_at: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackedApplication:
    """One application.

    Attributes:
        number: Its number in the store; lists go on after one.
        parent: The step it was forked from.
        spawned_by: The step that spawned it as a child.
        status: "running" while a step is under way (or was, when its process died), else how its last step ended:
            "done", "failed" or "cancelled"; "new" before the first.
        steps: How many steps have ended, attempts that failed included.
        last_action: The action of the last step that began or ended.
        last_step: Its sequence id, None before the first.
        last_at: When something was last tracked.
        graph: Its actions and transitions as data, in `application()` only.
    """

    number: int
    project: str
    app_id: str
    partition_key: str | None = None
    created_at: float = 0.0
    parent: ParentPointer | None = None
    spawned_by: ParentPointer | None = None
    status: str = "new"
    steps: int = 0
    last_action: str | None = None
    last_step: int | None = None
    last_at: float = 0.0
    graph: Facts = field(default_factory=dict)
    damaged: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """How a streamed step went.

    Attributes:
        opened: When it was opened.
        first: When its first item came, None when none did.
        items: How many came.
    """

    opened: float
    first: float | None
    items: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackedStep:
    """One attempt at a step.

    Attributes:
        number: Its number in the store; lists go on after one.
        status: "running", "done", "failed" or "cancelled".
        inputs: What the action was given.
        reads: The state keys it may read.
        result: What it returned besides the state.
        set: The values it set in the state.
        append: The items it appended.
        delete: The keys it deleted.
        error: Kind, message and traceback of the error that ended it.
        started_at: When it began.
        seconds: How long it took, None while it runs.
        attempt: 1 for the first.
        usages: What each model call used, those of children added up.
        stream: How its stream went, None when it has none.
    """

    number: int
    sequence_id: int | None = None
    action: str = ""
    status: str = "done"
    inputs: Facts = field(default_factory=dict)
    reads: tuple[str, ...] = ()
    result: Any = None
    set: Facts = field(default_factory=dict)
    append: Facts = field(default_factory=dict)
    delete: tuple[str, ...] = ()
    error: Mapping[str, str] | None = None
    started_at: float = 0.0
    seconds: float | None = None
    attempt: int = 1
    usages: tuple[Usage, ...] = ()
    stream: Stream | None = None
    damaged: str | None = None

    @property
    def usage(self) -> Usage:
        """What its model calls used together."""
        return sum(self.usages, start=NOTHING)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackedDecision:
    """One choice; its attributes are those of `agentflow.Decision`, `at` is when it was made, and `usages` what each
    model call that it took used.
    """

    number: int
    sequence_id: int | None = None
    source: str = ""
    target: str = ""
    targets: tuple[str, ...] = ()
    decided_by: str = ""
    reason: str | None = None
    confidence: float | None = None
    raw: str | None = None
    tokens: int = 0
    cost: float | None = None
    seconds: float = 0.0
    fallback: bool = False
    usages: tuple[Usage, ...] = ()
    at: float = 0.0
    damaged: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackedSpan:
    """A named piece of work inside a step.

    Attributes:
        uid: Unique in the application; "4:0.1" is the second child of the first span of step 4.
        parent: The uid of the span around it.
        seconds: How long it took, None while it is open.
        attributes: What was recorded on it; those of the step itself are in a span without a uid.
    """

    number: int
    uid: str | None = None
    name: str = ""
    sequence_id: int | None = None
    action: str | None = None
    parent: str | None = None
    dependencies: tuple[str, ...] = ()
    started_at: float = 0.0
    seconds: float | None = None
    attributes: Facts = field(default_factory=dict)
    damaged: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a search found: an event of an application that has the text in it.

    Attributes:
        kind: "app" for an application's own id, else what the event tells: "step", "decision", "span", ...
        excerpt: The text around what was found.
    """

    number: int
    project: str
    app_id: str
    partition_key: str | None
    kind: str
    sequence_id: int | None
    excerpt: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackedEvent:
    """One event as it was stored, in the order of what happened; what `follow` yields.

    Attributes:
        kind: "build", "begin", "step", "decision", "span", "span_end", "attributes", "run" or "update".
        facts: What it tells.
    """

    number: int
    kind: str = ""
    sequence_id: int | None = None
    at: float = 0.0
    facts: Facts = field(default_factory=dict)
    damaged: str | None = None
