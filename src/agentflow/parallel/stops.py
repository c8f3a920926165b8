"""When enough children have ended: then the rest is cancelled.

A stop condition is a function of the outcomes so far, in the order they came. What must not live here: cancelling.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from agentflow.errors import BuildError
from agentflow.parallel.outcomes import Outcome

StopCondition = Callable[[Sequence[Outcome]], bool]


def first(outcomes: Sequence[Outcome]) -> bool:
    """Enough as soon as one child has finished well."""
    return any(outcome.succeeded for outcome in outcomes)


def quorum(count: int) -> StopCondition:
    """Enough as soon as `count` children have finished well.

    Raises:
        BuildError: `count` is not positive.
    """
    if count < 1:
        raise BuildError(f"quorum({count}) is no quorum: ask for at least 1.")
    return lambda outcomes: sum(outcome.succeeded for outcome in outcomes) >= count
