"""How runs are printed: plain lines for a person, JSON-able values for a program.

What must not live here: finding or changing runs.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from agentflow.errors import AgentflowError
from agentflow.persistence.owner import alive
from agentflow.persistence.reading import plain_decision, plain_usage

if TYPE_CHECKING:
    from agentflow.persistence import Persister
    from agentflow.persistence.records import Head, StepRecord
    from agentflow.tracking.records import TrackedApplication, TrackedDecision, TrackedEvent, TrackedStep

#: No value is printed at greater length than this, in characters.
WIDTH = 100
_NONE = object()


def heads(found: Sequence[Head], *, as_json: bool) -> None:
    """Print applications, a line each."""
    if as_json:
        import json

        print(json.dumps([plain_head(head) for head in found], indent=2))
        return
    rows = [
        (head.app_id, head.partition_key or "-", str(head.sequence_id), _standing(head), _ago(head.updated_at))
        for head in found
    ]
    _columns(("application", "partition", "step", "status", "changed"), rows)


def application(store: Persister, head: Head, history: Iterable[StepRecord]) -> None:
    """Print one application: what it is, its state, and each step with the choices that led to it."""
    print(f"application {head.app_id}" + (f" of {head.partition_key}" if head.partition_key else ""))
    print(f"status      {_standing(head)}, step {head.sequence_id}, changed {_ago(head.updated_at)}")
    for name, pointer in (("forked from", head.fork), ("spawned by", head.spawn)):
        if pointer is not None:
            print(f"{name} step {pointer.sequence_id} of {pointer.key.app_id}")
    loaded = store.load(head.partition_key, head.app_id)
    print("\nstate")
    for key, value in sorted(loaded["state"].get_all().items() if loaded is not None else ()):
        print(f"  {key} = {_short(value)}")
    print("\nsteps")
    for step in history:
        _step(step)


def _step(step: StepRecord) -> None:
    if step.problem is not None:
        print(f"  {step.sequence_id:>4}  {step.action}: DAMAGED: {step.problem}")
        return
    for decision in step.decisions:
        if len(decision.targets) > 1:
            print(f"        {decision}")
    cost = f"  {step.usage.total_tokens} tokens" if step.usage.attempts else ""
    again = f"  attempt {step.attempt}" if step.attempt > 1 else ""
    print(f"  {step.sequence_id:>4}  {step.action or '(start)'}  {step.duration * 1000:.1f} ms{cost}{again}")
    change = step.change
    for key, value in change.set.items():
        print(f"          {key} = {_short(value)}")
    for key, items in change.append.items():
        print(f"          {key} + {_short(items)}")
    for key in sorted(change.delete):
        print(f"          {key} deleted")


def whole(store: Persister, head: Head, history: Iterable[StepRecord]) -> dict[str, Any]:
    """Everything that is saved of an application, as JSON-able values."""
    loaded = store.load(head.partition_key, head.app_id)
    serde = store.serde
    steps = [
        {
            "sequence_id": step.sequence_id,
            "action": step.action,
            "set": serde.encode(dict(step.change.set), "set"),
            "append": serde.encode(dict(step.change.append), "append"),
            "delete": sorted(step.change.delete),
            "decisions": [plain_decision(decision) for decision in step.decisions],
            "usage": plain_usage(step.usage) if step.usage.attempts else None,
            "duration": step.duration,
            "attempt": step.attempt,
            "created_at": step.created_at,
            "problem": step.problem,
        }
        for step in history
    ]
    state = {} if loaded is None else serde.encode(loaded["state"].get_all(), "state")
    return {**plain_head(head), "state": state, "steps": steps}


def plain_head(head: Head) -> dict[str, Any]:
    """A head as JSON-able values."""
    return {
        "app_id": head.app_id,
        "partition_key": head.partition_key,
        "sequence_id": head.sequence_id,
        "status": head.status,
        "attempt": head.attempt,
        "forked_from": head.fork and [head.fork.key.app_id, head.fork.sequence_id],
        "spawned_by": head.spawn and [head.spawn.key.app_id, head.spawn.sequence_id],
        "created_at": head.created_at,
        "updated_at": head.updated_at,
    }


def difference(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Print how two states differ; whether they do."""
    changed = [key for key in sorted({*one, *other}) if one.get(key, _NONE) != other.get(key, _NONE)]
    for key in changed:
        for sign, values in (("-", one), ("+", other)):
            print(f"{sign} {key} = {_short(values[key])}" if key in values else f"{sign} {key} is not there")
    return bool(changed)


