"""Choice: everything that leaves one source, compiled into a single evaluation.

Conditions first, in written order; then the selector, if there is one; then the default. Equalities on one key are one
dictionary look-up, however many there are. What must not live here: when a choice is evaluated, and where its decision
is kept (the engine).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from agentflow.conditions import HASHED_AS_EQUAL, Condition, equal_by_key
from agentflow.errors import DecideError, ProviderError, RealCallError, did_you_mean
from agentflow.facts import Fact, replace
from agentflow.runtime import Runtime
from agentflow.select.selector import (
    END,
    Abstention,
    Answer,
    Decision,
    PendingChoice,
    Selector,
    Target,
    abstained,
    scoped,
    target_name,
)
from agentflow.select.switch import Switch
from agentflow.state import State
from agentflow.usage import Usage


class Edges(Fact):
    """What leaves one source, sorted by kind."""

    source: str
    targets: tuple[Target, ...]
    conditions: tuple[tuple[Condition, str], ...] = ()
    selector: Selector | None = None
    selector_targets: tuple[Target, ...] = ()
    default: str | None = None


class Choice:
    """One evaluation that says what follows a source.

    Attributes:
        allowed: The names its selector may answer with.
        pure: Whether `pick` always answers, without calling a selector's code.
        pick: The decision from conditions, switch and default; None when the selector must be asked.
    """

    __slots__ = ("allowed", "edges", "names", "otherwise", "pick", "pure")

    def __init__(self, edges: Edges) -> None:
        self.edges: Edges = edges
        self.names: tuple[str, ...] = tuple(target.name for target in edges.targets)
        self.allowed: frozenset[str] = frozenset(target.name for target in edges.selector_targets)
        self.otherwise: Decision | None = self._otherwise()
        asks = edges.selector is not None and not isinstance(edges.selector, Switch)
        self.pure: bool = not asks
        self.pick: Callable[[State[Any]], Decision | None] = self._compiled(last=None if asks else self.otherwise)

    @property
    def certain(self) -> Decision | None:
        """The decision where there is nothing to look at: one target, without a condition or a selector."""
        return None if self.edges.conditions or self.edges.selector is not None else self.otherwise

    async def ask(self, runtime: Runtime, state: State[Any]) -> Decision | PendingChoice:
        """The decision of a choice that is not pure: `pick` first, then the selector, then fallback and default.

        A selector may leave it to a person instead: then there is no decision yet.

        Raises:
            DecideError: The selector came to nothing, or to an undeclared target, and nothing is declared for that.
        """
        picked = self.pick(state)
        selector = self.edges.selector
        if picked is not None:
            return picked
        assert selector is not None  # without one, `pick` always answers
        started = time.perf_counter()
        try:
            answer = await selector.decide(runtime, scoped(state, selector), self.edges.selector_targets)
        except RealCallError:  # a test that forgot to script a reply, which no fallback may hide
            raise
        except (DecideError, ProviderError) as error:
            if isinstance(error, DecideError) and not error.source:
                error.source = self.edges.source  # a decider does not know what it leaves
            if selector.fallback is None:
                raise
            return self._fallback(selector, f"{error}", time.perf_counter() - started)
        if isinstance(answer, PendingChoice):
            return replace(answer, source=self.edges.source)
        return self._decided(selector, answer, time.perf_counter() - started)

    @staticmethod
    def with_usage(decision: Decision, usages: Sequence[Usage]) -> Decision:
        """The decision with what models were asked for it, unless it says so itself."""
        if not usages or decision.tokens:
            return decision
        total = sum(usages[1:], usages[0])
        return replace(decision, tokens=total.total_tokens, cost=total.cost)

    # -- compiling

    def _compiled(self, last: Decision | None) -> Callable[[State[Any]], Decision | None]:
        written = [(condition, self._by(condition, target)) for condition, target in self.edges.conditions]
        if isinstance(self.edges.selector, Switch):
            last = None
            written += self._switched(self.edges.selector)
            missed = self._missed_switch
        else:
            missed = None
        if not written:
            return lambda state: last
        found = equal_by_key(condition for condition, _ in written)
        if found is not None:
            key, positions = found
            index = {value: written[position][1] for value, position in positions.items()}
            return _looked_up(key, index, written, last, missed)
        return _first_match(written, last, missed)

    def _switched(self, switch: Switch) -> list[tuple[Condition, Decision]]:
        targets = [target.name for target in self.edges.selector_targets]
        return [
            (condition, self._template(target, switch.name, condition.name))
            for condition, target in switch.conditions(targets)
        ]

    def _missed_switch(self, state: State[Any]) -> Decision:
        switch = self.edges.selector
        assert isinstance(switch, Switch)
        if switch.fallback is not None:
            return self._template(switch.fallback, switch.name, "nothing matched, its default")
        values = ", ".join(f"{key} is {state[key]!r:.80}" for key in switch.reads or ())
        return self._unanswered(switch, None, f"{values}, which names no target")

    def _by(self, condition: Condition, target: str) -> Decision:
        return self._template(target, "condition", condition.name)

    def _otherwise(self) -> Decision | None:
        if self.edges.default is not None:
            only = len(self.names) == 1
            return self._template(self.edges.default, "default", None if only else "nothing else matched")
        if self.edges.selector is None:
            return self._template(END, "no match", "no condition holds, and there is no default")
        return None

    def _template(self, target: str, decided_by: str, reason: str | None) -> Decision:
        return Decision(
            target=target, source=self.edges.source, targets=self.names, decided_by=decided_by, reason=reason
        )

    # -- what a selector answered

    def _decided(self, selector: Selector, answer: Answer, seconds: float) -> Decision:
        name = target_name(answer)
        if name not in self.allowed:
            said = answer if name is None else name
            fact = abstained(answer) if _abstains(answer) else f"it answered {said!r:.80}"
            return self._unanswered(selector, answer, fact, seconds)
        made = (
            answer
            if isinstance(answer, Decision)
            else Decision(
                target=str(name),
                decided_by=selector.name,
                reason=_text(getattr(answer, "reason", None)),
                confidence=_number(getattr(answer, "confidence", None)),
            )
        )
        by = made.decided_by or selector.name
        return replace(made, source=self.edges.source, targets=self.names, decided_by=by, seconds=seconds)

    def _unanswered(self, selector: Selector, answer: Answer, fact: str, seconds: float = 0.0) -> Decision:
        if selector.fallback is not None:
            return self._fallback(selector, fact, seconds)
        if self.otherwise is not None and _abstains(answer):
            return replace(self.otherwise, reason=f"{selector.name}: {fact}", seconds=seconds)
        raise self._nothing(selector.name, answer, fact)

    def _fallback(self, selector: Selector, fact: str, seconds: float) -> Decision:
        made = self._template(str(selector.fallback), selector.name, f"fallback: {fact}")
        return replace(made, seconds=seconds, fallback=True)

    def _nothing(self, by: str, answer: Answer, fact: str) -> DecideError:
        name = target_name(answer)
        near = did_you_mean(name, self.names) if name else f"Targets: {', '.join(map(repr, self.names))}."
        return DecideError(
            f"{by} leaving '{self.edges.source}' chose no declared target: {fact}. {near} "
            "Declare a fallback to go on in such a case.",
            source=self.edges.source,
            answer=str(answer),
            targets=self.names,
        )


Miss = Callable[[State[Any]], Decision] | None


def _first_match(
    written: Sequence[tuple[Condition, Decision]], last: Decision | None, missed: Miss
) -> Callable[[State[Any]], Decision | None]:
    tests = tuple((condition.evaluate, decision) for condition, decision in written)

    def pick(state: State[Any]) -> Decision | None:
        for holds, decision in tests:
            if holds(state):
                return decision
        return last if missed is None else missed(state)

    return pick


def _looked_up(
    key: str,
    index: Mapping[Any, Decision],
    written: Sequence[tuple[Condition, Decision]],
    last: Decision | None,
    missed: Miss,
) -> Callable[[State[Any]], Decision | None]:
    compared = _first_match(written, last, missed)  # for a value that may be equal without having the same hash

    def pick(state: State[Any]) -> Decision | None:
        value = state._values.get(key, compared)  # `state[key]` takes twice as long, and each step asks
        if value.__class__ not in HASHED_AS_EQUAL:  # nor is what stands for a missing value
            return compared(state)
        decision = index.get(value, last)
        return decision if decision is not None or missed is None else missed(state)

    return pick


def targets_named(names: Iterable[str], descriptions: Mapping[str, str]) -> tuple[Target, ...]:
    """The targets of these names, sorted, each with what a decider is told about it."""
    return tuple(Target(name, descriptions.get(name, "")) for name in sorted(set(names)))


def _abstains(answer: Answer) -> bool:
    """Whether a selector left it to others; an object or dict whose next action is None does so too."""
    if isinstance(answer, Abstention):
        return True
    if isinstance(answer, Mapping):
        return answer.get("next_action", answer) is None
    return answer is None or getattr(answer, "next_action", answer) is None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
