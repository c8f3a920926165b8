"""Outcome: how one child ended; and several of them in a row.

What must not live here: running a child.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from agentflow.state import State
from agentflow.usage import NOTHING, Usage

Item = TypeVar("Item")


class Outcome(NamedTuple):
    """How one child ended.

    Attributes:
        key: The task's key.
        app_id: The id of the child application.
        state: Its state at the end; None when it did not finish.
        exception: Why it did not finish; None when it did.
        usage: What its model calls used.
        duration: Seconds it ran; 0 when its result was kept from an earlier try of the step.
        cancelled: Whether it was cancelled because the others had decided the matter.
    """

    key: str
    app_id: str
    state: State[Any] | None = None
    exception: BaseException | None = None
    usage: Usage = NOTHING
    duration: float = 0.0
    cancelled: bool = False

    @property
    def succeeded(self) -> bool:
        """Whether it finished."""
        return self.state is not None


class Several(Sequence[Item], Generic[Item]):
    """Results in the order of their tasks, to be iterated either way: `for` or `async for`."""

    def __init__(self, items: Sequence[Item]) -> None:
        self._items = tuple(items)

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: Any) -> Any:
        return self._items[index]

    def __iter__(self) -> Iterator[Item]:
        return iter(self._items)

    async def __aiter__(self) -> AsyncIterator[Item]:
        for item in self._items:
            yield item
