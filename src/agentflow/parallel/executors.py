"""What runs the children of a blocking run: any `concurrent.futures.Executor`, or something that makes one.

What must not live here: what a child does. In an async run children are tasks of the running loop, and no executor is
used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from agentflow.errors import BuildError

#: An executor that lives on, or a function that makes one for each map.
ExecutorOrFactory = Executor | Callable[[], Executor]


class MultiThreadedExecutor(ThreadPoolExecutor):
    """A thread pool that runs at most `max_concurrency` children at once; the caller shuts it down.

    Args:
        max_concurrency: How many children run at once.
    """

    def __init__(self, max_concurrency: int) -> None:
        super().__init__(max_workers=max_concurrency, thread_name_prefix="agentflow")


@contextmanager
def opened(given: ExecutorOrFactory | None) -> Iterator[Executor | None]:
    """The executor to use; one that is made here is shut down here.

    Raises:
        BuildError: It is neither an executor nor a function that makes one.
    """
    if given is None or isinstance(given, Executor):
        yield given
        return
    made: Any = given() if callable(given) else given
    if not isinstance(made, Executor):
        raise BuildError(f"{made!r} is no executor: pass a concurrent.futures.Executor, or a function that makes one.")
    with made:
        yield made
