"""The promise of a selector: given the state and the targets, name one; and the record of what it chose.

What must not live here: any particular way of choosing besides calling a user's function.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from typing import Any, Final

from agentflow.errors import BuildError, DecideError, did_you_mean
from agentflow.facts import Fact
from agentflow.runtime import Runtime, name_of
from agentflow.signatures import ABSENT, KEYWORD_ONLY, POSITIONAL_OR_KEYWORD, declared, names, positional_count
from agentflow.state import Scope, State, view

#: The target that finishes a run.
END: Final = "__end__"


class Target(Fact):
    """One thing that may come next: its name, and what a decider is told about it."""

    name: str
    description: str = ""


class Decision(Fact, kw_only=True):
    """The recorded outcome of a choice.

    Attributes:
        target: The name that was chosen.
        source: The name that was left.
        targets: The names there were to choose from, sorted.
        decided_by: What decided it: a condition, a switch, a function, a model.
        reason: Why, in words, if known.
        confidence: Between 0 and 1, if known.
        raw: What the decider answered, as text, if that was more than a name.
        tokens: Tokens spent on it, 0 if none.
        cost: What they cost in USD, None if that is not known.
        seconds: How long it took.
        fallback: Whether the declared fallback was taken instead of an answer.
        sequence_id: The step it chose.
    """

    target: str
    source: str = ""
    targets: tuple[str, ...] = ()
    decided_by: str = ""
    reason: str | None = None
    confidence: float | None = None
    raw: str | None = None
    tokens: int = 0
    cost: float | None = None
    seconds: float = 0.0
    fallback: bool = False
    sequence_id: int = -1

    def __str__(self) -> str:
        chosen = "the end" if self.target == END else f"'{self.target}'"
        why = f": {self.reason}" if self.reason else ""
        sure = f" (confidence {self.confidence:.2f})" if self.confidence is not None else ""
        return f"'{self.source}' -> {chosen}, decided by {self.decided_by}{sure}{why}"


class PendingChoice(Fact, kw_only=True):
    """A choice that waits for a person; the run halts until `Application.choose` says what comes next.

    Attributes:
        targets: What there is to choose from, sorted by name.
        question: What the person is asked.
        asked_by: The selector that leaves it to a person.
        source: The name that is being left.
        reason: Why a person is asked, such as who abstained before.
    """

    targets: tuple[Target, ...]
    question: str = ""
    asked_by: str = ""
    source: str = ""
    reason: str = ""

    def picked(self, name: str | None, reason: str | None = None) -> Decision:
        """The decision that a person's pick makes of it.

        Raises:
            DecideError: The pick is none of the targets.
        """
        offered = tuple(target.name for target in self.targets)
        if name is None or name not in offered:
            raise DecideError(
                f"{name!r} is none of the choices that leave '{self.source}'. {did_you_mean(str(name), offered)}",
                source=self.source,
                answer=str(name),
                targets=offered,
            )
        why = reason or self.reason or None
        return Decision(target=name, source=self.source, targets=offered, decided_by=self.asked_by, reason=why)


class Abstention(Fact):
    """The answer of a selector that chooses nothing and can say why; plain None is the same without a reason."""

    reason: str


#: What a selector may answer: a name, an action, an object with `.next_action`, a decision, a pending choice, or None
#: or an `Abstention` to abstain.
Answer = Any


class Selector:
    """A choice among several targets; subclasses define `select`.

    Attributes:
        reads: The state keys it may read, or None for all of them.
        optional_reads: Keys it may read as well, which need not have a value.
        fallback: The target to take when it abstains or names something else; None for an error.
    """

    reads: tuple[str, ...] | None = None
    optional_reads: frozenset[str] = frozenset()
    fallback: str | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not vars(cls).keys().isdisjoint(("select", "decide")) and "never_blocks" not in vars(cls):
            cls.never_blocks = False  # type: ignore[assignment, method-assign]  # nothing is known of how this one decides

    @property
    def name(self) -> str:
        """How decisions and drawings show it."""
        return type(self).__name__

    @property
    def never_blocks(self) -> bool:
        """Whether it waits for nothing but the runtime, so that one event loop may ask it many things at once.

        A subclass with a `select` or `decide` of its own says so anew, with `never_blocks = True`.
        """
        return False

    def select(self, state: State[Any], targets: Sequence[Target]) -> Answer:
        """Choose: a target's name, an action, a `Decision`, an object with `.next_action`, or None to abstain.

        May be async. The targets come sorted by name, so their written order changes nothing.
        """
        raise BuildError(f"selector {self.name} defines no select(): write `def select(self, state, targets)`.")

    async def decide(self, runtime: Runtime, state: State[Any], targets: Sequence[Target]) -> Answer:
        """What the engine calls; a selector that waits on something through the runtime overrides this."""
        return await runtime.call(self.select, state, targets)

    def problems(self, source: str, targets: Sequence[Target]) -> list[BuildError]:
        """What is wrong with choosing among these targets this way; empty when nothing is."""
        return []


class Select(Selector):
    """A choice made by a function.

    Args:
        choose: `choose(state)` or `choose(state, targets)`, sync or async; see `Selector.select` for what it answers.
        reads: The state keys it may read; by default all of them.
        fallback: The target to take when it answers None or an undeclared name.
        name: How decisions and drawings show it; by default the function's name.

    Raises:
        BuildError: `choose` is no function, or cannot be called like that.

    Example:
        >>> Select(lambda state: "draw" if "picture" in state["query"] else "write", reads=["query"])
    """

    def __init__(
        self,
        choose: Callable[..., Answer],
        reads: Iterable[str] | None = None,
        fallback: Any = None,
        name: str | None = None,
    ) -> None:
        if not callable(choose):
            raise BuildError(f"Select() takes a function of the state, not {choose!r}: pass one that returns a name.")
        self.choose = choose
        self.reads: tuple[str, ...] | None = None if reads is None else names(reads)
        self.fallback: str | None = None if fallback is None else target_name(fallback)
        self._name = name or f"Select({name_of(choose)})"
        self._takes_targets = _takes_targets(choose)

    @property
    def name(self) -> str:
        return self._name

    def select(self, state: State[Any], targets: Sequence[Target]) -> Answer:
        return self.choose(state, targets) if self._takes_targets else self.choose(state)

    async def decide(self, runtime: Runtime, state: State[Any], targets: Sequence[Target]) -> Answer:
        if type(self).select is not Select.select:
            return await runtime.call(self.select, state, targets)
        return await runtime.call(self.choose, *(state, targets)[: 1 + self._takes_targets])  # an error names it


def _takes_targets(choose: Callable[..., Answer]) -> bool:
    """Whether a function is called with the targets too.

    Raises:
        BuildError: It cannot be called as a selector's function is.
    """
    needed = [parameter.kind for parameter in declared(choose) if parameter.default is ABSENT]
    by_position = sum(kind <= POSITIONAL_OR_KEYWORD for kind in needed)
    if positional_count(choose) < 1 or by_position > 2 or KEYWORD_ONLY in needed:
        raise BuildError(
            f"Select() cannot call '{name_of(choose)}', which must take (state) or (state, targets) by position and "
            "need nothing else: change its parameters, or bind the others with functools.partial."
        )
    return positional_count(choose) > 1


def as_selector(given: object) -> Selector | None:
    """A selector made of what stands in a transition with several targets; None when it is none.

    That may be a selector, an object with a `select` method, or a `Condition` made from a function.
    """
    if isinstance(given, Selector):
        return given
    choose = getattr(given, "select", None)
    if callable(choose):
        return Select(choose, getattr(given, "reads", None), getattr(given, "fallback", None), type(given).__name__)
    return None


def target_name(answer: Any) -> str | None:
    """The name in an answer: of a text, an enum member, a target, an action, or an object with `.next_action`."""
    if isinstance(answer, Enum):
        answer = answer.value
    if isinstance(answer, str):
        return str(answer)
    if isinstance(answer, Decision):
        return answer.target
    if isinstance(answer, Mapping):
        return target_name(answer.get("next_action"))
    if hasattr(answer, "next_action"):
        return target_name(answer.next_action)
    name = getattr(answer, "name", None)
    return name if isinstance(name, str) else None


def abstained(answer: Answer) -> str:
    """That a selector abstained, and why if it said so."""
    return f"it abstained: {answer.reason}" if isinstance(answer, Abstention) else "it abstained"


def scoped(state: State[Any], selector: Selector) -> State[Any]:
    """The state as the selector may see it: all of it, or the keys it declared."""
    if selector.reads is None:
        return state
    return view(state, _scope(selector.name, tuple(selector.reads), frozenset(selector.optional_reads)))


@functools.lru_cache(maxsize=1_024)
def _scope(name: str, reads: tuple[str, ...], optional: frozenset[str]) -> Scope:
    return Scope(f"selector {name}", frozenset(reads) | optional)
