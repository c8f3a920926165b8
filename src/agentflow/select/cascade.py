"""Cascade: several selectors, each asked only when the one before abstains.

What must not live here: any particular way of choosing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from agentflow.errors import BuildError, DecideError, ProviderError, RealCallError
from agentflow.facts import replace
from agentflow.runtime import Runtime
from agentflow.select.decider import Decider, fallback_name
from agentflow.select.selector import (
    Abstention,
    Answer,
    Decision,
    PendingChoice,
    Selector,
    Target,
    abstained,
    as_selector,
    scoped,
    target_name,
)
from agentflow.state import State


class Cascade(Decider):
    """The cheapest selector first: the next one is asked only when the one before abstains, or comes to nothing.

    The decision says which of them answered, and why the ones before did not. When all abstain, the cascade does.

    Args:
        *selectors: The selectors in the order in which they are asked; the last may be a `HumanDecider`.
        fallback: The target to take when all abstain.
        name: How decisions and drawings show it.

    Raises:
        BuildError: There is no selector, one is none, or one has a fallback of its own, so that it never abstains.

    Example:
        >>> from agentflow.select import Cascade, RuleDecider, LLMDecider, HumanDecider
        >>> decider = Cascade(RuleDecider({"draw": ["picture"]}), LLMDecider(allow_abstain=True), HumanDecider())
        >>> decider.name
        'Cascade(RuleDecider, LLMDecider(gpt-4o-mini), HumanDecider)'
    """

    selectors: tuple[Selector, ...]
    reads: tuple[str, ...] | None
    fallback: str | None

    def __init__(self, *selectors: Selector, fallback: object = None, name: str | None = None) -> None:
        if not selectors:
            raise BuildError("Cascade() has nobody to ask: give it selectors, the cheapest first.")
        self.selectors = tuple(map(_checked, selectors))
        keys = [selector.reads for selector in self.selectors]
        known = [key for reads in keys if reads is not None for key in reads]
        self.reads = None if None in keys else tuple(dict.fromkeys(known))
        self.fallback = fallback_name(fallback)
        self._name = name or f"Cascade({', '.join(selector.name for selector in self.selectors)})"

    @property
    def never_blocks(self) -> bool:
        return all(selector.never_blocks for selector in self.selectors)

    def problems(self, source: str, targets: Sequence[Target]) -> list[BuildError]:
        return [problem for selector in self.selectors for problem in selector.problems(source, targets)]

    async def decide(self, runtime: Runtime, state: State[Any], targets: Sequence[Target]) -> Answer:
        passed: list[str] = []
        failure: DecideError | ProviderError | None = None
        for selector in self.selectors:
            try:
                answer = await selector.decide(runtime, scoped(state, selector), targets)
            except RealCallError:
                raise
            except (DecideError, ProviderError) as error:
                failure = error
                passed.append(f"{selector.name} failed")
                continue
            failure = None
            if isinstance(answer, PendingChoice):
                return replace(answer, reason="; ".join(passed))
            name = target_name(answer)
            if name is not None:
                return _named(selector, answer, name, passed)
            passed.append(f"{selector.name} {abstained(answer).removeprefix('it ')}")
        if failure is not None:
            raise failure
        return Abstention("; ".join(passed))


def _checked(given: object) -> Selector:
    selector = as_selector(given)
    if selector is None:
        raise BuildError(f"Cascade() takes selectors, not {given!r}: wrap a function in Select(...).")
    if selector.fallback is not None:
        raise BuildError(
            f"{selector.name} has the fallback {selector.fallback!r}, and inside a Cascade it would never abstain: "
            "give the fallback to the Cascade."
        )
    return selector


def _named(selector: Selector, answer: Answer, name: str, passed: list[str]) -> Decision:
    made = answer if isinstance(answer, Decision) else Decision(target=name, decided_by=selector.name)
    before = f"({'; '.join(passed)})" if passed else ""
    reason = " ".join(part for part in (made.reason, before) if part) or None
    # what the ones before it spent is part of this decision too: whoever asked adds it all up
    return replace(made, decided_by=made.decided_by or selector.name, reason=reason, tokens=0, cost=None)
