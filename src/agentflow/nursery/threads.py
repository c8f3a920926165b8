"""Flows in threads of their own, each of which takes one flow after the other.

What must not live here: what the flows do, or executors.
"""

from __future__ import annotations

import collections
import contextvars
import queue
import threading
from collections.abc import Iterator

from agentflow.nursery.flows import Ended, Job, OnEnd, Stop
from agentflow.runtime import run_blocking

#: The ends of flows in threads, each with what its thread waits for if it does; None when a thread has ended.
_Ends = queue.SimpleQueue["tuple[Ended, threading.Semaphore | None] | None"]


def run_in_threads(
    jobs: Iterator[tuple[int, Job]], limit: int, on_end: OnEnd, stop: Stop, hear_each: bool = False
) -> None:
    """So many threads take the jobs one by one; this one hears of each end.

    A thread takes its next job without waiting for this one where it may: two threads that take turns cost more than a
    short flow does.
    """
    waiting = collections.deque(jobs)
    ends: _Ends = queue.SimpleQueue()
    workers: list[tuple[threading.Thread, threading.Semaphore]] = []
    context = contextvars.copy_context()

    def work(heard: threading.Semaphore) -> None:
        while not stop.asked:
            try:
                index, job = waiting.popleft()
            except IndexError:
                break
            end = context.copy().run(_driven, index, job, stop)
            waits = hear_each or end[2] is not None
            ends.put((end, heard if waits else None))
            if waits:
                heard.acquire()
        ends.put(None)

    try:
        while waiting and len(workers) < limit and not stop.asked:
            heard = threading.Semaphore(0)
            thread = threading.Thread(target=work, args=(heard,), name=f"agentflow_{len(workers)}")
            thread.start()
            workers.append((thread, heard))
        _hear(ends, len(workers), on_end, stop)
    finally:
        stop.asked = True  # such as after Ctrl-C in this thread: nobody is left behind
        for thread, heard in workers:
            heard.release()
            thread.join()


def _hear(ends: _Ends, running: int, on_end: OnEnd, stop: Stop) -> None:
    while running:
        told = ends.get()
        if told is None:
            running -= 1
            continue
        end, heard = told
        if on_end(*end):
            stop.asked = True
        if heard is not None:
            heard.release()


def _driven(index: int, job: Job, stop: Stop) -> Ended:
    try:
        return index, run_blocking(job.flow(index, stop)), None
    except BaseException as error:
        return index, None, error
