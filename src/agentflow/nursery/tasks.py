"""Flows in tasks of the running event loop.

What must not live here: what the flows do, or threads.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

from agentflow.nursery.flows import NOT_NEEDED, Cancelled, Job, OnEnd, Stop


async def run_in_tasks(jobs: Iterator[tuple[int, Job]], limit: int, on_end: OnEnd, stop: Stop) -> None:
    """So many workers take the jobs one by one; a worker that is cancelled ends its job and takes no other."""
    workers: list[asyncio.Task[None]] = []
    broken: list[BaseException] = []  # what `on_end` or `jobs` raised: the nursery's own error, and not that of a flow

    def stop_all() -> None:
        others = [] if stop.asked else [worker for worker in workers if worker is not asyncio.current_task()]
        stop.asked = True
        for worker in others:
            worker.cancel()

    async def work(index: int, job: Job) -> None:
        current: Any = workers[index] if index < len(workers) else asyncio.current_task()  # as its loop starts eagerly
        try:
            while not stop.asked:
                stop.tasks[index] = current
                try:
                    value, failure = await job.flow(index, stop), None
                except BaseException as error:
                    value, failure = None, Cancelled(NOT_NEEDED) if current.cancelling() else error
                del stop.tasks[index]
                cancelled = current.cancelling() and _cancelled_for_good(current, index, stop)
                if not broken and on_end(index, value, failure):
                    stop_all()
                if cancelled or (following := next(jobs, None)) is None:
                    return
                index, job = following
        except BaseException as error:
            broken.append(error)
            stop_all()

    start = asyncio.get_running_loop().create_task
    try:
        for index, job in itertools.islice(jobs, limit):
            workers.append(start(work(index, job), name="agentflow-flow"))  # else the loop makes up a name for each
        await _all_ended(workers)
    except BaseException:  # such as a cancellation from outside: nobody is left behind
        await _cancel(workers)
        raise
    if broken:
        raise broken[0]


async def _all_ended(workers: Sequence[asyncio.Task[None]]) -> None:
    """Wait for all, with next to nothing to do before they start: no task group, which takes note of each.

    The last to start is waited for first, because most others have ended by then.
    """
    for worker in reversed(workers):
        if not worker.done():
            await asyncio.wait([worker])


async def _cancel(workers: Sequence[asyncio.Task[None]]) -> None:
    for worker in workers:
        worker.cancel()
    for worker in workers:
        while not worker.done():
            with contextlib.suppress(asyncio.CancelledError):  # who cancels this again has to wait as well
                await asyncio.wait([worker])


def _cancelled_for_good(worker: Any, index: int, stop: Stop) -> bool:
    """Whether a worker is to end; one whose flow alone was cancelled takes the next."""
    return not stop.was_left(index) or worker.uncancel() > 0
