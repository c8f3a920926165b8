"""How a state becomes the texts of a row, and back: deltas, snapshots, large values apart, a checksum over all.

What must not live here: when a row is written (`journal.py`), or how single values become text (`serde`).
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from agentflow.errors import CorruptRecord
from agentflow.persistence.records import Key, Row
from agentflow.persistence.serde import Serde
from agentflow.state import Log, StateDelta

#: A value whose text is longer (characters) is stored once under its hash, however often it is written.
LARGE = 64 * 1024
#: Reading a row costs about as much as reading this many characters, however short the row is.
ROW = 2 * 1024

Blobs = dict[str, str]
_encoder = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False)
_escaping = json.JSONEncoder(separators=(",", ":"), check_circular=False)


def compact(value: object) -> str:
    """Plain JSON as short text; half of a surrogate pair, which no store takes as it is, as six plain characters."""
    text = _encoder.encode(value)
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            return _escaping.encode(value)
    return text


def encode_change(serde: Serde, key: Key, number: int, change: StateDelta) -> tuple[str, Blobs]:
    """The text of a change, and the large values that it points to.

    Raises:
        SerializationError: A value cannot be saved; the message names its key path and its type.
    """
    blobs: Blobs = {}
    parts: dict[str, Any] = {}
    for name, values in (("set", change.set), ("append", change.append)):
        for where, value in values.items():
            text = serde.text(value, f"state[{where!r}]", where)
            if len(text) > LARGE:
                digest = digest_of(text)
                blobs[digest] = serde.seal(text, ("blob", digest))
                parts.setdefault(f"large_{name}", {})[where] = compact(digest)
            else:
                parts.setdefault(name, {})[where] = text
    sections = [f"{compact(name)}:{{{members(texts)}}}" for name, texts in parts.items()]
    if change.delete:
        sections.append(f'"delete":{compact(sorted(change.delete))}')
    return serde.seal(f"{{{','.join(sections)}}}", (*key, number, "delta")), blobs


def decode_change(
    serde: Serde,
    key: Key,
    number: int,
    text: str,
    blob: Callable[[str], str | None],
    shelve: Callable[[str, Any], Any] | None = None,
    part: str = "delta",
) -> StateDelta:
    """The change that a text holds, or the whole state that a snapshot does; `shelve` makes a list of its chunks.

    An encrypted text opens only as that part of the row which it was written as, "delta" or "snapshot".

    Raises:
        CorruptRecord: It is damaged, or a large value that it points to is gone.
    """
    found = serde.parse(serde.unseal(text, (*key, number, part)), part)
    if not isinstance(found, dict):
        raise CorruptRecord("a saved change has no sections.")
    for name, section in found.items():
        if name not in _SECTIONS:
            raise CorruptRecord("a saved change has unknown sections.")
        if not isinstance(section, _SECTIONS[name]):
            raise CorruptRecord("a section of a saved change has the wrong form.")
    values = _values(serde, found, "set", blob)
    appended = _values(serde, found, "append", blob)
    for items in appended.values():
        if not isinstance(items, list):
            raise CorruptRecord("what a saved change appends is no list.")
    for where, plain in found.get("chunks", {}).items():
        values[where] = plain if shelve is None else shelve(where, plain)
    return StateDelta(values, appended, frozenset(map(str, found["delete"])) if "delete" in found else _NONE)


def _values(serde: Serde, found: dict[str, Any], name: str, blob: Callable[[str], str | None]) -> dict[str, Any]:
    """The values of a section, large ones included."""
    values: dict[str, Any] = {}
    for key, plain in found.get(name, _EMPTY).items():
        values[key] = plain if type(plain) in _PLAIN else serde.decode(plain, f"state[{key!r}]", key)
    for where, digest in found.get(f"large_{name}", _EMPTY).items():
        values[where] = large_value(serde, digest, blob, where)
    return values


_EMPTY: Mapping[str, Any] = {}
_NONE: frozenset[str] = frozenset()
#: What every serde writes as it is, and most small changes consist of.
_PLAIN = frozenset((str, int, bool, type(None)))
_SECTIONS: dict[str, type] = {
    "set": dict,
    "append": dict,
    "large_set": dict,
    "large_append": dict,
    "chunks": dict,
    "delete": list,
}


def weight(delta: str) -> int:
    """What a row with this change adds to the cost of reading an application, in characters."""
    return max(len(delta), ROW)


def apply(change: StateDelta, values: dict[str, Any]) -> None:
    """Make the change in plain values."""
    for key in change.delete:
        values.pop(key, None)
    values.update(change.set)
    for key, items in change.append.items():
        before = values.get(key, [])
        if isinstance(before, Log):
            values[key] = before.grown(items)
        elif isinstance(before, list):
            values[key] = Log([*before, *items], len(before) + len(items))
        else:
            raise CorruptRecord(f"a saved change appends to state[{key!r}], which is no list.")


def encode_facts(serde: Serde, key: Key, number: int, facts: Mapping[str, Any]) -> str:
    """The text of facts beside the state: decisions, usage, a position."""
    return serde.seal(serde.text(dict(facts), "the record of this step"), (*key, number, "facts"))


def decode_facts(serde: Serde, key: Key, number: int, text: str) -> dict[str, Any]:
    """The facts that a text holds.

    Raises:
        CorruptRecord: It is damaged.
    """
    found = serde.decode(serde.parse(serde.unseal(text, (*key, number, "facts")), "facts"), "facts") if text else {}
    if not isinstance(found, dict):
        raise CorruptRecord("saved facts have the wrong form.")
    return found


def sealed_row(
    number: int, action: str | None, delta: str, snapshot: str | None, facts: str, blobs: Iterable[str]
) -> Row:
    """A row with its checksum."""
    pointed = tuple(dict.fromkeys(blobs))
    bare = Row(number, action, delta, snapshot, facts, pointed)
    return bare._replace(checksum=checksum(bare))


def checksum(row: Row) -> int:
    """The checksum that belongs to the texts of a row."""
    text = f"{row.sequence_id}{row.action or ''}{row.delta}{row.snapshot or ''}{row.facts}"
    return zlib.crc32(text.encode("utf-8", "surrogatepass"))


def check(key: Key, row: Row) -> None:
    """See that nobody changed a row.

    Raises:
        CorruptRecord: Somebody, or something, did.
    """
    if checksum(row) != row.checksum:
        raise damaged(key, row.sequence_id, "its checksum does not fit")


def damaged(key: Key, number: int | None, why: str) -> CorruptRecord:
    """The error of a record that cannot be read, and what to do about it."""
    return CorruptRecord(
        f"the saved step {number} of application {key.app_id!r} is damaged ({why}): `agentflow runs doctor` shows the "
        "last good one, and a fork from there goes on.",
        key.app_id,
        number,
    )


def digest_of(text: str) -> str:
    """The hash that a large value is stored under."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def members(texts: Mapping[str, str]) -> str:
    """The inside of a JSON object whose values are texts already."""
    return ",".join(f"{compact(where)}:{text}" for where, text in texts.items())


def large_value(serde: Serde, digest: object, blob: Callable[[str], str | None], field: str) -> Any:
    """A value of a state key that is stored under its hash.

    Raises:
        CorruptRecord: It is gone, or damaged.
    """
    where = f"state[{field!r}]"
    sealed = blob(str(digest))
    if sealed is None:
        raise CorruptRecord(f"the large value of {where} is gone.")
    text = serde.unseal(sealed, ("blob", str(digest)))
    if digest_of(text) != digest:
        raise CorruptRecord(f"the large value of {where} is not the one that was saved.")
    return serde.decode(serde.parse(text, where), where, field)
