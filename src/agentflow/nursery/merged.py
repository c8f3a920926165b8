"""Merged: one stream of what several flows emit.

What must not live here: what they emit.
"""

from __future__ import annotations

import contextvars
import queue
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import Any, Final

from agentflow.nursery.flows import Emit, Job, Stop
from agentflow.nursery.tasks import run_in_tasks
from agentflow.nursery.threads import run_in_threads

_OVER: Final = object()


def _goes_on(position: int, value: Any, error: BaseException | None) -> bool:
    return False


class Merged:
    """What several flows emit, in the order it comes; no flow is more than one item ahead of the reader.

    Iterate it with `for` over blocking flows and with `async for` over async ones. Leaving the loop cancels the flows
    and waits for them.
    """

    def __init__(self, make_jobs: Callable[[Emit], Iterable[Job]], limit: int) -> None:
        self._make_jobs = make_jobs
        self._limit = limit
        self.stop: Stop = Stop()

    def __iter__(self) -> Iterator[Any]:
        items: queue.Queue[Any] = queue.Queue(maxsize=1)

        async def emit(item: Any) -> None:
            items.put(item)

        def work() -> None:
            try:
                run_in_threads(enumerate(self._make_jobs(emit)), self._limit, _goes_on, self.stop)
            finally:
                items.put(_OVER)

        thread = threading.Thread(target=contextvars.copy_context().run, args=(work,), name="agentflow-merge")
        thread.start()
        item = None
        try:
            while (item := items.get()) is not _OVER:
                yield item
        finally:
            self.stop.asked = True
            while item is not _OVER:
                item = items.get()
            thread.join()

    async def __aiter__(self) -> AsyncIterator[Any]:
        import asyncio

        items: asyncio.Queue[Any] = asyncio.Queue(maxsize=1)

        async def work() -> None:
            try:
                await run_in_tasks(enumerate(self._make_jobs(items.put)), self._limit, _goes_on, self.stop)
            finally:
                await items.put(_OVER)

        worker = asyncio.create_task(work())
        item = None
        try:
            while (item := await items.get()) is not _OVER:
                yield item
        finally:
            if item is not _OVER:
                worker.cancel()
                while await items.get() is not _OVER:
                    pass
            await asyncio.gather(worker, return_exceptions=True)
