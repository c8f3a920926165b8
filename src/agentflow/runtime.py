"""How agentflow calls code it did not write: now and here, or awaiting it.

The engine is written once as `async def` and awaits nothing but its runtime. Under `BlockingRuntime` nothing ever
suspends, so `run_blocking` drives a flow straight through and no event loop exists; under `AsyncRuntime` the same
flow is awaited. This is the only module that knows event loops, threads and sleeping. What must not live here:
anything about graphs, actions or state.
"""

from __future__ import annotations

import contextlib
import contextvars
import functools
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from types import CoroutineType
from typing import TYPE_CHECKING, Any, Final, NoReturn, Protocol, TypeVar

from agentflow.errors import ActionTimeoutError, AsyncCodeError, ResultError

if TYPE_CHECKING:
    from concurrent.futures import Future  # only named: importing it costs every program a millisecond or two

T = TypeVar("T")

#: A sync action that holds the event loop longer than this (seconds) is warned about, once per function.
LOOP_HELD_LIMIT: Final = 0.1

#: The step that is running in this thread or task, as the engine's context object; None outside of one.
CURRENT_STEP: contextvars.ContextVar[Any] = contextvars.ContextVar("agentflow_current_step", default=None)


class StandIn:
    """Stands in `CURRENT_STEP` for the step that `now` says is running."""

    __slots__ = ()
    now: Any


class Alternating(StandIn):
    """A running step that takes turns with its reader, as that of an async stream does.

    Setting a context variable twice a piece would cost more than the piece; setting `now` costs next to nothing.
    """

    __slots__ = ("now",)

    def __init__(self, now: Any) -> None:
        self.now: Any = now


def current_step() -> Any:
    """The step that is running here, None outside of one."""
    step = CURRENT_STEP.get()
    return step.now if isinstance(step, StandIn) else step


class Runtime(Protocol):
    """What the engine may await. Both colours have exactly these verbs."""

    async def call(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Call `fn`, and await what it returns if that is awaitable."""

    async def offload(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Call a sync `fn` where it cannot hold up anybody else."""

    async def complete(self, fn: Callable[..., T], /, *args: Any) -> T:
        """The same for something that must not be torn off: a cancellation is raised when it has ended."""

    async def within(self, seconds: float, flow: Coroutine[Any, Any, T]) -> T:
        """Await `flow`, or raise `ActionTimeoutError` after `seconds`."""

    async def sleep(self, seconds: float) -> None:
        """Let `seconds` pass."""

    async def wait_for(self, signal: Future[T], seconds: float | None) -> T:
        """The result of a future that another thread or task sets, or `ActionTimeoutError` after `seconds`."""

    def pick(self, blocking: T, waiting: T) -> T:
        """`blocking` in a blocking run, `waiting` in an async one: for libraries that have two clients."""


def run_blocking(flow: Coroutine[Any, Any, T]) -> T:
    """Drive a flow that awaits only a `BlockingRuntime` to its end, without an event loop."""
    try:
        flow.send(None)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]
    flow.close()
    raise AsyncCodeError(
        "A blocking run met code that waits on an event loop: use the async verb (astep, aiterate, arun) instead."
    )


