"""From plain JSON back to a value: one pass, which believes nothing that it reads.

A tag is looked up among the codecs that were given; no name in a record is ever imported or looked up anywhere else.
What must not live here: which types there are, writing, or text.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any

from agentflow.persistence.serde.shapes import CONTENT, FIELD, MARGIN, MAX_DEPTH, TAG, Codec, Trouble, shown

_TAGGED = frozenset((TAG, CONTENT))
_ATOMS = frozenset((str, int, bool, type(None)))  # a float may be infinite, if the record says 1e999


class Reader:
    """Decodes values.

    Args:
        codecs: The codec of each tag.
    """

    __slots__ = ("_codecs",)

    def __init__(self, codecs: Mapping[str, Codec]) -> None:
        self._codecs = codecs

    def read(self, plain: Any, depth: int = 0) -> Any:
        """The value that `plain` stands for, which shares no container with it.

        Raises:
            Trouble: It is nothing that a writer has written.
        """
        kind = type(plain)
        if kind in _ATOMS or (kind is float and isfinite(plain)):
            return plain
        if depth > MAX_DEPTH + MARGIN:
            raise Trouble(f"is nested more than {MAX_DEPTH} levels deep")
        if kind is dict:
            return self._tagged(plain, depth) if TAG in plain else self._dict(plain, depth)
        if kind is list:
            return self._list(plain, depth)
        raise Trouble(f"is {shown(plain)}, which no JSON has")

    def _dict(self, plain: dict[str, Any], depth: int) -> dict[str, Any]:
        out = {}
        key = ""
        try:
            for key, item in plain.items():
                if type(key) is not str:
                    raise Trouble("has a key that is no text")
                out[key] = item if type(item) in _ATOMS else self.read(item, depth + 1)
        except Trouble as trouble:
            trouble.path.append(f"[{shown(key)}]")
            raise
        return out

    def _list(self, plain: list[Any], depth: int) -> list[Any]:
        out = []
        try:
            for item in plain:
                out.append(item if type(item) in _ATOMS else self.read(item, depth + 1))
        except Trouble as trouble:
            trouble.path.append(f"[{len(out)}]")
            raise
        return out

    def _tagged(self, plain: dict[str, Any], depth: int) -> Any:
        if plain.keys() != _TAGGED:
            raise Trouble("has a tag, and is not written as a tagged value is")
        tag = plain[TAG]
        codec = self._codecs.get(tag) if type(tag) is str else None
        if codec is None:
            if tag == FIELD:
                raise Trouble("was saved in a way of its own: call `register_field_serde` for its key where it is read")
            raise Trouble(
                f"is tagged {shown(tag)}, which is no registered type: give the type to the serde, or call "
                "`register_type` on it, where the record is read"
            )
        return self.read_as(codec, plain, depth)

    def read_as(self, codec: Codec, plain: dict[str, Any], depth: int = 0) -> Any:
        """The value that a tagged one stands for, as this codec reads it.

        Raises:
            Trouble: The codec has not written it.
        """
        content = self.read(plain[CONTENT], depth + 1)
        try:
            return codec.decode(content)
        except Exception as error:  # a decoder of hostile content may raise whatever it likes
            name = type(error).__name__
            raise Trouble(f"is no {codec.name} as one is saved ({name}: {shown(error, 200)})") from error
