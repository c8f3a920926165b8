"""Flows in tasks: whatever ends a nursery, every flow has ended before."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from typing import Any

import pytest

from agentflow.nursery import Stop
from agentflow.nursery.tasks import run_in_tasks


class Waiting:
    """A job that waits until it is cancelled, and takes another turn of the loop to clean up."""

    def __init__(self, log: list[str]) -> None:
        self.log = log

    def flow(self, index: int, stop: Stop) -> Coroutine[Any, Any, None]:
        return self._wait(index)

    async def _wait(self, index: int) -> None:
        self.log.append(f"{index} began")
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            self.log.append(f"{index} ended")

    def portable(self) -> Any:
        raise AssertionError


class Quick(Waiting):
    """A job that is done at once."""

    async def _wait(self, index: int) -> None:
        self.log.append(f"{index} began")
        self.log.append(f"{index} ended")


def goes_on(position: int, value: Any, error: BaseException | None) -> bool:
    return False


def began_and_ended(log: list[str]) -> bool:
    return {line.split()[0] for line in log if "began" in line} == {line.split()[0] for line in log if "ended" in line}


class TestRunInTasks:
    @pytest.mark.parametrize("times", [1, 2])
    def test_a_cancellation_is_raised_when_every_flow_has_ended(self, times: int) -> None:
        log: list[str] = []

        async def main() -> None:
            jobs = enumerate([Waiting(log) for _ in range(3)])
            running = asyncio.create_task(run_in_tasks(jobs, 2, goes_on, Stop()))
            while len(log) < 2:
                await asyncio.sleep(0)
            for _ in range(times):
                running.cancel()
                await asyncio.sleep(0)
            with pytest.raises(asyncio.CancelledError):
                await running

        asyncio.run(main())
        assert (["0 began", "1 began"], {"0 ended", "1 ended"}) == (log[:2], set(log[2:]))

    def test_jobs_that_cannot_be_made_end_the_others(self) -> None:
        log: list[str] = []

        def jobs(good: int) -> Iterator[tuple[int, Waiting]]:
            yield 0, Waiting(log)
            for index in range(1, good):
                yield index, Quick(log)
            raise ZeroDivisionError

        for good in (1, 2, 3):  # before any flow has begun, or when a worker asks for its next one
            with pytest.raises(ZeroDivisionError):
                asyncio.run(run_in_tasks(jobs(good), 2, goes_on, Stop()))
            assert began_and_ended(log)

    def test_what_hearing_of_an_end_raises_ends_the_others(self) -> None:
        log: list[str] = []

        def on_end(position: int, value: Any, error: BaseException | None) -> bool:
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            asyncio.run(run_in_tasks(enumerate([Waiting(log), Waiting(log), Quick(log)]), 3, on_end, Stop()))
        assert 6 == len(log)
        assert began_and_ended(log)

    def test_nobody_starts_once_it_was_asked_to_stop(self) -> None:
        log: list[str] = []
        stop = Stop()
        stop.asked = True
        asyncio.run(run_in_tasks(enumerate([Waiting(log)]), 1, goes_on, stop))
        assert [] == log
