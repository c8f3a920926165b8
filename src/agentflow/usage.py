"""What a call to a model used, and handing it to the step that made the call.

What must not live here: prices, providers, anything that makes a call.
"""

from __future__ import annotations

from collections.abc import Iterable

from agentflow.facts import Fact
from agentflow.runtime import current_step


class Usage(Fact):
    """What one call to a model used, its retries and re-asks included; `a + b` is what both used together.

    Attributes:
        model: The model that was asked, as the caller named it; of a sum, every name once, joined by ", ".
        provider: Who served it, such as "openai"; of a sum likewise.
        input_tokens: Tokens sent.
        output_tokens: Tokens received.
        cost: US dollars, or None when no price is known; a sum adds the prices that are known.
        latency: Seconds from the call to its result, waiting between attempts included; a sum adds them up.
        attempts: How many HTTP calls were made.

    Example:
        >>> a = Usage("gpt-4o-mini", "openai", input_tokens=10, output_tokens=5, cost=0.5, latency=1.0)
        >>> (a + a).cost
        1.0
    """

    model: str = ""
    provider: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float | None = None
    latency: float = 0.0
    attempts: int = 1

    @property
    def total_tokens(self) -> int:
        """Tokens sent and received."""
        return self.input_tokens + self.output_tokens

    def __add__(self, other: Usage) -> Usage:
        if self is NOTHING:
            return other
        costs = [cost for cost in (self.cost, other.cost) if cost is not None]
        return Usage(
            model=_joined(self.model, other.model),
            provider=_joined(self.provider, other.provider),
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cost=sum(costs) if costs else None,
            latency=self.latency + other.latency,
            attempts=self.attempts + other.attempts,
        )


#: What nothing used: the start of every sum.
NOTHING = Usage(attempts=0)


def total(usages: Iterable[Usage]) -> Usage:
    """What all of them used together; `NOTHING` for none.

    >>> total([]).attempts
    0
    """
    return sum(usages, start=NOTHING)


def record(usage: Usage) -> None:
    """Attach `usage` to the step that is running in this thread or task; outside of a step nobody is told."""
    step = current_step()
    if step is not None:
        step.record_usage(usage)


def _joined(left: str, right: str) -> str:
    if left == right:
        return left
    return ", ".join(dict.fromkeys(name for name in (*left.split(", "), *right.split(", ")) if name))
