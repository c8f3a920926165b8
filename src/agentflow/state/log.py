"""Log: the list behind a key that is appended to, so that appending costs the same at any length.

What must not live here: anything about states.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any


class Shelf:
    """A list whose first items are fetched when they are first looked at; it grows at its end without that.

    Args:
        count: How many items are to be fetched.
        fetch: Gives them.
    """

    __slots__ = ("_before", "_count", "_fetch", "_items")

    def __init__(self, count: int, fetch: Callable[[], list[Any]]) -> None:
        self._count, self._fetch = count, fetch
        self._before: list[Any] | None = None
        self._items: list[Any] = []

    def __len__(self) -> int:
        return self._count + len(self._items)

    def __getitem__(self, part: slice) -> list[Any]:
        start = part.start or 0
        if start >= self._count:
            return self._items[start - self._count : part.stop - self._count]
        if self._before is None:
            self._before = self._fetch()
        return [*self._before, *self._items][part]

    def extend(self, items: Iterable[Any]) -> None:
        self._items.extend(items)


class Log:
    """A list that grows at its end without being copied: states that follow each other share one buffer.

    Only one state may grow a buffer; `_right` holds the one right to do so, and popping a list is atomic, so two
    threads that append to the same state cannot both have it. The other one copies.
    """

    __slots__ = ("_buffer", "_length", "_right")

    def __init__(self, buffer: list[Any] | Shelf, length: int) -> None:
        self._buffer, self._length, self._right = buffer, length, [True]

    def __len__(self) -> int:
        return self._length

    def items(self) -> list[Any]:
        return self._buffer[: self._length]

    def since(self, start: int) -> list[Any]:
        """The items from that position on."""
        return self._buffer[start : self._length]

    def grown(self, items: Iterable[Any]) -> Log:
        buffer: list[Any] | Shelf
        try:
            self._right.pop()
            buffer = self._buffer
        except IndexError:
            buffer = self.items()
        buffer.extend(items)
        return Log(buffer, len(buffer))
