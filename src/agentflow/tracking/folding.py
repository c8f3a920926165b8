"""What events say together: a span and its end, the state that many changes come to.

What must not live here: SQL.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from agentflow.tracking.parsing import DAMAGE, Event, as_span, read, read_facts
from agentflow.tracking.records import TrackedSpan


def with_spans_closed(events: Iterable[Event]) -> list[TrackedSpan]:
    """Spans with how long they took and what was recorded on them."""
    spans: dict[Any, TrackedSpan] = {}
    for event in events:
        if event.kind == "span":
            span = read(event, as_span, TrackedSpan)
            spans[span.uid or event.number] = span
            continue
        try:
            facts = read_facts(event.data)
            uid = facts["uid"] if facts["uid"] is not None else f"step {event.step}"
            if event.kind == "span_end":
                spans[uid] = replace(spans[uid], seconds=event.at - spans[uid].started_at)
            else:
                span = spans.get(uid) or TrackedSpan(
                    number=event.number, sequence_id=event.step, action=facts.get("action"), started_at=event.at
                )
                spans[uid] = replace(span, attributes={**span.attributes, **facts["attributes"]})
        except DAMAGE as error:
            why = f"event {event.number} is damaged: {error}"
            spans[event.number] = TrackedSpan(number=event.number, sequence_id=event.step, damaged=why)
    return list(spans.values())


def folded(events: Iterable[Event], sequence_id: int | None) -> dict[str, Any]:
    """The state that the events come to, up to the end of a step; what is damaged adds nothing."""
    state: dict[str, Any] = {}
    for event in events:
        if sequence_id is not None and event.step is not None and event.step > sequence_id:
            break
        try:
            facts = read_facts(event.data)
            state = dict(facts["state"]) if event.kind != "step" else changed(state, facts)
        except DAMAGE:
            continue
    return state


def changed(state: dict[str, Any], facts: dict[str, Any]) -> dict[str, Any]:
    """A state after what a step did to it."""
    gone = set(facts.get("delete", ()))
    after = {key: value for key, value in state.items() if key not in gone} | dict(facts.get("set", {}))
    for key, items in facts.get("append", {}).items():
        after[key] = [*after.get(key, ()), *items]
    return after
