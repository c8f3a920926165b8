"""An async flow that somebody who blocks waits for: in a loop of its own, which leaves nothing behind."""

from __future__ import annotations

import asyncio
import contextvars
import signal
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from agentflow.nursery.loops import run_in_loop

NAME: contextvars.ContextVar[str] = contextvars.ContextVar("name", default="nobody")


class Caller:
    """Blocks on a flow, from plain code or from code that an event loop is running."""

    def __init__(self, inside: bool) -> None:
        self.inside = inside
        self.let_go: list[object] = []

    def run(self, make: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        async def let_go(loop: object) -> None:
            assert asyncio.get_running_loop() is loop
            self.let_go.append(loop)

        if not self.inside:
            return run_in_loop(make(), let_go)

        async def nesting() -> Any:
            return run_in_loop(make(), let_go)

        outer = asyncio.new_event_loop()  # and not `asyncio.run`, which takes the first Ctrl-C for itself
        try:
            return outer.run_until_complete(nesting())
        finally:
            outer.close()


@pytest.fixture(params=[False, True], ids=["plain", "in a loop"])
def caller(request: pytest.FixtureRequest) -> Caller:
    return Caller(request.param)


async def greeting() -> str:
    await asyncio.sleep(0)
    return f"hello {NAME.get()}"


async def failing() -> None:
    raise ZeroDivisionError


class TestRunInLoop:
    def test_the_flow_sees_what_its_caller_has_set(self, caller: Caller) -> None:
        token = NAME.set("Ada")
        try:
            assert "hello Ada" == caller.run(greeting)
        finally:
            NAME.reset(token)

    def test_what_the_flow_raises_is_raised(self, caller: Caller) -> None:
        with pytest.raises(ZeroDivisionError):
            caller.run(failing)
        assert 1 == len(caller.let_go)

    def test_its_loop_is_let_go_of_and_closed(self, caller: Caller) -> None:
        caller.run(greeting)
        [loop] = caller.let_go
        assert isinstance(loop, asyncio.AbstractEventLoop)
        assert loop.is_closed()

    def test_no_thread_is_left(self, caller: Caller) -> None:
        before = set(threading.enumerate())
        caller.run(greeting)
        assert set() == set(threading.enumerate()) - before

    def test_the_loop_that_was_set_stays_set(self) -> None:
        own = asyncio.new_event_loop()
        asyncio.set_event_loop(own)
        try:
            Caller(inside=False).run(greeting)
            assert own is asyncio.get_event_loop_policy().get_event_loop()
        finally:
            asyncio.set_event_loop(None)
            own.close()

    def test_ctrl_c_ends_the_flow(self, caller: Caller) -> None:
        ended: list[str] = []

        async def interrupted() -> None:
            try:
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
                await asyncio.Event().wait()
            finally:
                ended.append("ended")

        with pytest.raises(KeyboardInterrupt):
            caller.run(interrupted)
        assert (["ended"], 1) == (ended, len(caller.let_go))
