"""Retrying: any policy shaped like tenacity's, in both colours; the last error is the action's own."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import tenacity

from agentflow import ApplicationBuilder, State, action
from agentflow.errors import BuildError
from agentflow.retrying import Outcome, RetryState, attempts
from agentflow.runtime import ASYNC, BLOCKING, run_blocking
from tests.drivers import Driver


class Flaky:
    """Fails so many times, then counts."""

    def __init__(self, failures: int, error: BaseException | None = None) -> None:
        self.failures, self.calls, self.error = failures, 0, error or ValueError("flaky")

    def __call__(self) -> int:
        self.calls += 1
        if self.calls <= self.failures:
            raise self.error
        return self.calls


def app_of(flaky: Callable[[], int], retry: Any) -> Any:
    @action(reads=[], writes=["n"], retry=retry)
    def one(state: State) -> State:
        return state.update(n=flaky())

    return ApplicationBuilder().with_actions(one).with_entrypoint("one").build()


POLICIES = [
    tenacity.Retrying(stop=tenacity.stop_after_attempt(3)),
    tenacity.AsyncRetrying(stop=tenacity.stop_after_attempt(3)),
    tenacity.Retrying(
        stop=tenacity.stop_after_attempt(3) | tenacity.stop_after_delay(60),
        wait=tenacity.wait_exponential(multiplier=0.0001) + tenacity.wait_random(0, 0.0001),
        retry=tenacity.retry_if_exception_type(ValueError),
    ),
]


@pytest.mark.parametrize("policy", POLICIES, ids=["plain", "async", "combined"])
class TestPolicies:
    def test_it_is_tried_again_until_it_succeeds(self, drive: Driver, policy: Any) -> None:
        assert {"n": 3} == drive.step(app_of(Flaky(2), policy))[2]

    def test_given_up_the_original_error_is_raised_with_a_note(self, drive: Driver, policy: Any) -> None:
        error = ValueError("flaky")
        flaky = Flaky(9, error)
        with pytest.raises(ValueError, match="flaky") as caught:
            drive.step(app_of(flaky, policy))
        assert caught.value is error
        assert ("given up after 3 attempts", 3) == (error.__notes__[0], flaky.calls)


def test_another_error_is_not_tried_again(drive: Driver) -> None:
    flaky = Flaky(1, KeyError("other"))
    policy = tenacity.Retrying(retry=tenacity.retry_if_exception_type(ValueError), stop=tenacity.stop_after_attempt(3))
    with pytest.raises(KeyError):
        drive.step(app_of(flaky, policy))
    assert 1 == flaky.calls


def test_a_predicate_may_look_at_the_state_an_attempt_gave(drive: Driver) -> None:
    policy = tenacity.Retrying(
        retry=tenacity.retry_if_result(lambda pair: pair[1]["n"] < 3), stop=tenacity.stop_after_attempt(5)
    )
    assert {"n": 3} == drive.step(app_of(Flaky(0), policy))[2]


def test_given_up_on_results_the_last_one_is_taken(drive: Driver) -> None:
    policy = tenacity.Retrying(retry=tenacity.retry_always, stop=tenacity.stop_after_attempt(2))
    assert {"n": 2} == drive.step(app_of(Flaky(0), policy))[2]


def test_async_predicates_are_awaited_in_an_async_run() -> None:
    class Waiting:
        def __init__(self) -> None:
            self.told: list[str] = []

        async def retry(self, state: RetryState) -> bool:
            return state.outcome is not None and state.outcome.failed

        async def stop(self, state: RetryState) -> bool:
            return state.attempt_number == 3

        async def wait(self, state: RetryState) -> float:
            return 0.0

        async def before(self, state: RetryState) -> None:
            self.told.append(f"before {state.attempt_number}")

        async def after(self, state: RetryState) -> None:
            self.told.append(f"after {state.attempt_number}")

        async def before_sleep(self, state: RetryState) -> None:
            self.told.append(f"sleep {state.attempt_number}")

    policy = Waiting()
    assert 2 == asyncio.run(attempts(ASYNC, policy, _async(Flaky(1))))
    assert ["before 1", "after 1", "sleep 1", "before 2"] == policy.told


def test_tenacitys_own_listeners_find_what_they_read(caplog: pytest.LogCaptureFixture, drive: Driver) -> None:
    logger = logging.getLogger("retries")
    policy = tenacity.Retrying(
        stop=tenacity.stop_after_attempt(2),
        wait=tenacity.wait_fixed(0.001),
        before=tenacity.before_log(logger, logging.WARNING),
        after=tenacity.after_log(logger, logging.WARNING),
        before_sleep=tenacity.before_sleep_log(logger, logging.WARNING),
    )
    drive.step(app_of(Flaky(1), policy))
    assert ["Starting", "Finished", "Retrying", "Starting"] == [
        record.getMessage().split()[0] for record in caplog.records
    ]
    assert [] == [record.getMessage() for record in caplog.records if "one" not in record.getMessage()]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), asyncio.CancelledError()])
def test_a_cancellation_is_not_tried_again(error: BaseException) -> None:
    flaky = Flaky(5, error)
    policy = tenacity.Retrying(stop=tenacity.stop_after_attempt(3), retry=tenacity.retry_always)
    with pytest.raises(type(error)):
        run_blocking(attempts(BLOCKING, policy, _async(flaky)))
    assert 1 == flaky.calls


def test_what_a_policy_may_know_adds_up() -> None:
    seen: list[Any] = []

    class Policy:
        def retry(self, state: RetryState) -> bool:
            return True

        def wait(self, state: RetryState) -> float:
            return 0.001

        def stop(self, state: RetryState) -> bool:
            assert state.outcome is not None
            assert state.seconds_since_start is not None
            assert state.seconds_since_start >= 0
            seen.append(
                (state.attempt_number, state.outcome.result(), state.outcome.exception(), round(state.idle_for, 4))
            )
            return state.attempt_number == 2

    assert None is RetryState(Policy()).seconds_since_start
    assert 2 == run_blocking(attempts(BLOCKING, Policy(), _async(Flaky(0))))
    assert [(1, 1, None, 0.0), (2, 2, None, 0.001)] == seen


def test_an_outcome_answers_as_a_future_does() -> None:
    error = ValueError("x")
    assert (True, error, False, None, 3) == (
        Outcome(1, error=error).failed,
        Outcome(1, error=error).exception(),
        Outcome(1, value=3).failed,
        Outcome(1, value=3).exception(),
        Outcome(1, value=3).result(),
    )
    with pytest.raises(ValueError, match="x"):
        Outcome(1, error=error).result()


def test_a_callback_that_gives_no_state_is_refused() -> None:
    policy = tenacity.Retrying(retry_error_callback=lambda state: None)
    with pytest.raises(BuildError, match="^a retry_error_callback makes no state: handle the last error in the action"):
        action(reads=[], writes=[], retry=policy)


def test_tenacity_is_not_loaded_by_agentflow() -> None:
    code = "import sys, agentflow, agentflow.retrying; sys.exit('tenacity' in sys.modules)"
    assert 0 == subprocess.run([sys.executable, "-c", code], check=False).returncode


def _async(fn: Callable[[], Any]) -> Callable[[], Any]:
    async def call() -> Any:
        return fn()

    return call
