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
    """A row as text; its first letter says whether it has a snapshot."""
    values = [row.action, row.delta, row.snapshot, row.facts, list(row.blobs), row.checksum, epoch]
    return f"{'D' if row.snapshot is None else 'S'}{json.dumps(values, separators=(',', ':'))}"


def rows_from(found: Sequence[str]) -> list[Row]:
    """Rows out of what the script gives: numbers and texts.

    Raises:
        CorruptRecord: One is damaged.
    """
    rows = []
    for number, text in zip(found[::2], found[1::2], strict=True):
        created, _, body = text.partition("|")
        try:
            action, delta, snapshot, facts, blobs, checksum, epoch = json.loads(body[1:])
            made = Row(int(number), action, delta, snapshot, facts, tuple(blobs), checksum, epoch, float(created))
        except (ValueError, TypeError) as error:
            raise CorruptRecord(f"the saved step {number} is damaged: {error}.", "", int(number)) from error
        rows.append(made)
    return rows


def head_from(key: Key, found: Mapping[str, str], now: float) -> Head:
    """A head out of the fields of an application."""
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
