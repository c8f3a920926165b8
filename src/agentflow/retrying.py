"""Trying an action again, driven by any policy shaped like tenacity's.

A policy is an object with `retry(state) -> bool`, `stop(state) -> bool` and `wait(state) -> seconds`, such as
`tenacity.Retrying(stop=..., wait=...)`; sync and async callables both do. tenacity itself is never imported: what it
reads of a retry state is offered by `RetryState`. What must not live here: which faults of a provider are worth
another try (see `agentflow.llm`).
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from agentflow.runtime import Runtime

T = TypeVar("T")


class RetryPolicy(Protocol):
    """The part of tenacity's `BaseRetrying` that is used here; `before`, `after`, `before_sleep` are optional.

    What a predicate sees as the result of an attempt is the pair (result, state) that the action gave.
    """

    retry: Callable[[Any], Any]
    stop: Callable[[Any], Any]
    wait: Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one attempt ended, with the questions tenacity's predicates ask of a future."""

    attempt_number: int
    value: Any = None
    error: BaseException | None = None

    @property
    def failed(self) -> bool:
        return self.error is not None

    def exception(self) -> BaseException | None:
        return self.error

    def result(self) -> Any:
        if self.error is not None:
            raise self.error
        return self.value


class Sleep(float):
    """What comes next is to wait for so many seconds."""

    @property
    def sleep(self) -> float:
        return float(self)


@dataclass(slots=True)
class RetryState:
    """What a policy may know: the names are tenacity's."""

    retry_object: Any
    name: str = "the action"
    fn: Any = None
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)
    attempt_number: int = 1
    start_time: float = field(default_factory=time.monotonic)
    outcome: Outcome | None = None
    outcome_timestamp: float | None = None
    idle_for: float = 0.0
    upcoming_sleep: float = 0.0
    next_action: Sleep | None = None

    def get_fn_name(self) -> str:
        """How a log names what is tried again."""
        return self.name

    @property
    def seconds_since_start(self) -> float | None:
        return None if self.outcome_timestamp is None else self.outcome_timestamp - self.start_time


async def attempts(
    runtime: Runtime, policy: RetryPolicy, attempt: Callable[[], Awaitable[T]], name: str = "the action"
) -> T:
    """Await `attempt()` until it succeeds or the policy gives up; then its own last error is raised, with a note.

    Only an `Exception` is tried again: a cancellation or Ctrl-C ends it at once.
    """
    state = RetryState(policy, name)
    while True:
        await _notify(runtime, policy, "before", state)
        try:
            state.outcome = Outcome(state.attempt_number, value=await attempt())
        except Exception as error:
            state.outcome = Outcome(state.attempt_number, error=error)
        state.outcome_timestamp = time.monotonic()
        if not await runtime.call(policy.retry, state):
            return state.outcome.result()  # type: ignore[no-any-return]
        await _notify(runtime, policy, "after", state)
        state.upcoming_sleep = float(await runtime.call(policy.wait, state) or 0.0)
        if await runtime.call(policy.stop, state):
            if state.outcome.error is not None:
                state.outcome.error.add_note(f"given up after {state.attempt_number} attempts")
            return state.outcome.result()  # type: ignore[no-any-return]
        state.next_action = Sleep(state.upcoming_sleep)
        await _notify(runtime, policy, "before_sleep", state)
        await runtime.sleep(state.upcoming_sleep)
        state.idle_for += state.upcoming_sleep
        state.attempt_number += 1


async def _notify(runtime: Runtime, policy: RetryPolicy, moment: str, state: RetryState) -> None:
    listener = getattr(policy, moment, None)
    if listener is not None:
        await runtime.call(listener, state)
