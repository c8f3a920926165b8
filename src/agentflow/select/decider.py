"""Decider: a selector that works something out, in either colour, and can be asked without an application.

What must not live here: any particular way of deciding.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from agentflow.errors import BuildError, UnknownTargetError, did_you_mean
from agentflow.runtime import ASYNC, BLOCKING, run_blocking
from agentflow.select.selector import Abstention, Answer, Selector, Target, scoped, target_name
from agentflow.state import State


class Decider(Selector):
    """A selector whose subclasses define `async def decide(self, runtime, state, targets)`, once for both colours.

    Example:
        >>> from agentflow.select import RuleDecider, Target
        >>> rules = RuleDecider({"draw": ["picture"], "write": ["poem"]})
        >>> rules.select({"query": "a picture, please"}, [Target("draw"), Target("write")]).target
        'draw'
    """

    _name: str | None = None

    @property
    def name(self) -> str:
        """How decisions and drawings show it."""
        return self._name or type(self).__name__

    def select(self, state: State[Any] | Mapping[str, Any], targets: Sequence[Target]) -> Answer:
        """Decide here and now, without an application: a `Decision`, or None when it abstains."""
        return _or_none(run_blocking(self.decide(BLOCKING, scoped(_as_state(state), self), targets)))

    async def aselect(self, state: State[Any] | Mapping[str, Any], targets: Sequence[Target]) -> Answer:
        """The async twin of `select`."""
        return _or_none(await self.decide(ASYNC, scoped(_as_state(state), self), targets))


def fallback_name(given: object) -> str | None:
    """The name of a fallback that was given as a name or as an action."""
    return None if given is None else target_name(given)


def undeclared(owner: str, what: str, named: Iterable[str], targets: Sequence[Target]) -> list[BuildError]:
    """The problems of a decider that was told something about names that are no targets of the choice."""
    known = [target.name for target in targets]
    return [
        UnknownTargetError(
            f"{owner} has {what} for {name!r}, which is no target of it: rename it. {did_you_mean(name, known)}"
        )
        for name in sorted(set(named) - set(known))
    ]


def _or_none(answer: Answer) -> Answer:
    return None if isinstance(answer, Abstention) else answer


def _as_state(given: State[Any] | Mapping[str, Any]) -> State[Any]:
    return given if isinstance(given, State) else State(given)
