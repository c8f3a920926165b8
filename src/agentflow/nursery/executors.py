"""Flows in an executor that somebody gave: a future each.

What must not live here: what the flows do, or choosing an executor.
"""

from __future__ import annotations

import contextvars
import queue
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from concurrent.futures import CancelledError as FutureCancelled
from typing import Any

from agentflow.errors import RunError
from agentflow.nursery.flows import Cancelled, Ended, Job, OnEnd, Ready, Stop
from agentflow.runtime import run_blocking


def run_in_executor(jobs: Iterator[tuple[int, Job]], limit: int, on_end: OnEnd, stop: Stop, pool: Executor) -> None:
    """As many futures as there is room for; this thread hears of each end and starts the next."""
    heard: queue.SimpleQueue[tuple[int, Future[Any]]] = queue.SimpleQueue()
    running = 0
    try:
        while True:
            while running < limit and not stop.asked and (job := next(jobs, None)) is not None:
                index, started = job
                future = _submit(pool, index, started, stop)
                future.add_done_callback(lambda done, index=index: heard.put((index, done)))  # type: ignore[misc]
                running += 1
            if not running:
                return
            index, future = heard.get()
            running -= 1
            if on_end(*_ended(index, future)):
                stop.asked = True
    except BaseException:
        stop.asked = True  # such as Ctrl-C in this thread: nobody is left behind
        for _ in range(running):
            heard.get()
        raise


def _submit(pool: Executor, index: int, job: Job, stop: Stop) -> Future[Any]:
    if isinstance(pool, ThreadPoolExecutor):
        return _taken(pool, contextvars.copy_context().run, _drive, index, job, stop)
    told: Future[Any] = Future()
    try:
        sent = job.portable()
    except Exception as error:  # such as a store that cannot be asked; it is this flow that failed
        told.set_exception(error)
        return told
    if isinstance(sent, Ready):
        told.set_result(sent.value)
        return told
    function, arguments = sent
    return _taken(pool, function, *arguments)


def _taken(pool: Executor, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
    try:
        return pool.submit(function, *arguments)
    except BrokenExecutor as error:  # it broke with an earlier task, and this one is told the same way
        told: Future[Any] = Future()
        told.set_exception(error)
        return told
    except RuntimeError as error:
        if "shutdown" not in str(error):
            raise
        raise RunError(
            "the executor was shut down before it was given its children: give one that is open, or a function that "
            "makes one."
        ) from error


def _drive(index: int, job: Job, stop: Stop) -> Any:
    stop.check(index)
    return run_blocking(job.flow(index, stop))


def _ended(index: int, future: Future[Any]) -> Ended:
    try:
        return index, future.result(), None
    except FutureCancelled:
        return index, None, Cancelled("it never started")
    except BaseException as error:
        return index, None, error
