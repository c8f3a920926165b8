"""Several flows of a decider at once, in either colour; their results in the order they were given.

What must not live here: what the flows do.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Generic, TypeVar

from agentflow.errors import BuildError
from agentflow.nursery import Stop, run_all
from agentflow.runtime import Runtime

T = TypeVar("T")


class _Flow(Generic[T]):
    def __init__(self, make: Callable[[], Coroutine[Any, Any, T]]) -> None:
        self._make = make

    def flow(self, index: int, stop: Stop) -> Coroutine[Any, Any, T]:
        return self._make()

    def portable(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        raise BuildError("a decision cannot be sent to another process: it is asked in threads or tasks.")


async def gather(
    runtime: Runtime,
    flows: Iterable[Callable[[], Coroutine[Any, Any, T]]],
    limit: int,
    on_done: Callable[[], None] | None = None,
) -> list[T]:
    """Run flows, at most `limit` at a time, and return their results in the order of the flows.

    Args:
        runtime: Blocking flows run in threads, async ones in tasks.
        flows: Functions that make the flows; each is called when there is room.
        limit: How many run at once.
        on_done: Called after each flow that ended well, never by two threads at once.

    Raises:
        BaseException: What the first flow that failed raised; the others have been cancelled and have ended.
    """
    results: dict[int, T] = {}
    failures: list[BaseException] = []

    def on_end(position: int, value: T, error: BaseException | None) -> bool:
        if error is not None:
            failures.append(error)
            return True
        results[position] = value
        if on_done is not None:
            on_done()
        return False

    await run_all(runtime, (_Flow(make) for make in flows), limit, on_end, Stop(), hear_each=on_done is not None)
    if failures:
        raise failures[0]
    return [results[index] for index in sorted(results)]
