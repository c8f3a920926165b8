"""Snapshots: a whole state as text, in which a long list points to the chunks that earlier snapshots stored of it.

So a list that grows is written once, whatever its length, and is read from the store when somebody looks at it. What
must not live here: when a snapshot is taken (`ledger.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from agentflow.errors import CorruptRecord
from agentflow.persistence.encoding import LARGE, Blobs, compact, digest_of, members
from agentflow.persistence.records import Key
from agentflow.persistence.serde import Serde
from agentflow.persistence.serde.registry import field_codec
from agentflow.state import Log, Shelf, State, stored_values


class Chunk(NamedTuple):
    """So many items of a list that are stored together."""

    digest: str
    length: int


Chunks = Mapping[str, tuple[Chunk, ...]]

#: A chunk has at least so many characters and is cut at four times as many; less stays in the text of the snapshot.
CHUNK = 4 * 1024


@dataclass(slots=True)
class Snapshot:
    """A state, encoded.

    Attributes:
        text: The text that stands for it.
        weight: What reading it costs, in characters: the text with the large values, but not the chunks, which are read
            when somebody looks at them.
        blobs: Large values and chunks that are new.
        digests: Of all that the text points to.
        chunks: What is stored of each long list.
    """

    text: str = ""
    weight: int = 0
    blobs: Blobs = field(default_factory=dict)
    digests: list[str] = field(default_factory=list)
    chunks: dict[str, tuple[Chunk, ...]] = field(default_factory=dict)


def encode_snapshot(serde: Serde, key: Key, number: int, state: State[Any], known: Chunks) -> Snapshot:
    """Encode a state.

    Args:
        serde: How values become text.
        key: Whose state it is.
        number: After which step.
        state: The state.
        known: What is stored already of lists that have only grown since.

    Raises:
        SerializationError: A value cannot be saved.
    """
    made = Snapshot()
    parts: dict[str, dict[str, str]] = {"set": {}, "append": {}, "large_set": {}, "chunks": {}}
    for name, value in stored_values(state).items():
        if (type(value) is list or type(value) is Log) and field_codec(name) is None:
            _shelve(serde, name, value, known.get(name, ()), parts, made)
        else:
            text = serde.text(value.items() if type(value) is Log else value, f"state[{name!r}]", name)
            if len(text) > LARGE:
                parts["large_set"][name] = compact(_kept(serde, text, made))
                made.weight += len(text)
            else:
                parts["set"][name] = text
    sections = [f"{compact(name)}:{{{members(texts)}}}" for name, texts in parts.items() if texts]
    made.text = serde.seal(f"{{{','.join(sections)}}}", (*key, number, "snapshot"))
    made.weight += len(made.text)
    return made


def _shelve(
    serde: Serde,
    name: str,
    value: list[Any] | Log,
    known: tuple[Chunk, ...],
    parts: dict[str, dict[str, str]],
    made: Snapshot,
) -> None:
    start = sum(chunk.length for chunk in known)
    rest = value.since(start) if isinstance(value, Log) else value[start:]
    texts = [serde.text(item, f"state[{name!r}][{start + at}]") for at, item in enumerate(rest)]
    groups, left = _chunked(texts)
    chunks = [*known, *(Chunk(_kept(serde, f"[{','.join(group)}]", made), len(group)) for group in groups)]
    made.digests.extend(chunk.digest for chunk in known)
    if not chunks:
        parts["set"][name] = f"[{','.join(left)}]"
        return
    made.chunks[name] = tuple(chunks)
    parts["chunks"][name] = compact([[chunk.digest, chunk.length] for chunk in chunks])
    if left:
        parts["append"][name] = f"[{','.join(left)}]"


def _chunked(texts: Sequence[str]) -> tuple[list[list[str]], list[str]]:
    """The texts of chunks, and those that are left over."""
    groups: list[list[str]] = [[]]
    size = 0
    for text in texts:
        if size >= 4 * CHUNK:
            groups.append([])
            size = 0
        groups[-1].append(text)
        size += len(text)
    left = groups.pop() if size < CHUNK else []
    return groups, left


def _kept(serde: Serde, text: str, made: Snapshot) -> str:
    digest = digest_of(text)
    made.blobs[digest] = serde.seal(text, ("blob", digest))
    made.digests.append(digest)
    return digest


def shelved(serde: Serde, name: str, plain: Any, blob: Callable[[str], Any]) -> tuple[Log, tuple[Chunk, ...]]:
    """The list that chunks are stored of; they are read when it is first looked at.

    Raises:
        CorruptRecord: This names no chunks.
    """
    try:
        chunks = tuple(Chunk(str(digest), int(count)) for digest, count in plain)
    except (TypeError, ValueError) as error:
        raise CorruptRecord(f"the chunks of state[{name!r}] have the wrong form.") from error

    def fetch() -> list[Any]:
        items = [item for chunk in chunks for item in _items(chunk)]
        if len(items) != count:
            raise CorruptRecord(f"state[{name!r}] has {len(items)} items in the store, and had {count}.")
        return items

    def _items(chunk: Chunk) -> list[Any]:
        found = blob(chunk.digest)
        if not isinstance(found, list):
            raise CorruptRecord(f"a chunk of state[{name!r}] is no list.")
        return found

    count = sum(chunk.length for chunk in chunks)
    return Log(Shelf(count, fetch), count), chunks