def examined(store: Persister) -> bool:
    """Read every application, and print what is damaged or stuck; whether anything is damaged."""
    count, damaged = 0, False
    for head in store.all_heads():
        count += 1
        problem = _examined(store, head)
        if problem is not None:
            damaged = True
            print(f"DAMAGED  {head.app_id}: {problem}")
        if head.owner and not alive(head.owner):
            print(f"crashed  {head.app_id}: its last owner is gone; it goes on at step {head.sequence_id + 1}")
        if head.status == "uncertain":
            print(f"open     {head.app_id}: step {head.sequence_id + 1} may have had its effect; see resolve()")
    print(f"{count} applications read; what a commit survives here: {store.promise}")
    return damaged


def _examined(store: Persister, head: Head) -> str | None:
    last_good = None
    for step in store.history(head.app_id, head.partition_key):
        if step.problem is not None:
            return f"{step.problem} The last good step is {last_good}."
        last_good = step.sequence_id
    try:
        store.load(head.partition_key, head.app_id)
    except AgentflowError as error:
        return f"{error}"
    return None


def tracked(found: Iterable[TrackedApplication], *, as_json: bool) -> None:
    """Print tracked applications, a line each."""
    if as_json:
        import json

        shown = [{name: fact for name, fact in asdict(app).items() if name != "graph"} for app in found]
        print(json.dumps(shown, indent=2, ensure_ascii=False))
        return
    rows = [
        (app.app_id, app.project, str(app.steps), app.damaged or app.status, _ago(app.last_at or app.created_at))
        for app in found
    ]
    _columns(("application", "project", "steps", "status", "changed"), rows)


def tracked_steps(steps: Iterable[TrackedStep], decisions: Iterable[TrackedDecision], *, as_json: bool) -> None:
    """Print the tracked steps of an application."""
    if as_json:
        import json

        told = {"steps": [asdict(step) for step in steps], "decisions": [asdict(decision) for decision in decisions]}
        print(json.dumps(told, indent=2, ensure_ascii=False))
        return
    chosen: dict[int | None, list[TrackedDecision]] = {}
    for decision in decisions:
        chosen.setdefault(decision.sequence_id, []).append(decision)
    for step in steps:
        for decision in chosen.get(step.sequence_id, ()):
            print(f"        {decision.source} -> {decision.target}, decided by {decision.decided_by}")
        took = f"{step.seconds * 1000:.1f} ms" if step.seconds is not None else "running"
        print(f"  {step.sequence_id if step.sequence_id is not None else '?':>4}  {step.action}  {step.status}  {took}")
        for key, value in step.set.items():
            print(f"          {key} = {_short(value)}")


def event(found: TrackedEvent) -> None:
    """Print something that was tracked."""
    print(
        f"{time.strftime('%H:%M:%S', time.localtime(found.at))}  {found.kind}  {_short(dict(found.facts))}", flush=True
    )


def _standing(head: Head) -> str:
    if head.owner:
        return f"running ({head.lease:.0f} s)" if alive(head.owner) and head.lease > 0 else "crashed"
    return head.status


def _columns(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(row[at]) for row in (titles, *rows)) for at in range(len(titles))]
    for row in (titles, *rows):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= WIDTH else f"{text[: WIDTH - 1]}…"


def _ago(at: float) -> str:
    seconds = max(time.time() - at, 0.0)
    for unit, size in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{seconds:.0f} seconds ago"
