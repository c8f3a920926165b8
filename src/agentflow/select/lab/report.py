"""What a measurement found: every outcome, and the figures that follow from them.

What must not live here: asking a selector, or laying figures out for a reader.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from agentflow.select.lab import rendering
from agentflow.select.selector import Target
from agentflow.usage import NOTHING, Usage, total

#: How the tables name an abstention, and a choice that came to an error.
ABSTAINED, FAILED = "(none)", "(error)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a selector made of one case.

    Attributes:
        given: The situation, as text.
        expected: The right target; None where it is right to abstain.
        chosen: The target it chose, its fallback included; None when it abstained or failed.
        decided_by: What decided it.
        reason: Why, in its words.
        confidence: Between 0 and 1, if known.
        fallback: Whether the declared fallback was taken.
        error: What went wrong, "" when nothing did.
        seconds: How long it took.
        usage: What models used for it.
    """

    given: str
    expected: str | None
    chosen: str | None
    decided_by: str = ""
    reason: str | None = None
    confidence: float | None = None
    fallback: bool = False
    error: str = ""
    seconds: float = 0.0
    usage: Usage = field(default=NOTHING)

    @property
    def is_right(self) -> bool:
        """Whether it chose what is right; an error is never right."""
        return not self.error and self.chosen == self.expected

    @property
    def answer(self) -> str:
        """What it chose, as the tables name it."""
        return FAILED if self.error else self.chosen or ABSTAINED

    def as_dict(self) -> dict[str, Any]:
        """All of it as plain values."""
        return {
            "given": self.given,
            "expected": self.expected,
            "chosen": self.chosen,
            "answer": self.answer,
            "right": self.is_right,
            "decided_by": self.decided_by,
            "reason": self.reason,
            "confidence": self.confidence,
            "fallback": self.fallback,
            "error": self.error,
            "seconds": self.seconds,
            "tokens": self.usage.total_tokens,
            "cost": self.usage.cost,
        }


@dataclass(frozen=True, slots=True)
class Score:
    """How well one target is told from the others.

    Attributes:
        precision: Of the cases it was chosen in, the part it was right in; None when it was never chosen.
        recall: Of the cases it is right in, the part it was chosen in; None when there are none.
        cases: In how many cases it is right.
        chosen: In how many it was chosen.
    """

    precision: float | None
    recall: float | None
    cases: int
    chosen: int


@dataclass(frozen=True)
class Report:
    """How well one selector chooses.

    Attributes:
        name: What it is called in the tables.
        targets: What there was to choose from.
        outcomes: One for each case, in their order.
        seconds: How long all of it took, many at once.
    """

    name: str
    targets: tuple[Target, ...]
    outcomes: tuple[Outcome, ...]
    seconds: float = 0.0

    @property
    def accuracy(self) -> float:
        """The part of the cases that came out right, between 0 and 1; 0 without cases."""
        return sum(outcome.is_right for outcome in self.outcomes) / max(len(self.outcomes), 1)

    @property
    def misses(self) -> tuple[Outcome, ...]:
        """The cases that came out wrong."""
        return tuple(outcome for outcome in self.outcomes if not outcome.is_right)

    @property
    def abstentions(self) -> int:
        """In how many cases it chose nothing."""
        return sum(outcome.answer == ABSTAINED for outcome in self.outcomes)

    @property
    def errors(self) -> int:
        """In how many cases it came to an error."""
        return sum(bool(outcome.error) for outcome in self.outcomes)

    @property
    def usage(self) -> Usage:
        """What models used for all cases together."""
        return total(outcome.usage for outcome in self.outcomes)

    @property
    def latency(self) -> tuple[float, float]:
        """Seconds a decision took: the median, and what 95 of 100 stay below."""
        times = sorted(outcome.seconds for outcome in self.outcomes)
        if not times:
            return 0.0, 0.0
        return statistics.median(times), times[min(len(times) - 1, int(len(times) * 0.95))]

    @property
    def scores(self) -> dict[str, Score]:
        """Precision and recall by target."""
        return {target.name: self._score(target.name) for target in self.targets}

    @property
    def confusion(self) -> dict[str, dict[str, int]]:
        """How often each answer was given, by what was right; `(none)` is abstaining, `(error)` an error."""
        found: dict[str, Counter[str]] = {}
        for outcome in self.outcomes:
            found.setdefault(outcome.expected or ABSTAINED, Counter())[outcome.answer] += 1
        return {expected: dict(sorted(found[expected].items())) for expected in sorted(found)}

    def _score(self, name: str) -> Score:
        cases = sum(outcome.expected == name for outcome in self.outcomes)
        chosen = sum(outcome.chosen == name for outcome in self.outcomes)
        right = sum(outcome.expected == outcome.chosen == name for outcome in self.outcomes)
        return Score(right / chosen if chosen else None, right / cases if cases else None, cases, chosen)

    def table(self) -> str:
        """All figures as text for a terminal."""
        return rendering.text([self.as_dict()])

    def html(self) -> str:
        """All figures as one HTML page that loads nothing."""
        return rendering.page([self.as_dict()])

    def json(self) -> str:
        """All figures and outcomes as JSON."""
        return rendering.as_json([self.as_dict()])

    def as_dict(self) -> dict[str, Any]:
        """All figures and outcomes as plain values."""
        median, slowest = self.latency
        return {
            "name": self.name,
            "targets": [target.name for target in self.targets],
            "cases": len(self.outcomes),
            "accuracy": self.accuracy,
            "abstentions": self.abstentions,
            "errors": self.errors,
            "tokens": self.usage.total_tokens,
            "cost": self.usage.cost,
            "seconds": self.seconds,
            "latency": {"median": median, "p95": slowest},
            "scores": {name: asdict(score) for name, score in self.scores.items()},
            "confusion": self.confusion,
            "outcomes": [outcome.as_dict() for outcome in self.outcomes],
        }


@dataclass(frozen=True)
class Comparison:
    """Several selectors, measured on the same cases.

    Attributes:
        reports: One for each selector, in the order they were given.
    """

    reports: tuple[Report, ...]

    def __getitem__(self, name: str) -> Report:
        for report in self.reports:
            if report.name == name:
                return report
        raise KeyError(name)

    def __iter__(self) -> Iterator[Report]:
        return iter(self.reports)

    def __len__(self) -> int:
        return len(self.reports)

    @property
    def best(self) -> Report:
        """The one with the highest accuracy; of equals the cheapest, then the first."""
        return max(self.reports, key=lambda report: (report.accuracy, -(report.usage.cost or 0.0)))

    def table(self) -> str:
        """All figures side by side as text for a terminal."""
        return rendering.text([report.as_dict() for report in self.reports])

    def html(self) -> str:
        """All figures as one HTML page that loads nothing."""
        return rendering.page([report.as_dict() for report in self.reports])

    def json(self) -> str:
        """All figures and outcomes as JSON."""
        return rendering.as_json([report.as_dict() for report in self.reports])
