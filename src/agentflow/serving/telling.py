"""Values, steps and choices as an answer tells them, in the forms that `shapes.py` declares.

What must not live here: reading them from anywhere.
"""

from __future__ import annotations

from typing import Any

from pydantic_core import to_jsonable_python

from agentflow.persistence.records import StepRecord
from agentflow.redaction import redact
from agentflow.select.selector import Decision
from agentflow.usage import Usage


def plain(value: Any) -> Any:
    """A value as JSON has it; what JSON has no form for is told in words, and a `Secret` is not told."""
    return to_jsonable_python(
        value, serialize_unknown=True, inf_nan_mode="null", bytes_mode="base64", exclude_none=False
    )


def step_of(record: StepRecord) -> dict[str, Any]:
    """A step of the history."""
    return {
        "sequence_id": record.sequence_id,
        "action": record.action,
        "set": plain(dict(record.change.set)),
        "append": plain({key: list(items) for key, items in record.change.append.items()}),
        "delete": sorted(record.change.delete),
        "decisions": [decision_of(each, record.sequence_id) for each in record.decisions],
        "usage": used(record.usage),
        "seconds": record.duration,
        "attempt": record.attempt,
        "created_at": record.created_at,
        "problem": record.problem and redact(record.problem),
    }


def decision_of(decision: Decision, sequence_id: int | None = None) -> dict[str, Any]:
    """A decision; its raw answer is the model's own business."""
    return {
        "source": decision.source,
        "target": decision.target,
        "targets": list(decision.targets),
        "decided_by": decision.decided_by,
        "reason": decision.reason,
        "confidence": plain(decision.confidence),
        "tokens": decision.tokens,
        "cost": decision.cost,
        "seconds": decision.seconds,
        "fallback": decision.fallback,
        "sequence_id": decision.sequence_id if sequence_id is None else sequence_id,
    }


def used(usage: Usage) -> dict[str, Any] | None:
    """What model calls used; None when there were none."""
    if not usage.attempts:
        return None
    return {
        "model": usage.model,
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cost": usage.cost,
        "seconds": usage.latency,
        "calls": usage.attempts,
    }
