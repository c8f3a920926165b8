"""Putting a saved application back on a graph: where it stood, and whether the graph still knows that place.

What must not live here: reading rows (`reading.py`), or who may run it (`journal.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import CoroutineType
from typing import TYPE_CHECKING, Any, Protocol

from agentflow.errors import BuildError, GraphMismatch, InvalidValueError, did_you_mean
from agentflow.graph import Graph
from agentflow.persistence.encoding import apply
from agentflow.persistence.reading import amendment, decisions_from, plain_decision, position_of, restore
from agentflow.persistence.records import Head
from agentflow.persistence.serde import Serde
from agentflow.persistence.snapshots import Chunks
from agentflow.runtime import name_of
from agentflow.select.selector import END, Decision, PendingChoice, Target
from agentflow.state import State, TypingSystem

if TYPE_CHECKING:
    from agentflow.persistence.persister import Persister

Upgrade = Callable[[dict[str, Any]], Mapping[str, Any]]


class Progress(Protocol):
    """Where a run is, as the engine keeps it.

    Attributes:
        pending: What comes next: an action, a named choice, `END`; None while that has not been chosen.
        awaiting: The choice that a person has to make; `picked` is what they said.
        intent: The action that may run once only, and has been begun.
        until: Whether the run ends with the action of a name, and how the application stands then: its status, and the
            choice that is certain to come next, if one is. None from an action that the run goes on after, and when
            that is not known. None while there is no run.
    """

    graph: Graph
    state: State[Any]
    entrypoint: str
    prior: str | None
    pending: str | None
    sequence_id: int
    awaiting: PendingChoice | None
    picked: Decision | None
    intent: str | None
    until: Callable[[str], tuple[str, Decision | None] | None] | None

    def decided(self, sequence_id: int) -> list[Decision]:
        """The choices that led, or are to lead, to a step."""

    def settle_on(self, decision: Decision) -> None:
        """Remember a choice about the step that comes next."""

    def commit(self, name: str, state: State[Any]) -> None:
        """Move on by one step."""


@dataclass(frozen=True, slots=True)
class Fit:
    """How a saved application is fitted to a graph that has changed since.

    Attributes:
        migrations: From the name that an action had to the one it has now.
        upgrade_state: Makes a state as the graph wants it from one as it was saved.
        resume_at_next_action: Whether it goes on where it was, or at the entrypoint with the saved state.
    """

    migrations: Mapping[str, str] = field(default_factory=dict)
    upgrade_state: Upgrade | None = None
    resume_at_next_action: bool = True


@dataclass(slots=True)
class Resumed:
    """What was read of an application: to be put on a machine.

    Attributes:
        state: The state, with what was changed from outside since the last step.
        saved: The state after the last step; the same object when nothing was changed since.
    """

    head: Head
    state: State[Any]
    saved: State[Any]
    position: dict[str, Any]
    base: int
    grown: int
    chunks: Chunks = field(default_factory=dict)
    steps: int = 0


def read(persister: Persister, head: Head, serde: Serde, typing: TypingSystem | None, fit: Fit) -> Resumed:
    """Read an application after its last step.

    Raises:
        BuildError: `upgrade_state` gave no mapping.
        CorruptRecord: It is damaged.
        GraphMismatch: The saved state does not fit the declared type.
    """
    found = restore(persister, head.key, head.sequence_id, serde)
    position = position_of(serde, head)
    amended = amendment(position)
    values = dict(found.values)
    apply(amended, values)
    if fit.upgrade_state is not None:
        values = upgraded(fit, State(values).get_all())
    state = _typed(values, typing, head)
    untouched = fit.upgrade_state is None and not amended.set and not amended.delete
    saved = state if untouched else State(found.values)
    return Resumed(head, state, saved, position, found.base, found.grown, found.chunks, found.steps)


def upgraded(fit: Fit, values: dict[str, Any]) -> dict[str, Any]:
    """The values as `upgrade_state` makes them, if there is one.

    Raises:
        BuildError: It gave no mapping.
    """
    if fit.upgrade_state is None:
        return values
    found: Any = fit.upgrade_state(values)
    if isinstance(found, CoroutineType):
        found.close()
    if not isinstance(found, Mapping):
        raise BuildError(
            f"upgrade_state={name_of(fit.upgrade_state)} gave a value of type {type(found).__name__}: return a "
            "mapping of all keys of the state to their values, from a plain function."
        )
    return dict(found)


def put(resumed: Resumed, progress: Progress, fit: Fit) -> None:
    """Have the machine stand where the saved application stood.

    Raises:
        GraphMismatch: The graph has no such place, or the state lacks what comes next.
    """
    position, graph = resumed.position, progress.graph
    prior, pending = (_renamed(graph, position.get(name), fit, resumed.head) for name in ("prior", "next"))
    progress.state, progress.sequence_id = resumed.state, resumed.head.sequence_id
    progress.prior, progress.pending, progress.intent = prior, pending, None
    progress.awaiting = progress.picked = None
    if not fit.resume_at_next_action:
        progress.prior, progress.pending = None, progress.entrypoint
    else:
        _put_choices(position, progress, fit)
    _check_reads(progress, resumed.head)


def plain_position(progress: Progress, change: Mapping[str, Any] | None, error: str | None) -> dict[str, Any]:
    """Where a machine stands, as plain values; `put` is its counterpart."""
    position: dict[str, Any] = {
        "prior": progress.prior,
        "next": progress.pending,
        "entry": progress.entrypoint,
        "decisions": [plain_decision(each) for each in progress.decided(progress.sequence_id + 1)],
    }
    if progress.awaiting is not None:
        position["awaiting"] = _plain_choice(progress.awaiting)
    if progress.picked is not None:
        position["picked"] = plain_decision(progress.picked)
    return position | {
        name: value
        for name, value in (("intent", progress.intent), ("amended", change), ("error", error))
        if value is not None
    }


def _put_choices(position: Mapping[str, Any], progress: Progress, fit: Fit) -> None:
    target = progress.pending
    for decision in decisions_from(position.get("decisions", ())):
        progress.settle_on(decision)
    progress.pending = target  # `settle_on` moved it to the last decision's target, under its old name
    waiting = position.get("awaiting")
    if isinstance(waiting, Mapping):
        targets = tuple(Target(*each) for each in waiting["targets"])
        progress.awaiting = PendingChoice(**{**waiting, "targets": targets})
    if position.get("picked") is not None:
        (progress.picked,) = decisions_from([position["picked"]])
    intent = position.get("intent")
    progress.intent = fit.migrations.get(intent, intent) if intent is not None else None


def _renamed(graph: Graph, name: str | None, fit: Fit, head: Head) -> str | None:
    if name is None or name == END:
        return name
    new = fit.migrations.get(name, name)
    if graph.has_action(new) or new in graph.choices:
        return new
    known = [action.name for action in graph.actions]
    raise GraphMismatch(
        f"application {head.app_id!r} stands at {name!r} (step {head.sequence_id}), which this graph does not have: "
        f"say what it is called now with migrations={{{name!r}: ...}}. {did_you_mean(new, known)}"
    )


def _typed(values: dict[str, Any], typing: TypingSystem | None, head: Head) -> State[Any]:
    if typing is None:
        return State(values)
    try:
        return State({**typing.defaults(), **State(values).get_all()}, typing)
    except InvalidValueError as error:
        raise GraphMismatch(
            f"the saved state of application {head.app_id!r} does not fit {typing.state_type.__name__}: {error} "
            "Bring old states up to date with upgrade_state=."
        ) from error


def _check_reads(progress: Progress, head: Head) -> None:
    contract = progress.graph.contracts.get(progress.pending or _only_target(progress) or "")
    if contract is None:
        return
    missing = sorted(contract.scope.reads - progress.state.keys())
    if missing:
        raise GraphMismatch(
            f"application {head.app_id!r} goes on at '{contract.name}', which reads {missing[0]!r}, and its saved "
            f"state has no such key (it has {', '.join(map(repr, sorted(progress.state))) or 'none'}): bring it up to "
            "date with upgrade_state=."
        )


def _only_target(progress: Progress) -> str | None:
    choice = progress.graph.choices.get(progress.prior or "")
    return choice.names[0] if choice is not None and len(choice.names) == 1 else None


def _plain_choice(choice: PendingChoice) -> dict[str, Any]:
    targets: Iterable[list[str]] = [[target.name, target.description] for target in choice.targets]
    return {
        "targets": targets,
        "question": choice.question,
        "asked_by": choice.asked_by,
        "source": choice.source,
        "reason": choice.reason,
    }
