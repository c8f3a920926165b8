"""Many flows at once, in either colour: so many at a time, each end reported as it comes, the rest cancelled on demand.

Nobody leaves a nursery before every flow it started has ended. With `runtime.py` this is all that knows event loops
and threads. What must not live here: what the flows do.
"""

from __future__ import annotations

import contextvars
import queue
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from concurrent.futures import CancelledError as FutureCancelled
from typing import Any, Final, NamedTuple, Protocol

from agentflow.runtime import BLOCKING, Runtime, run_blocking


class Job(Protocol):
    """A flow to be started."""

    def flow(self, index: int, stop: Stop) -> Coroutine[Any, Any, Any]:
        """Make the flow; one that cannot be cancelled from outside asks `stop` between its steps."""

    def portable(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """The same as a function and arguments that can be pickled, for an executor that is no thread pool."""


class Cancelled(BaseException):
    """A flow was cancelled because its siblings had decided the matter."""


class Ended(NamedTuple):
    """How one flow ended: with a value, with an error, or (`Cancelled`) before its end."""

    position: int
    value: Any = None
    error: BaseException | None = None


#: What a flow calls to hand an item to the reader of `Merged`; it waits until there is room.
Emit = Callable[[Any], Awaitable[None]]
_OVER: Final = object()
_NOT_NEEDED: Final = "somebody had decided that it is not needed"

#: Told of each end as it comes; answering True cancels every flow that has not ended.
OnEnd = Callable[[Ended], bool]


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
            raise Cancelled(_NOT_NEEDED)

    def leave(self, index: int) -> None:
        """Ask one flow to stop: at its next wait in a task, between its steps in a thread."""
        self._left.add(index)
        if index in self.tasks:
            self.tasks[index].cancel()

    def was_left(self, index: int) -> bool:
        """Whether this one flow was asked to stop, and not all of them."""
        return index in self._left and not self.asked


async def run_all(
    runtime: Runtime, jobs: Iterable[Job], limit: int, on_end: OnEnd, stop: Stop, executor: Executor | None = None
) -> None:
    """Run every flow, at most `limit` at a time; it returns when all have ended or were cancelled.

    Args:
        runtime: Blocking flows run in threads, async ones in tasks of the running loop.
        jobs: Taken one by one as there is room.
        limit: How many run at once.
        on_end: Told of each end, never by two threads at once; what it raises cancels the rest and is raised here.
        stop: Set when the rest is cancelled.
        executor: What runs blocking flows; by default a pool of `limit` threads of their own.
    """
    numbered = enumerate(jobs)
    if runtime is BLOCKING:
        _run_in_threads(numbered, limit, on_end, stop, executor)
    else:
        await _run_in_tasks(numbered, limit, on_end, stop)


async def _run_in_tasks(jobs: Iterator[tuple[int, Job]], limit: int, on_end: OnEnd, stop: Stop) -> None:
    """So many workers take the jobs one by one; a worker that is cancelled ends its job and takes no other."""
    import asyncio

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
                end = Ended(index, None, Cancelled(_NOT_NEEDED) if current.cancelling() else error)
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


def _run_in_threads(
    jobs: Iterator[tuple[int, Job]], limit: int, on_end: OnEnd, stop: Stop, executor: Executor | None
) -> None:
    """As many futures as there is room for; this thread hears of each end and starts the next."""
    own = executor is None
    pool = executor or ThreadPoolExecutor(max_workers=limit, thread_name_prefix="agentflow")
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
            if on_end(_ended(index, future)):
                stop.asked = True
    except BaseException:
        stop.asked = True  # such as Ctrl-C in this thread: nobody is left behind
        for _ in range(running):
            heard.get()
        raise
    finally:
        if own:
            pool.shutdown(wait=True)


def _submit(pool: Executor, index: int, job: Job, stop: Stop) -> Future[Any]:
    if isinstance(pool, ThreadPoolExecutor):
        return pool.submit(contextvars.copy_context().run, _drive, index, job, stop)
    function, arguments = job.portable()
    try:
        return pool.submit(function, *arguments)
    except BrokenExecutor as error:  # it broke with an earlier task, and this one is told the same way
        refused: Future[Any] = Future()
        refused.set_exception(error)
        return refused


def _drive(index: int, job: Job, stop: Stop) -> Any:
    stop.check(index)
    return run_blocking(job.flow(index, stop))


def _ended(index: int, future: Future[Any]) -> Ended:
    try:
        return Ended(index, future.result())
    except FutureCancelled:
        return Ended(index, error=Cancelled("it never started"))
    except BaseException as error:
        return Ended(index, error=error)


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
                _run_in_threads(enumerate(self._make_jobs(emit)), self._limit, lambda end: False, self.stop, None)
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
                await _run_in_tasks(enumerate(self._make_jobs(items.put)), self._limit, lambda end: False, self.stop)
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
