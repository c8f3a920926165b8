"""From what is stored to what is shown: one event becomes one record, and a damaged one says that it is damaged.

What must not live here: SQL, or which events belong together.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

from agentflow.context import ParentPointer
from agentflow.tracking.records import (
    Stream,
    TrackedApplication,
    TrackedDecision,
    TrackedEvent,
    TrackedSpan,
    TrackedStep,
)
from agentflow.usage import Usage

Record = TypeVar("Record", TrackedStep, TrackedDecision, TrackedSpan, TrackedEvent)

#: What a damaged event may raise on its way.
DAMAGE = (ValueError, TypeError, KeyError, AttributeError, RecursionError)


class Event(NamedTuple):
    """One row of the table of events."""

    number: int
    kind: str
    step: int | None
    at: float
    data: Any


def read_facts(data: Any) -> dict[str, Any]:
    """The facts of an event.

    Raises:
        ValueError: They are damaged.
    """
    facts = json.loads(data)
    if not isinstance(facts, dict):
        raise TypeError(f"it holds a {type(facts).__name__} where facts belong")
    return facts


def read(event: Event, as_kind: Callable[[Event, dict[str, Any]], Record], damaged: type[Record]) -> Record:
    """The record of an event, or one that only says why it could not be read."""
    try:
        return as_kind(event, read_facts(event.data))
    except DAMAGE as error:
        why = f"event {event.number} is damaged: {error}"
        return damaged(number=event.number, sequence_id=event.step, damaged=why)


def as_step(event: Event, facts: dict[str, Any]) -> TrackedStep:
    """The record of the beginning or the end of a step."""
    changed = dict(facts.get("set", {}))
    keys = facts.get("result_of")
    stream = facts.get("stream")
    return TrackedStep(
        number=event.number,
        sequence_id=event.step,
        action=str(facts["action"]),
        status="running" if event.kind == "begin" else str(facts.get("status", "done")),
        inputs=dict(facts.get("inputs", {})),
        result={key: changed.get(key) for key in keys} if keys is not None else facts.get("result"),
        set=changed,
        append=dict(facts.get("append", {})),
        delete=tuple(facts.get("delete", ())),
        error=_texts(facts.get("error")),
        started_at=event.at,
        seconds=facts.get("seconds"),
        attempt=int(facts.get("attempt", 1)),
        usages=tuple(Usage(**usage) for usage in facts.get("usages", ())),
        stream=None if stream is None else Stream(**stream),
        damaged=facts.get("damaged"),
    )


def as_decision(event: Event, facts: dict[str, Any]) -> TrackedDecision:
    """The record of a choice."""
    target = str(facts["target"])
    usages = tuple(Usage(**usage) for usage in facts.get("usages", ()))
    known = {**facts, "targets": tuple(facts.get("targets", (target,))), "usages": usages}
    return TrackedDecision(number=event.number, sequence_id=event.step, at=event.at, **known)


def as_span(event: Event, facts: dict[str, Any]) -> TrackedSpan:
    """The record of the opening of a span."""
    return TrackedSpan(
        number=event.number,
        uid=facts["uid"],
        name=facts["name"],
        sequence_id=event.step,
        action=facts.get("action"),
        parent=facts.get("parent"),
        dependencies=tuple(facts.get("dependencies", ())),
        started_at=event.at,
    )


def as_event(event: Event, facts: dict[str, Any]) -> TrackedEvent:
    """The event itself."""
    return TrackedEvent(number=event.number, kind=event.kind, sequence_id=event.step, at=event.at, facts=facts)


def as_application(row: tuple[Any, ...], standing: Mapping[str, Any]) -> TrackedApplication:
    """The record of an application, given its row and how it stands."""
    number, project, partition_key, app_id, created_at, *pointers = row
    try:
        return TrackedApplication(
            number=number,
            project=str(project),
            app_id=str(app_id),
            partition_key=None if partition_key is None else str(partition_key),
            created_at=float(created_at),
            spawned_by=_pointer(*pointers[:3]),
            parent=_pointer(*pointers[3:6]),
            **standing,
        )
    except DAMAGE as error:
        why = f"application {number} is damaged: {error}"
        return TrackedApplication(number=number, project=str(project), app_id=str(app_id), damaged=why)


def _pointer(app_id: Any, partition_key: Any, step: Any) -> ParentPointer | None:
    return None if app_id is None else ParentPointer(app_id, partition_key, step)


def _texts(facts: Any) -> dict[str, str] | None:
    return None if facts is None else {str(key): str(value) for key, value in facts.items()}
