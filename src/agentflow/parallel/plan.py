"""Plan: how the children of one parallel action are run, checked when it is made.

What must not live here: running them (`running.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import CoroutineType
from typing import Any

from agentflow.actions.base import check_timeout
from agentflow.errors import BuildError, ResultError
from agentflow.parallel.executors import ExecutorOrFactory
from agentflow.parallel.outcomes import Outcome
from agentflow.parallel.stops import StopCondition, quorum
from agentflow.runtime import name_of
from agentflow.signatures import is_async

#: How many children run at once unless somebody says otherwise.
MAX_CONCURRENCY = 16


@dataclass(frozen=True, slots=True)
class Plan:
    """How the children of one parallel action are run.

    Attributes:
        on_error: "raise" the first error and cancel the rest, "collect" every outcome, or "drop" those that failed.
        max_concurrency: How many run at once.
        timeout: The longest each may take, in seconds.
        stop: When enough have ended; then the rest is cancelled.
        executor: What runs them in a blocking run.
        progress: Told of each outcome and the number of tasks, as they come.

    Raises:
        BuildError: One of them is none that can be used.
    """

    on_error: str = "raise"
    max_concurrency: int = MAX_CONCURRENCY
    timeout: float | None = None
    stop: StopCondition | None = None
    executor: ExecutorOrFactory | None = None
    progress: Callable[[Outcome, int], Any] | None = None

    def __post_init__(self) -> None:
        if self.on_error not in ("raise", "collect", "drop"):
            raise BuildError(f"on_error={self.on_error!r} is unknown: use 'raise', 'collect' or 'drop'.")
        check_concurrency(self.max_concurrency)
        if self.timeout is not None:
            check_timeout(self.timeout)
        stop: object = self.stop
        if stop is quorum:
            raise BuildError("stop=quorum does not say how many have to finish: use stop=quorum(2).")
        _check_told("stop", self.stop, "a function of the outcomes, such as first or quorum(2)")
        _check_told("progress", self.progress, "a function of the outcome and the number of tasks")

    def is_enough(self, ended: Sequence[Outcome]) -> bool:
        """Whether the children that have ended, at least one, are enough.

        Raises:
            ResultError: The stop condition has to be awaited, which nobody does.
        """
        if self.stop is None:
            return False
        answer: Any = self.stop(ended)
        if hasattr(type(answer), "__await__"):
            _refuse_awaitable("stop", self.stop, answer)
        return bool(answer)

    def tell(self, outcome: Outcome, count: int) -> None:
        """Tell whoever hears of the progress.

        Raises:
            ResultError: It has to be awaited, which nobody does.
        """
        if self.progress is not None and isinstance(answer := self.progress(outcome, count), CoroutineType):
            _refuse_awaitable("progress", self.progress, answer)


def check_concurrency(given: object) -> None:
    """Refuse what is no number of children that can run at once.

    Raises:
        BuildError: It is no positive whole number.
    """
    if not isinstance(given, int):
        raise BuildError(f"max_concurrency={given!r} is no whole number: say how many may run at once.")
    if given < 1:
        raise BuildError(f"max_concurrency={given} runs nothing: give at least 1.")


def _check_told(option: str, given: Any, wanted: str) -> None:
    if given is None:
        return
    if not callable(given):
        raise BuildError(f"{option}={given!r} cannot be called: pass {wanted}.")
    if is_async(given):
        raise BuildError(f"{option}= of a map got '{name_of(given)}', which is async: make it a plain def.")


def _refuse_awaitable(option: str, fn: Callable[..., Any], answer: Any) -> None:
    if isinstance(answer, CoroutineType):
        answer.close()
    raise ResultError(
        f"{option}= of a map, '{name_of(fn)}', gave something that has to be awaited: make it a plain def that gives "
        "its answer at once."
    )
