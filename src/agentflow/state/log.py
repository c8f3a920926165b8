"""Log: the list behind a key that is appended to, so that appending costs the same at any length.

What must not live here: anything about states.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


class Log:
    """A list that grows at its end without being copied: states that follow each other share one buffer.

    Only one state may grow a buffer; `_right` holds the one right to do so, and popping a list is atomic, so two
    threads that append to the same state cannot both have it. The other one copies.
    """

    __slots__ = ("_buffer", "_length", "_right")

    def __init__(self, buffer: list[Any], length: int) -> None:
        self._buffer, self._length, self._right = buffer, length, [True]

    def items(self) -> list[Any]:
        return self._buffer[: self._length]

    def grown(self, items: Iterable[Any]) -> Log:
        try:
            self._right.pop()
            buffer = self._buffer
        except IndexError:
            buffer = self.items()
        buffer.extend(items)
        return Log(buffer, len(buffer))
