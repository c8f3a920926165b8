"""What a nursery runs and how it ends: flows, the end of each, and what asks them to stop.

What must not live here: running anything.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, Protocol


class Job(Protocol):
    """A flow to be started."""

    def flow(self, index: int, stop: Stop) -> Coroutine[Any, Any, Any]:
        """Make the flow; one that cannot be cancelled from outside asks `stop` between its steps."""

    def portable(self) -> tuple[Callable[..., Any], tuple[Any, ...]] | Ready:
        """The same as a function and arguments that can be pickled, for an executor that is no thread pool."""


class Ready:
    """A flow with nothing left to do, and its value."""

    def __init__(self, value: Any) -> None:
        self.value: Any = value


class Cancelled(BaseException):
    """A flow was cancelled because its siblings had decided the matter."""


#: How one flow ended: its position, and its value or its error, `Cancelled` if that was before its end.
Ended = tuple[int, Any, BaseException | None]


#: What a flow calls to hand an item to the reader of `Merged`; it waits until there is room.
Emit = Callable[[Any], Awaitable[None]]

#: What is said of a flow that was cancelled.
NOT_NEEDED: Final = "somebody had decided that it is not needed"

#: Told of each end as it comes, as the three parts of an `Ended`; answering True cancels every flow that goes on.
OnEnd = Callable[[int, Any, BaseException | None], bool]


class Stop:
    """What asks the flows of a nursery to stop, all of them or one; those in threads look between their steps."""

    def __init__(self) -> None:
        self.asked = False
        self.tasks: dict[int, Any] = {}  # which task runs a flow
        self._left: set[int] = set()

    def check(self, index: int) -> None:
        """Leave the flow if it should stop.

        Raises:
            Cancelled: It should.
        """
        if self.asked or index in self._left:
            raise Cancelled(NOT_NEEDED)

    def leave(self, index: int) -> None:
        """Ask one flow to stop: at its next wait in a task, between its steps in a thread."""
        self._left.add(index)
        if index in self.tasks:
            self.tasks[index].cancel()

    def was_left(self, index: int) -> bool:
        """Whether this one flow was asked to stop, and not all of them."""
        return index in self._left and not self.asked
