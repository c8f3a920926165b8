"""From a value to plain JSON: one pass, which leaves plain values nearly as they are.

What must not live here: which types there are (`builtin.py`, `objects.py`), reading, or text.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from math import copysign, isfinite
from typing import Any

from agentflow.persistence.serde.shapes import (
    CONTENT,
    MAX_DEPTH,
    MAX_ITEMS,
    MAX_PLAIN_INT,
    TAG,
    Codec,
    Fields,
    Pairs,
    Parts,
    Trouble,
    Unordered,
    shown,
)

_in_json = json.JSONEncoder(check_circular=False).encode


class Writer:
    """Encodes one value; make a new one for each.

    Args:
        codecs: The codec of each type that is neither plain nor a container of JSON.
        remedy: What to tell about a type that has none.
    """

    __slots__ = ("_codecs", "_left", "_remedy")

    def __init__(self, codecs: Mapping[type, Codec], remedy: Callable[[type], str]) -> None:
        self._codecs = codecs
        self._remedy = remedy
        self._left = MAX_ITEMS

    def write(self, value: Any, depth: int = 0) -> Any:
        """`value` as plain JSON.

        Raises:
            Trouble: Something in it cannot be saved.
        """
        kind = type(value)
        if kind is str:
            return value if value.isascii() else _text(value)
        if kind is dict:
            return self._dict(value, depth)
        if kind is list:
            return self._list(value, depth)
        if value is None or kind is bool:
            return value
        if kind is int:
            return value if -MAX_PLAIN_INT <= value <= MAX_PLAIN_INT else {TAG: "int", CONTENT: hex(value)}
        if kind is float:
            return value if value and isfinite(value) else _float(value)
        return self._other(value, kind, depth)

    def _dict(self, value: dict[Any, Any], depth: int) -> Any:
        self._enter(len(value), depth)
        out = {}
        key: Any = None
        try:
            for key, item in value.items():
                if type(key) is not str or key == TAG or not (key.isascii() or _is_text(key)):
                    break
                out[key] = item if type(item) is str and item.isascii() else self.write(item, depth + 1)
            else:
                return out
        except Trouble as trouble:
            trouble.path.append(f"[{shown(key)}]")
            raise
        return {TAG: "dict", CONTENT: self._pairs(value, depth + 1)}

    def _list(self, value: list[Any], depth: int) -> list[Any]:
        self._enter(len(value), depth)
        out = []
        try:
            for item in value:
                out.append(item if type(item) is str and item.isascii() else self.write(item, depth + 1))
        except Trouble as trouble:
            trouble.path.append(f"[{len(out)}]")
            raise
        return out

    def _pairs(self, value: dict[Any, Any], depth: int) -> list[Any]:
        self._enter(2 * len(value), depth)
        out = []
        key: Any = None
        try:
            for key, item in value.items():
                out.append(self.write(key, depth + 1))
                out.append(self.write(item, depth + 1))
        except Trouble as trouble:
            trouble.path.append(f"[{shown(key)}]" if type(key) in (str, int, bool) else f"[<{type(key).__name__}>]")
            raise
        return out

    def _fields(self, value: dict[str, Any], depth: int) -> dict[str, Any]:
        self._enter(len(value), depth)
        out = {}
        name = ""
        try:
            for name, item in value.items():
                if name == TAG:
                    raise Trouble("has the name of a tag and cannot be saved: call the field something else.")
                out[name] = self.write(item, depth + 1)
        except Trouble as trouble:
            trouble.path.append(f".{name}")
            raise
        return out

    def _other(self, value: Any, kind: type, depth: int) -> Any:
        if kind is Pairs:
            return self._pairs(value, depth)
        if kind is Fields:
            return self._fields(value, depth)
        if kind is Unordered:
            return sorted(self._list(value, depth), key=_in_json)
        if kind is Parts:
            return [self.write(part, depth + 1) for part in value]
        codec = self._codecs.get(kind)
        if codec is None:
            raise Trouble(f"is a {kind!r}, which cannot be saved: {self._remedy(kind)}")
        return self.write_as(codec, value, depth)

    def write_as(self, codec: Codec, value: Any, depth: int = 0) -> Any:
        """`value` as this codec writes it, whatever its type.

        Raises:
            Trouble: It cannot be saved.
        """
        if depth > MAX_DEPTH:  # a codec may lead to another one, and around again
            raise Trouble(_too_deep())
        return {TAG: codec.tag, CONTENT: self.write(self._reduced(codec, value), depth + 1)}

    def _reduced(self, codec: Codec, value: Any) -> Any:
        try:
            return codec.encode(value)
        except Trouble:
            raise
        except Exception as error:
            name = type(error).__name__
            raise Trouble(
                f"is a {type(value)!r} that cannot be saved: its encoder raised {name}: {shown(error, 200)}."
            ) from error

    def _enter(self, size: int, depth: int) -> None:
        self._left -= size
        if depth > MAX_DEPTH:
            raise Trouble(_too_deep())
        if self._left < 0:
            raise Trouble(
                f"is one item too many: a value of more than {MAX_ITEMS:,} items cannot be saved; store it elsewhere "
                "and keep its address in the state."
            )


def _too_deep() -> str:
    return (
        f"is nested more than {MAX_DEPTH} levels deep, or contains itself, and cannot be saved: keep flat values, and"
        " names instead of references."
    )


def _is_text(value: str) -> bool:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:  # half of a surrogate pair
        return False
    return True


def _text(value: str) -> Any:
    if _is_text(value):
        return value
    return {TAG: "str", CONTENT: base64.b64encode(value.encode("utf-8", "surrogatepass")).decode("ascii")}


def _float(value: float) -> Any:
    if value == 0.0:
        return value if copysign(1.0, value) > 0 else {TAG: "float", CONTENT: "-0.0"}
    return {TAG: "float", CONTENT: repr(value)}
