"""Where a run is: graph, state, prior action, sequence id, pending choice.

State, position and sequence id move together (`commit`) or not at all. What must not live here: calling user code.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from enum import StrEnum
from typing import Any, Final

from agentflow.context import Identity
from agentflow.errors import ActionTimeoutError, BusyError, UncertainStep
from agentflow.facts import replace
from agentflow.graph import Graph
from agentflow.runtime import Lock
from agentflow.select.selector import Decision, PendingChoice
from agentflow.state import State
from agentflow.usage import Usage

#: So many of the last decisions are kept in memory; a tracker or persister keeps all.
DECISIONS_KEPT: Final = 1_000


class Status(StrEnum):
    """How an application stands.

    `ready`: it can go on; `running`: a step is being performed; `halted`: a run stopped where it was asked to;
    `finished`: there is nowhere to go on to; `failed`, `cancelled`, `timed_out`: the last step ended so, and is
    performed again; `uncertain`: it may run once only and may have had its effect, or not.
    """

    ready = "ready"
    running = "running"
    halted = "halted"
    finished = "finished"
    failed = "failed"
    cancelled = "cancelled"
    timed_out = "timed_out"
    uncertain = "uncertain"


READY: Final = Status.ready

#: How an application stands when its run has ended, and the choice that is certain to come next, if one is.
Ending = tuple[str, Decision | None]


class Machine:
    """The position of one application, and what moves it.

    Attributes:
        pending: What comes next: an action, a named choice still to be evaluated, `END`; None while the choice that
            leaves `prior` has not been evaluated.
        awaiting: The choice that a person has to make before it can go on.
        picked: What the person said, until the next run takes it.
        intent: The action that may run once only and has been begun, until it is committed.
        journal: What saves the application; None when nobody does.
        until: Whether the run ends with the action of a name, and how the application stands then; None from one that
            it goes on after, and when that is not known. None while there is no run, or nobody to ask.
    """

    __slots__ = (
        "_decisions",
        "_status",
        "awaiting",
        "entrypoint",
        "failure",
        "graph",
        "halted_by",
        "identity",
        "intent",
        "journal",
        "lock",
        "pending",
        "picked",
        "prior",
        "sequence_id",
        "state",
        "until",
        "usage_by_action",
    )

    def __init__(
        self, graph: Graph, state: State[Any], entrypoint: str, identity: Identity, sequence_id: int | None = None
    ) -> None:
        self.graph: Graph = graph
        self.state: State[Any] = state
        self.entrypoint: str = entrypoint
        self.identity: Identity = identity
        self.sequence_id: int = -1 if sequence_id is None else sequence_id
        self.prior: str | None = None
        self.pending: str | None = entrypoint
        self._status: Status = READY
        self.failure: BaseException | None = None
        self.halted_by: str | None = None
        self.usage_by_action: dict[str, Usage] = {}
        self.awaiting: PendingChoice | None = None
        self.picked: Decision | None = None
        self.intent: str | None = None
        self.journal: Any = None
        self.until: Callable[[str], Ending | None] | None = None
        self._decisions: deque[tuple[int, Decision]] | None = None
        self.lock: Lock = Lock()

    @property
    def status(self) -> Status:
        """How the application stands."""
        return Status.running if self.lock.locked() else self._status

    @status.setter
    def status(self, status: Status) -> None:
        self._status = status

    @property
    def standing(self) -> str:
        """The same apart from the step that is being performed, as it is saved."""
        return self._status.value

    # -- one step at a time

    def claim(self, verb: str) -> None:
        """Begin something that only one may do at a time.

        Raises:
            BusyError: Somebody is doing it.
        """
        if not self.lock.acquire(False):
            raise self.busy(verb)

    def release(self) -> None:
        """End what `claim` began."""
        self.lock.release()

    def busy(self, verb: str) -> BusyError:
        """The error of somebody who came while another is at it."""
        return BusyError(
            f"{verb}: application {self.identity.app_id!r} is already running a step, or a stream of it is open: "
            "wait for that, or close the stream."
        )

    # -- moving

    def commit(self, name: str, state: State[Any]) -> None:
        """The action of that name has been performed: state, position and sequence id move together."""
        self.state = state
        self.prior = name
        self.sequence_id += 1
        self.pending = None
        if self._status is not READY:
            self._status, self.failure = READY, None
        if self.intent is not None:
            self.intent = None
        if self.identity.finished and self.identity.spawning_parent_pointer is None:
            self.identity.finished.clear()

    def fail(self, error: BaseException) -> None:
        """The action was not performed to its end: nothing moves, and the failure is recorded."""
        self.failure = error
        self._status = ending(error, self.intent)

    def settle_on(self, decision: Decision) -> None:
        """A choice was made about the step that comes next: keep it, so that it is made once."""
        self.pending = decision.target
        self.awaiting = self.picked = None
        kept = self._decisions
        if kept is None:
            kept = self._decisions = deque(maxlen=DECISIONS_KEPT)
        kept.append((self.sequence_id + 1, decision))

    def replace_state(self, state: State[Any]) -> None:
        """The state was changed from outside, so what was chosen in the old one no longer counts."""
        self.state = state
        self.awaiting = self.picked = self.intent = None
        self.identity.finished.clear()
        if self.prior is not None:
            self.pending = None

    def restart(self) -> None:
        """Go back to the entrypoint; the sequence id goes on."""
        self.prior, self.pending = None, self.entrypoint
        self.awaiting = self.picked = self.intent = None
        self._status = READY

    # -- remembering

    @property
    def decisions(self) -> list[Decision]:
        """The last decisions, oldest first."""
        return [replace(decision, sequence_id=number) for number, decision in self._decisions or ()]

    @property
    def last_decision(self) -> Decision:
        """The last of them; there is one."""
        assert self._decisions
        number, decision = self._decisions[-1]
        return replace(decision, sequence_id=number)

    def decided(self, sequence_id: int) -> list[Decision]:
        """The choices that led, or are to lead, to a step."""
        found: list[Decision] = []
        for number, decision in reversed(self._decisions or ()):
            if number < sequence_id:
                break
            if number == sequence_id:
                found.append(decision)
        return found[::-1]

    def count_usage(self, name: str, usages: tuple[Usage, ...]) -> None:
        """Add what model calls used to what the action of that name has used."""
        for usage in usages:
            before = self.usage_by_action.get(name)
            self.usage_by_action[name] = usage if before is None else before + usage


def ending(error: BaseException, intent: str | None) -> Status:
    """How an application stands after a step that ended with an error."""
    if intent is not None or isinstance(error, UncertainStep):
        return Status.uncertain
    if isinstance(error, ActionTimeoutError):
        return Status.timed_out
    return Status.failed if isinstance(error, Exception) else Status.cancelled
