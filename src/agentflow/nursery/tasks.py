"""Flows in tasks of the running event loop.

What must not live here: what the flows do, or threads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

from agentflow.nursery.flows import NOT_NEEDED, Cancelled, Ended, Job, OnEnd, Stop


async def run_in_tasks(jobs: Iterator[tuple[int, Job]], limit: int, on_end: OnEnd, stop: Stop) -> None:
    """So many workers take the jobs one by one; a worker that is cancelled ends its job and takes no other."""
    workers: list[asyncio.Task[None]] = []
    broken: list[BaseException] = []  # what `on_end` raised: the nursery's own error, and not that of a flow

    def tell(end: Ended) -> None:
        if broken:
            return
        try:
            enough = on_end(end)
        except BaseException as error:
            broken.append(error)
            enough = True
        if enough and not stop.asked:
            stop.asked = True
            for worker in workers:
                if worker is not asyncio.current_task():
                    worker.cancel()

    async def work(job: tuple[int, Job] | None) -> None:
        current = asyncio.current_task()
        assert current is not None
        while job is not None and not stop.asked:
            index, taken = job
            stop.tasks[index] = current
            try:
                end = Ended(index, await taken.flow(index, stop))
            except BaseException as error:
                end = Ended(index, None, Cancelled(NOT_NEEDED) if current.cancelling() else error)
            del stop.tasks[index]
            cancelled = current.cancelling() and _cancelled_for_good(current, index, stop)
            tell(end)
            job = None if cancelled else next(jobs, None)

    async with asyncio.TaskGroup() as group:
        while len(workers) < limit and not stop.asked and (first := next(jobs, None)) is not None:
            workers.append(group.create_task(work(first)))
    if broken:
        raise broken[0]


def _cancelled_for_good(worker: Any, index: int, stop: Stop) -> bool:
    """Whether a worker is to end; one whose flow alone was cancelled takes the next."""
    return not stop.was_left(index) or worker.uncancel() > 0
