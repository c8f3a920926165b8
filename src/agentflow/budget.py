"""Budget: the most a run may take, and the meter that counts it.

What must not live here: halting (`flow.py`), which asks the meter between steps.
"""

from __future__ import annotations

import contextvars
import time
from typing import TYPE_CHECKING

from agentflow.errors import BudgetError, BuildError
from agentflow.facts import Fact
from agentflow.usage import Usage

if TYPE_CHECKING:
    from decimal import Decimal


class Budget(Fact):
    """The most one run may take; what is None is not limited.

    It is looked at between steps and after a choice: what is running is not torn off, so a run may end a little above
    it, but a choice that uses it up is kept and its action does not begin. A child performs what it has paid a choice
    for, since a child that is not saved would have to pay for it again.

    Attributes:
        steps: Steps of the run itself.
        tokens: Tokens of model calls, sent and received, its children's included.
        usd: What those calls cost, in US dollars; calls without a known price cost nothing here.
        seconds: Wall time.

    Example:
        >>> app.run(halt_after="answer", budget=Budget(usd=0.05, seconds=30))
        >>> app.halted_by
        'the budget of 0.05 usd: 0.052 were used'
    """

    steps: int | None = None
    tokens: int | None = None
    usd: float | Decimal | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        for name in ("steps", "tokens", "usd", "seconds"):
            limit = getattr(self, name)
            number = hasattr(limit, "__float__")
            if limit is not None and not (number and float(limit) > 0):
                wrong = "allows nothing" if number else "is no number"
                raise BuildError(f"Budget({name}={limit!r}) {wrong}: give a positive number, or None for no limit.")


class Meter:
    """What a run has taken so far."""

    __slots__ = ("_started", "budget", "steps", "tokens", "usd")

    def __init__(self, budget: Budget) -> None:
        self.budget: Budget = budget
        self.steps: int = 0
        self.tokens: int = 0
        self.usd: float = 0.0
        self._started = time.monotonic()

    def count(self, usage: Usage) -> None:
        """Add a model call."""
        self.tokens += usage.total_tokens
        self.usd += usage.cost or 0.0

    def breach(self, of_run: bool = True) -> str | None:
        """Which limit is reached, in words; None while there is room. A child does not look at the run's own steps."""
        taken = {"tokens": self.tokens, "usd": self.usd, "seconds": time.monotonic() - self._started}
        if of_run:
            taken["steps"] = self.steps
        for name, used in taken.items():
            limit = getattr(self.budget, name)
            if limit is not None and used >= limit:
                return f"the budget of {limit:g} {name}: {used:.4g} were used"
        return None

    def check(self) -> None:
        """Leave a child's run when there is no room.

        Raises:
            BudgetError: A limit is reached.
        """
        breach = self.breach(of_run=False)
        if breach is not None:
            raise BudgetError(f"{breach}. Raise it, or run again to go on.")


#: The meter of the run this code is part of, if it has a budget; children count on their parent's.
CURRENT_METER: contextvars.ContextVar[Meter | None] = contextvars.ContextVar("agentflow_meter", default=None)