class BlockingRuntime:
    """Calls user code where it stands; async code is refused by name."""

    async def call(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        value = fn(*args, **kwargs)
        if hasattr(type(value), "__await__"):  # a pydantic model that is asked itself looks far and wide for it
            refuse_awaitable(fn, value)
        return value

    async def offload(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        return fn(*args, **kwargs)

    async def complete(self, fn: Callable[..., T], /, *args: Any) -> T:
        return fn(*args)

    async def within(self, seconds: float, flow: Coroutine[Any, Any, T]) -> T:
        outcome: list[tuple[bool, Any]] = []
        context = contextvars.copy_context()

        def work() -> None:
            try:
                outcome.append((True, context.run(run_blocking, flow)))
            except BaseException as error:  # handed to the waiting thread, which raises it
                outcome.append((False, error))

        thread = threading.Thread(target=work, name="agentflow-timeout", daemon=True)
        thread.start()
        thread.join(seconds)
        if not outcome:
            raise ActionTimeoutError(f"no result after {seconds:g} seconds; its thread is abandoned.")
        succeeded, value = outcome[0]
        if not succeeded:
            raise value
        return value  # type: ignore[no-any-return]

    async def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    async def wait_for(self, signal: Future[T], seconds: float | None) -> T:
        try:
            return signal.result(seconds)
        except TimeoutError:
            if signal.done() or seconds is None:  # an error that the future itself was given
                raise
            raise ActionTimeoutError(f"nothing came within {seconds:g} seconds.") from None

    def pick(self, blocking: T, waiting: T) -> T:
        return blocking


class AsyncRuntime:
    """Calls user code inside the running event loop and awaits what is awaitable."""

    async def call(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        started = time.perf_counter()
        value = fn(*args, **kwargs)
        if type(value) is CoroutineType or hasattr(type(value), "__await__"):
            return await value
        warn_if_held(fn, started)
        return value

    async def offload(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        import asyncio

        return await asyncio.to_thread(fn, *args, **kwargs)

    async def complete(self, fn: Callable[..., T], /, *args: Any) -> T:
        import asyncio

        working = asyncio.get_running_loop().run_in_executor(None, functools.partial(fn, *args))
        try:
            return await asyncio.shield(working)
        except asyncio.CancelledError:
            while not working.done():
                with contextlib.suppress(asyncio.CancelledError):  # it is raised below, once the work has ended
                    await asyncio.wait([working])
            working.exception()  # seen here, so that nobody is warned of it
            raise

    async def within(self, seconds: float, flow: Coroutine[Any, Any, T]) -> T:
        import asyncio

        try:
            async with asyncio.timeout(seconds) as deadline:
                return await flow
        except TimeoutError:
            if deadline.expired():
                raise ActionTimeoutError(f"no result after {seconds:g} seconds; it was cancelled.") from None
            raise

    async def sleep(self, seconds: float) -> None:
        import asyncio

        await asyncio.sleep(seconds)

    async def wait_for(self, signal: Future[T], seconds: float | None) -> T:
        import asyncio

        try:
            async with asyncio.timeout(seconds) as deadline:  # asyncio.wait_for may swallow a cancellation
                return await asyncio.wrap_future(signal)
        except TimeoutError:
            if not deadline.expired():  # an error that the future itself was given
                raise
            raise ActionTimeoutError(f"nothing came within {seconds:g} seconds.") from None

    def pick(self, blocking: T, waiting: T) -> T:
        return waiting


class _Offloading(AsyncRuntime):
    """An async runtime that calls sync code in a thread."""

    async def call(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        value = await self.offload(fn, *args, **kwargs)
        return await value if hasattr(value, "__await__") else value


BLOCKING: Final = BlockingRuntime()
ASYNC: Final = AsyncRuntime()


def offloading(runtime: Runtime) -> Runtime:
    """A runtime like this one that calls sync code where it cannot hold up anybody else."""
    return runtime if isinstance(runtime, BlockingRuntime) else _Offloading()


class Ticker:
    """Calls a function every so often in a thread of its own, until it returns False or `stop` is called."""

    def __init__(self, seconds: float, work: Callable[[], bool], name: str) -> None:
        self.seconds = seconds
        self._work = work
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop, and wait for a call that is under way."""
        self._stopped.set()
        if self._thread is not threading.current_thread():
            self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(self.seconds) and self._work():
            pass


#: What `new_lock` gives.
Lock = threading.Lock


def new_lock() -> Lock:
    """A lock for state shared between threads; the callers never wait on it while user code runs."""
    return threading.Lock()


def name_of(fn: Callable[..., Any]) -> str:
    """The name a person knows a callable by."""
    fn = fn.func if isinstance(fn, functools.partial) else fn
    return getattr(fn, "__qualname__", None) or type(fn).__name__


def refuse_awaitable(fn: Callable[..., Any], value: Any) -> NoReturn:
    """Close the awaitable that `fn` gave a blocking run, and say which verb to use."""
    if isinstance(value, CoroutineType):
        value.close()
    refuse_async(name_of(fn))


def truth(fn: Callable[..., Any], value: Any) -> bool:
    """Whether what the function of a condition gave is true.

    Raises:
        ResultError: It has to be awaited; unawaited it would always be true.
    """
    if hasattr(type(value), "__await__"):
        if isinstance(value, CoroutineType):
            value.close()
        raise ResultError(
            f"'{name_of(fn)}' gave something to be awaited: make what it calls plain, or use Select(...)."
        )
    return bool(value)


def refuse_async(name: str) -> NoReturn:
    """Say that a blocking run met async code, and which verb to use."""
    raise AsyncCodeError(f"'{name}' is async: use the async verb (astep, aiterate, arun) or make it a plain def.")


async def each(stream: Iterator[T] | AsyncIterator[T]) -> AsyncIterator[T]:
    """The items of a sync or async iterator, as an async one."""
    if isinstance(stream, AsyncIterator):
        async for item in stream:
            yield item
    else:
        for item in stream:
            yield item


async def each_apart(stream: Iterator[T]) -> AsyncIterator[T]:
    """The items of a sync iterator as an async one, each taken in a thread, where the wait for it holds up nobody.

    All are taken within one context, so that a variable the iterator sets is still set when it goes on.
    """
    inside, end = contextvars.copy_context(), object()
    while (item := await ASYNC.complete(inside.run, next, stream, end)) is not end:
        yield item


_held: set[str] = set()


def warn_if_held(fn: Callable[..., Any], started: float) -> None:
    """Say, once per function, that a plain `def` called at `started` (`time.perf_counter()`) held the event loop."""
    seconds = time.perf_counter() - started
    if seconds > LOOP_HELD_LIMIT and name_of(fn) not in _held:
        import logging

        _held.add(name_of(fn))
        logging.getLogger("agentflow").warning(
            "'%s' is a plain def and held the event loop for %.0f ms: declare it blocking=True or make it async.",
            name_of(fn),
            seconds * 1000,
        )
