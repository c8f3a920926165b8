"""An async flow run to its end by somebody who blocks: an event loop of its own, gone when it returns.

What must not live here: what the flow does.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future, wait
from typing import Any, Final, TypeVar

T = TypeVar("T")

#: What lets go of things that an event loop was given, awaited in that loop before it is closed.
LetGo = Callable[[object], Awaitable[None]]

#: Seconds after which a thread that waits looks for a signal: one that comes just before the wait does not end it.
SIGNAL_SEEN: Final = 0.5


def run_in_loop(flow: Coroutine[Any, Any, T], let_go: LetGo) -> T:
    """Drive a flow of the async runtime to its end, in this thread, or in another where an event loop runs in this one.

    Ctrl-C cancels the flow, and is raised when the flow has ended. What this thread has set as its loop stays set.
    """
    loop = asyncio.new_event_loop()
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return _driven(loop, flow, let_go)
    return _driven_elsewhere(loop, flow, let_go)


def _driven_elsewhere(loop: asyncio.AbstractEventLoop, flow: Coroutine[Any, Any, T], let_go: LetGo) -> T:
    task = loop.create_task(flow)  # here, so that it sees the context variables of this thread
    driven: Future[T] = Future()

    def drive() -> None:
        try:
            driven.set_result(_driven(loop, task, let_go))
        except BaseException as error:  # handed to the waiting thread, which raises it
            driven.set_exception(error)

    thread = threading.Thread(target=drive, name="agentflow-loop")
    try:
        thread.start()
        while wait([driven], SIGNAL_SEEN).not_done:
            pass
        return driven.result()
    except BaseException:
        with contextlib.suppress(RuntimeError):  # the loop is closed if the error is the flow's own
            loop.call_soon_threadsafe(task.cancel)
        raise
    finally:
        wait([driven])
        thread.join()


def _driven(loop: asyncio.AbstractEventLoop, flow: Awaitable[T], let_go: LetGo) -> T:
    async def until_let_go() -> T:
        try:
            return await flow
        finally:
            await let_go(loop)

    with asyncio.Runner(loop_factory=lambda: loop) as runner:  # with a factory, it leaves the thread's loop as it is
        return runner.run(until_let_go())
