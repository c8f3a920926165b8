"""How Redis holds a row, a pointer and the place of an application in its index: as texts.

What must not live here: talking to Redis (`redis.py`), or encoding states (`encoding.py`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from agentflow.errors import CorruptRecord
from agentflow.persistence.records import Head, Key, Mark, Pointer, Row


def member_of(key: Key) -> str:
    """The application's place in the index, and the end of its keys."""
    return f"{key.partition}\0{key.app_id}"


def pointed(name: str, pointer: Pointer | None) -> dict[str, str]:
    """A pointer as a field."""
    return {} if pointer is None else {name: json.dumps([*pointer.key, pointer.sequence_id])}


def pointer_from(text: str | None) -> Pointer | None:
    """The pointer in a field."""
    if text is None:
        return None
    partition, app_id, number = json.loads(text)
    return Pointer(Key(partition, app_id), number)


def paired(values: Mapping[str, str]) -> list[Any]:
    """A mapping as the script reads it: a count, then pairs."""
    return [len(values), *(part for pair in values.items() for part in pair)]


def row_pairs(rows: Sequence[Row], epoch: int) -> list[Any]:
    """Rows as the script reads them: a count, then numbers and texts."""
    return [len(rows), *(part for row in rows for part in (row.sequence_id, text_of(row, epoch)))]


def text_of(row: Row, epoch: int) -> str:
    """A row as text: whether it has a snapshot, the hashes of its large values, and the rest."""
    values = [row.action, row.delta, row.snapshot, row.facts, row.checksum, epoch]
    return f"{'D' if row.snapshot is None else 'S'}{' '.join(row.blobs)}|{json.dumps(values, separators=(',', ':'))}"


def rows_from(found: Sequence[str]) -> list[Row]:
    """Rows out of what the script gives: numbers and texts; one that is damaged has a checksum that does not fit."""
    return [_row(int(number), text) for number, text in zip(found[::2], found[1::2], strict=True)]


def _row(number: int, text: str) -> Row:
    created, _, rest = text.partition("|")
    blobs, _, body = rest[1:].partition("|")
    try:
        action, delta, snapshot, facts, checksum, epoch = json.loads(body)
        return Row(number, action, delta, snapshot, facts, tuple(blobs.split()), checksum, epoch, float(created))
    except (ValueError, TypeError, RecursionError):
        return Row(number, None, "", checksum=-1)


def head_from(key: Key, answer: tuple[Sequence[str], str]) -> Head | None:
    """A head out of what the script gives: the fields of an application, and the time there.

    Raises:
        CorruptRecord: It is damaged.
    """
    flat, now = answer
    found = dict(zip(flat[::2], flat[1::2], strict=True))
    if not found:
        return None
    try:
        return _head(key, found, float(now))
    except (ValueError, TypeError, KeyError) as error:
        raise CorruptRecord(f"where application {key.app_id!r} stands is damaged: {error}.", key.app_id) from error


def _head(key: Key, found: Mapping[str, str], now: float) -> Head:
    return Head(
        key,
        int(found["head"]),
        int(found["epoch"]),
        Mark(found["position"], found["status"]),
        found["owner"],
        float(found["held_until"]) - now,
        int(found["attempt"]),
        pointer_from(found.get("fork")),
        pointer_from(found.get("spawn")),
        found["graph"],
        float(found["created_at"]),
        float(found["updated_at"]),
    )
