"""Reading an application back: its state after any step, through the steps of whatever it was forked from.

What must not live here: writing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from agentflow.errors import ConflictError, CorruptRecord
from agentflow.persistence.encoding import (
    apply,
    check,
    damaged,
    decode_change,
    decode_facts,
    encode_change,
    encode_facts,
    large_value,
    sealed_row,
    weight,
)
from agentflow.persistence.records import Birth, Head, Key, Loaded, Mark, Pointer, Row, StepRecord, check_number
from agentflow.persistence.serde import Serde
from agentflow.persistence.snapshots import Chunk, shelved
from agentflow.select.selector import Decision
from agentflow.state import State, StateDelta
from agentflow.usage import NOTHING, Usage

if TYPE_CHECKING:
    from agentflow.persistence.persister import Persister


@dataclass(slots=True)
class Restored:
    """An application as it was after a step.

    Attributes:
        values: The state.
        row: The last row that was read.
        base: Characters of the snapshot it was read from, with the large values it points to.
        grown: What reading the changes since costs, in characters.
        steps: How many changes those are.
        chunks: What is stored of long lists that have only grown since.
    """

    values: dict[str, Any]
    row: Row
    base: int = 0
    grown: int = 0
    steps: int = 0
    chunks: dict[str, tuple[Chunk, ...]] = field(default_factory=dict)


def restore(persister: Persister, key: Key, upto: int, serde: Serde | None = None) -> Restored:
    """The state of an application after the step `upto`; long lists are read when they are looked at.

    Raises:
        CorruptRecord: A record that it takes is damaged or gone.
    """
    serde = serde or persister.serde
    rows = persister.trail(key, upto)
    if not rows or rows[-1].sequence_id != upto:
        raise damaged(key, upto, "it is not there")
    first = rows[0]
    if first.snapshot is None:
        head = persister.head(key)
        if head is None or head.fork is None:
            raise damaged(key, first.sequence_id, "there is no snapshot to begin with")
        found = restore(persister, head.fork.key, head.fork.sequence_id, serde)
    else:
        found = Restored({}, first, len(first.snapshot))
    for row in rows:
        check(key, row)
        try:
            if row.snapshot is None:
                _change(persister, serde, key, row, found)
            else:
                _begin_at(persister, serde, key, row, row.snapshot, found)
        except CorruptRecord as error:
            raise damaged(key, row.sequence_id, str(error)) from error
    found.row = rows[-1]
    return found


def _change(persister: Persister, serde: Serde, key: Key, row: Row, found: Restored) -> None:
    """Do what a step did."""
    change = decode_change(serde, key, row.sequence_id, row.delta, persister.blob)
    found.grown += weight(row.delta)
    found.steps += 1
    if found.chunks:
        for touched in (*change.set, *change.delete):
            found.chunks.pop(touched, None)
    apply(change, found.values)


def _begin_at(persister: Persister, serde: Serde, key: Key, row: Row, text: str, found: Restored) -> None:
    """Take the state from a snapshot."""
    large: list[int] = []

    def blob(digest: str) -> str | None:
        body = persister.blob(digest)
        large.append(len(body or ""))
        return body

    def shelve(name: str, plain: Any) -> Any:
        made, found.chunks[name] = shelved(
            serde, name, plain, lambda digest: large_value(serde, digest, persister.blob, name)
        )
        return made

    found.values, found.chunks = {}, {}
    change = decode_change(serde, key, row.sequence_id, text, blob, shelve, "snapshot")
    found.base += sum(large)
    apply(change, found.values)


def position_of(serde: Serde, head: Head) -> dict[str, Any]:
    """Where an application stands, decoded.

    Raises:
        CorruptRecord: That is damaged.
    """
    try:
        return decode_facts(serde, head.key, _MARK, head.mark.position)
    except CorruptRecord as error:
        raise damaged(head.key, head.sequence_id, f"where it stands: {error}") from error


def encode_position(serde: Serde, key: Key, position: dict[str, Any]) -> str:
    """The text of where an application stands."""
    return encode_facts(serde, key, _MARK, position)


def amendment(position: Mapping[str, Any]) -> StateDelta:
    """What was changed in the state from outside since the last step."""
    plain = position.get("amended") or {}
    return StateDelta(plain.get("set", {}), {}, frozenset(plain.get("delete", ())))


_MARK = -99  # in the place of a step's number


_BEGUN = "begun_at"


def _begun(serde: Serde, key: Key, row: Row) -> dict[str, Any]:
    """Where a fork stood when it was made, from its first row; empty for any other row.

    Raises:
        CorruptRecord: It is damaged.
    """
    if row.action is not None:
        return {}
    check(key, row)
    return dict(decode_facts(serde, key, row.sequence_id, row.facts).get(_BEGUN) or {})


def _check_kept(persister: Persister, head: Head, number: int) -> None:
    """See that a step is none that was pruned, or that never was.

    Raises:
        ConflictError: It is before all that are kept.
    """
    for first in persister.rows(head.key, None, 1):
        if number < first.sequence_id:
            raise ConflictError(
                f"application {head.app_id!r} has no step {number} (any more): steps {first.sequence_id} to "
                f"{head.sequence_id} are kept, so load one of those.",
                head.app_id,
                head.sequence_id,
            )


def loaded(persister: Persister, key: Key, number: int | None) -> Loaded | None:
    """What `Persister.load` gives."""
    check_number("sequence_id", number)
    head = persister.head(key)
    if head is None or (number is not None and number > head.sequence_id):
        return None
    upto = head.sequence_id if number is None else number
    try:
        found = restore(persister, key, upto)
    except CorruptRecord:
        _check_kept(persister, head, upto)
        raise
    position = (
        position_of(persister.serde, head) if upto == head.sequence_id else _begun(persister.serde, key, found.row)
    )
    apply(amendment(position), found.values)
    return {
        "partition_key": head.partition_key,
        "app_id": key.app_id,
        "sequence_id": upto,
        "position": found.row.action if found.row.action is not None else position.get("prior"),
        "state": State(State(found.values).get_all()),  # all of it now: the application may be deleted later
        "created_at": found.row.created_at,
        "status": head.status if upto == head.sequence_id else "completed",
    }


def recorded(persister: Persister, key: Key, row: Row) -> StepRecord:
    """A row of the history, decoded; a damaged one says so."""

    def shelve(name: str, plain: Any) -> list[Any]:
        return shelved(serde, name, plain, lambda digest: large_value(serde, digest, persister.blob, name))[0].items()

    serde = persister.serde
    try:
        check(key, row)
        change = decode_change(persister.serde, key, row.sequence_id, row.delta, persister.blob, shelve)
        whole = {name: [*change.set[name], *items] for name, items in change.append.items() if name in change.set}
        appended = {name: items for name, items in change.append.items() if name not in whole}
        change = StateDelta({**change.set, **whole}, appended, change.delete)
        facts = decode_facts(persister.serde, key, row.sequence_id, row.facts)
        return StepRecord(
            row.sequence_id,
            row.action,
            change,
            tuple(decisions_from(facts.get("decisions", ()))),
            usage_from(facts.get("usage")),
            float(facts.get("duration", 0.0)),
            int(facts.get("attempt", 1)),
            row.created_at,
        )
    except (CorruptRecord, TypeError, ValueError) as error:
        return StepRecord(row.sequence_id, row.action, StateDelta(), created_at=row.created_at, problem=str(error))


def forked(persister: Persister, source: Key, number: int | None, new: Key) -> Birth:
    """What makes a fork of an application after a step.

    Raises:
        BuildError: `number` is no whole number.
        ConflictError: There is no such application or step.
    """
    check_number("sequence_id", number)
    head = persister.head(source)
    if head is None:
        raise ConflictError(f"there is no application {source.app_id!r} to fork.", source.app_id)
    at = head.sequence_id if number is None else number
    rows = persister.trail(source, at)
    if not rows or rows[-1].sequence_id != at:
        raise ConflictError(f"application {source.app_id!r} has no step {at} to fork from.", source.app_id, at)
    serde = persister.serde
    position = position_of(serde, head) if at == head.sequence_id else {}
    if at != head.sequence_id:
        entry = position_of(serde, head).get("entry")
        position = {"prior": rows[-1].action, "entry": entry, "next": None if rows[-1].action else entry}
        position |= _begun(serde, source, rows[-1])
    delta, blobs = encode_change(serde, new, at, amendment(position))  # what was changed from outside is in no row yet
    for passing in ("amended", "intent"):
        position.pop(passing, None)
    row = sealed_row(at, None, delta, None, encode_facts(serde, new, at, {_BEGUN: position}), blobs)
    mark = Mark(encode_position(serde, new, position), "ready")
    return Birth(row, mark, Pointer(source, at), None, head.graph, blobs)


_DECISION = {field.name: field.default for field in fields(Decision)}
_USAGE = {field.name for field in fields(Usage)}


def decisions_from(plain: Iterable[Any]) -> list[Decision]:
    """Decisions out of their plain form; what a newer version added is left out."""
    return [
        Decision(**{**{k: v for k, v in each.items() if k in _DECISION}, "targets": tuple(each.get("targets", ()))})
        for each in plain
    ]


def plain_decision(decision: Decision) -> dict[str, Any]:
    """A decision as plain values, without those that say nothing."""
    plain: dict[str, Any] = {}
    for name, usual in _DECISION.items():
        value = getattr(decision, name)
        if value is not usual and value != usual:
            plain[name] = value
    plain["targets"] = list(decision.targets)
    if "raw" in plain:
        plain["raw"] = str(plain["raw"])
    return plain


def usage_from(plain: Any) -> Usage:
    """Usage out of its plain form."""
    return Usage(**{k: v for k, v in plain.items() if k in _USAGE}) if isinstance(plain, dict) else NOTHING


def plain_usage(usage: Usage) -> dict[str, Any]:
    """Usage as plain values."""
    return {name: getattr(usage, name) for name in sorted(_USAGE)}
