"""Many children at once, their streams interleaved as the items come.

What must not live here: how flows are merged (`nursery/merged.py`).
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any, Final

from agentflow.containers import AsyncStreamingResultContainer, StreamingResultContainer
from agentflow.context import ApplicationContext
from agentflow.engine.created import tell_created
from agentflow.engine.streams import StreamedStep
from agentflow.errors import AsyncCodeError, BuildError, RunError, did_you_mean
from agentflow.nursery import Cancelled, Emit, Stop
from agentflow.nursery.merged import Merged
from agentflow.parallel.child import Child
from agentflow.parallel.family import Family
from agentflow.parallel.plan import MAX_CONCURRENCY, check_concurrency
from agentflow.parallel.running import first_state, refuse_alike
from agentflow.parallel.tasks import SubGraphTask
from agentflow.runtime import ASYNC, BLOCKING, Runtime

#: A task's key, the action's name and one item of it; at the child's end the name is None, the item an Outcome.
Item = tuple[str, str | None, Any]
_END: Final = object()


class TaskStream:
    """The items of several children as they come; made by `stream_tasks` and `astream_tasks`.

    Iterating yields `(key, action name, item)`: the items of streaming actions, and the result of an action that does
    not stream. When a child has ended, its item is its `Outcome` and the action name is None. No child is more than
    one item ahead of the reader; how long it waits for the reader is none of the time it may take. Leaving the loop
    cancels the children and waits for them.
    """

    def __init__(
        self, tasks: Iterable[SubGraphTask], context: ApplicationContext, runtime: Runtime, max_concurrency: int
    ) -> None:
        check_concurrency(max_concurrency)
        self._children = []
        family = Family(context, runtime)
        for position, task in enumerate(tasks):
            if not isinstance(task, SubGraphTask):
                raise BuildError(f"{task!r} is no task to stream: give SubGraphTask(action, state=...) for each child.")
            task.state = first_state(task.state, "a task", task.typing)
            self._children.append(Child(task, position, family))
        refuse_alike(self._children)
        self._runtime = runtime
        self._keys = [child.key for child in self._children]
        self._merged = Merged(self._jobs, max_concurrency)

    def cancel(self, key: str) -> None:
        """Cancel one child, such as a slow one whose answer nobody waits for any more.

        Raises:
            BuildError: No task has that key.
        """
        if key not in self._keys:
            raise BuildError(f"there is no task {key!r} to cancel. {did_you_mean(key, self._keys)}")
        self._merged.stop.leave(self._keys.index(key))

    def __iter__(self) -> Iterator[Item]:
        if self._runtime is not BLOCKING:
            raise AsyncCodeError("astream_tasks() is read with `async for`: use it, or stream_tasks() in a plain def.")
        return iter(self._merged)

    def __aiter__(self) -> AsyncIterator[Item]:
        if self._runtime is BLOCKING:
            raise RunError("stream_tasks() is read with a plain `for`: use astream_tasks() in an async def.")
        return self._merged.__aiter__()

    def _jobs(self, emit: Emit) -> Iterable[_Pump]:
        return [_Pump(child, emit) for child in self._children]


def stream_tasks(
    tasks: Iterable[SubGraphTask], context: ApplicationContext | None = None, max_concurrency: int = MAX_CONCURRENCY
) -> TaskStream:
    """Run children in threads, and iterate over what they give as it comes; see `TaskStream`.

    Args:
        tasks: The children.
        context: The step they belong to; by default the running one.
        max_concurrency: How many run at once.

    Raises:
        RunError: No step is running here, and none is given.
        BuildError: Two tasks have the same key, or `max_concurrency` is no positive number.
    """
    return TaskStream(tasks, _context(context), BLOCKING, max_concurrency)


def astream_tasks(
    tasks: Iterable[SubGraphTask], context: ApplicationContext | None = None, max_concurrency: int = MAX_CONCURRENCY
) -> TaskStream:
    """The async twin of `stream_tasks`: iterate it with `async for`.

    Example:
        >>> async for key, action, item in astream_tasks(tasks):
        ...     yield {"from": key, "item": item}, None
    """
    return TaskStream(tasks, _context(context), ASYNC, max_concurrency)


class _Pump:
    """One child whose items are emitted."""

    def __init__(self, child: Child, emit: Emit) -> None:
        self._child = child
        self._emit = emit

    async def flow(self, index: int, stop: Stop) -> None:
        child = self._child
        child.started = time.perf_counter()
        run = child.run(child.check(index, stop))
        done = await child.was_finished(run.machine)
        if not done:
            await tell_created(run.machine, child.runtime)
        try:
            while not done and (opened := await child.in_time(run.advance_stream())) is not None:
                await self._pass_on(opened, index, stop)
        except BaseException as error:
            left = isinstance(error, Cancelled) or stop.was_left(index)
            if not left and not isinstance(error, Exception):
                raise
            reason = Cancelled("its reader had decided that it is not needed") if left else error
            outcome = child.outcome(reason, cancelled=left)
        else:
            outcome = child.outcome()
        child.context.include_usage(outcome.usage)
        await self._emit((child.key, None, outcome))

    async def _pass_on(self, opened: Any, index: int, stop: Stop) -> None:
        if not isinstance(opened, StreamedStep):
            await self._hand(opened[0].name, opened[1])
            return
        blocking = self._child.runtime is BLOCKING
        items: Any = StreamingResultContainer(opened) if blocking else AsyncStreamingResultContainer(opened)
        try:
            while (item := await self._child.in_time(_next(items))) is not _END:
                stop.check(index)
                await self._hand(opened.action.name, item)
        finally:
            await self._child.runtime.call(items.close if blocking else items.aclose)

    async def _hand(self, name: str, item: Any) -> None:
        """Hand an item to the reader; how long it waits for the reader is not the child's time."""
        before = time.perf_counter()
        await self._emit((self._child.key, name, item))
        self._child.started += time.perf_counter() - before

    def portable(self) -> Any:
        raise RunError("a stream cannot be sent to another process: use threads.")


async def _next(items: Any) -> Any:
    return next(items, _END) if isinstance(items, StreamingResultContainer) else await anext(items, _END)


def _context(given: ApplicationContext | None) -> ApplicationContext:
    context = given or ApplicationContext.get()
    if context is None:
        raise RunError("tasks can be streamed only inside an action: call this from one, or pass its context.")
    return context
