"""Example: a situation with the right answer, to show to a model, to learn from, or to measure against.

What must not live here: what is done with them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from agentflow.errors import BuildError
from agentflow.select.selector import target_name


@dataclass(frozen=True, slots=True)
class Example:
    """A situation and what is right in it.

    Attributes:
        given: The situation: a text, or the values of a state.
        target: The name of the right target; None where it is right to abstain.
        reason: Why.
    """

    given: str | Mapping[str, Any]
    target: str | None
    reason: str = ""

    def values(self, key: str) -> Mapping[str, Any]:
        """The values of a state that is in this situation; a text is the value of `key`."""
        return {key: self.given} if isinstance(self.given, str) else self.given


#: An example, or (situation, target) or (situation, target, reason).
Labelled = Example | tuple[Any, ...]


def examples_of(given: Iterable[Labelled]) -> tuple[Example, ...]:
    """The examples, however each was written.

    Raises:
        BuildError: One is no example.
    """
    return tuple(map(_example, given))


def _example(given: Labelled) -> Example:
    if isinstance(given, Example):
        return given
    if isinstance(given, tuple | list) and 2 <= len(given) <= 3 and isinstance(given[0], str | Mapping):
        target = None if given[1] is None else target_name(given[1])
        if target is not None or given[1] is None:
            return Example(given[0], target, *given[2:])
    raise BuildError(f"{given!r:.200} is no example: write (text or state values, target's name).")
