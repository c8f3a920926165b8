"""Runtime: the same verbs in both colours, and refusals that name the verb to use."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading
import time
from concurrent.futures import Future
from typing import Any

import pytest

from agentflow import runtime
from agentflow.errors import ActionTimeoutError, AsyncCodeError
from agentflow.runtime import ASYNC, BLOCKING, each, name_of, new_lock, offloading, run_blocking

COLOUR: contextvars.ContextVar[str] = contextvars.ContextVar("colour", default="none")


async def double(value: int) -> int:
    return 2 * value


class Caller:
    def __call__(self, value: int) -> int:
        return value + 1

    async def wait(self, value: int) -> int:
        return value


class TestBlocking:
    def test_a_flow_runs_through_without_an_event_loop(self) -> None:
        async def flow() -> int:
            return await BLOCKING.call(int, "3") + await BLOCKING.offload(int, "4")

        assert 7 == run_blocking(flow())

    def test_a_flow_that_waits_is_refused_and_closed(self) -> None:
        closed: list[bool] = []

        async def flow() -> None:
            try:
                await _Suspended()
            finally:
                closed.append(True)

        with pytest.raises(AsyncCodeError, match="waits on an event loop: use the async verb"):
            run_blocking(flow())
        assert [True] == closed

    def test_async_code_is_refused_by_name(self) -> None:
        with pytest.raises(AsyncCodeError) as caught:
            run_blocking(BLOCKING.call(double, 3))
        assert "'double' is async: use the async verb (astep, aiterate, arun) or make it a plain def." == str(
            caught.value
        )
        with pytest.raises(AsyncCodeError, match="lambda"):
            run_blocking(BLOCKING.call(lambda: _Suspended()))

    def test_an_error_comes_out_as_it_is(self) -> None:
        with pytest.raises(ZeroDivisionError):
            run_blocking(BLOCKING.call(lambda: 1 // 0))


class _Suspended:
    def __await__(self) -> Any:
        yield


class TestAsync:
    async def test_what_is_awaitable_is_awaited(self) -> None:
        assert (6, 4) == (await ASYNC.call(double, 3), await ASYNC.call(Caller(), 3))

    async def test_sync_code_can_be_called_in_a_thread(self) -> None:
        here = threading.get_ident()
        COLOUR.set("async")
        found = await ASYNC.offload(lambda: (threading.get_ident() != here, COLOUR.get()))
        assert (True, "async") == found
        there = offloading(ASYNC)
        assert True is await there.call(lambda: threading.get_ident() != here)
        assert 6 == await there.call(double, 3)
        assert BLOCKING is offloading(BLOCKING)

    async def test_who_holds_the_loop_is_told_once(
        self, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(runtime, "LOOP_HELD_LIMIT", -1.0)
        monkeypatch.setattr(runtime, "_held", set())
        for _ in range(3):
            await ASYNC.call(int, "3")
            await ASYNC.call(double, 3)
        assert [logging.WARNING] == [record.levelno for record in caplog.records]
        assert caplog.messages[0].startswith("'int' is a plain def and held the event loop for ")
        assert caplog.messages[0].endswith(" ms: declare it blocking=True or make it async.")


class TestWithin:
    def test_a_flow_in_time_gives_its_value_or_its_error(self) -> None:
        COLOUR.set("blocking")

        async def flow() -> tuple[str, bool]:
            return COLOUR.get(), threading.current_thread() is threading.main_thread()

        assert ("blocking", False) == run_blocking(BLOCKING.within(5, flow()))

        async def fails() -> None:
            raise KeyError("x")

        with pytest.raises(KeyError):
            run_blocking(BLOCKING.within(5, fails()))
        with pytest.raises(KeyError):
            asyncio.run(ASYNC.within(5, fails()))
        assert 6 == asyncio.run(ASYNC.within(5, double(3)))

    def test_a_blocking_flow_that_takes_too_long_is_abandoned(self) -> None:
        let_go = threading.Event()

        async def flow() -> None:
            let_go.wait(5)

        with pytest.raises(ActionTimeoutError) as caught:
            run_blocking(BLOCKING.within(0.01, flow()))
        let_go.set()
        assert "no result after 0.01 seconds; its thread is abandoned." == str(caught.value)

    async def test_an_async_flow_that_takes_too_long_is_cancelled(self) -> None:
        cancelled: list[bool] = []

        async def flow() -> None:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.append(True)
                raise

        with pytest.raises(ActionTimeoutError) as caught:
            await ASYNC.within(0.01, flow())
        assert ("no result after 0.01 seconds; it was cancelled.", [True]) == (str(caught.value), cancelled)

    async def test_a_timeout_of_its_own_stays_what_it_is(self) -> None:
        async def fails() -> None:
            raise TimeoutError("own")

        with pytest.raises(TimeoutError, match="^own$") as caught:
            await ASYNC.within(5, fails())
        assert TimeoutError is type(caught.value)


class TestWaiting:
    @pytest.fixture(params=["blocking", "async"])
    def wait(self, request: pytest.FixtureRequest) -> Any:
        def blocking(signal: Future[Any], seconds: float | None) -> Any:
            return run_blocking(BLOCKING.wait_for(signal, seconds))

        def waiting(signal: Future[Any], seconds: float | None) -> Any:
            return asyncio.run(ASYNC.wait_for(signal, seconds))

        return blocking if request.param == "blocking" else waiting

    def test_the_result_that_another_thread_sets(self, wait: Any) -> None:
        signal: Future[int] = Future()
        threading.Timer(0.01, signal.set_result, [3]).start()
        assert 3 == wait(signal, 5)
        assert 3 == wait(signal, None)

    def test_nothing_in_time_is_an_error(self, wait: Any) -> None:
        with pytest.raises(ActionTimeoutError) as caught:
            wait(Future(), 0.01)
        assert "nothing came within 0.01 seconds." == str(caught.value)

    @pytest.mark.parametrize("seconds", [5, None])
    def test_an_error_that_was_set_stays_what_it_is(self, wait: Any, seconds: float | None) -> None:
        for error in (TimeoutError("own"), KeyError("other")):
            signal: Future[int] = Future()
            signal.set_exception(error)
            with pytest.raises(type(error)) as caught:
                wait(signal, seconds)
            assert type(error) is type(caught.value)

    def test_seconds_pass(self) -> None:
        started = time.monotonic()
        run_blocking(BLOCKING.sleep(0.005))
        asyncio.run(ASYNC.sleep(0.005))
        assert time.monotonic() - started >= 0.01

    def test_each_colour_picks_its_own(self) -> None:
        assert ("client", "async client") == (
            BLOCKING.pick("client", "async client"),
            ASYNC.pick("client", "async client"),
        )


async def test_items_come_from_either_kind_of_iterator() -> None:
    async def items() -> Any:
        yield 1
        yield 2

    assert [[1, 2], [1, 2]] == [[item async for item in each(stream)] for stream in (items(), iter([1, 2]))]


def test_a_callable_has_a_name_and_a_lock_is_one() -> None:
    assert ("Caller.wait", "Caller", "double") == (name_of(Caller().wait), name_of(Caller()), name_of(double))
    lock = new_lock()
    assert (True, False) == (lock.acquire(False), lock.acquire(False))
