"""Input and Result: actions without code of their own, for the two ends of a graph.

What must not live here: actions that compute something.
"""

from __future__ import annotations

from typing import Any

from agentflow.actions.base import Action
from agentflow.errors import BuildError
from agentflow.state import State


class Input(Action):
    """Writes its inputs into the state, each under its own name; all of them are required.

    Args:
        fields: The inputs, and the state keys they are written to.

    Raises:
        BuildError: No field is given.

    Example:
        >>> builder.with_actions(ask=Input("question"))
    """

    def __init__(self, *fields: str) -> None:
        self.writes: Any = _fields("Input", fields)

    @property
    def inputs(self) -> Any:
        """The fields: every one is required."""
        return list(self.writes)

    @property
    def description(self) -> str:
        """What a decider is told about it."""
        return f"Take {', '.join(self.writes)} as input."

    def run(self, state: State[Any], /, **inputs: Any) -> dict[str, Any]:
        return inputs

    def update(self, result: dict[str, Any], state: State[Any], /) -> State[Any]:
        return state.update(**result)


class Result(Action):
    """Gives the values of some state keys as its result, and changes nothing: what a run ends with.

    Args:
        fields: The state keys.

    Raises:
        BuildError: No field is given.

    Example:
        >>> builder.with_actions(result=Result("answer"))
    """

    def __init__(self, *fields: str) -> None:
        self.reads: Any = _fields("Result", fields)

    @property
    def description(self) -> str:
        """What a decider is told about it."""
        return f"Give {', '.join(self.reads)} as the result."

    def run(self, state: State[Any], /, **inputs: Any) -> dict[str, Any]:
        return {key: state[key] for key in self.reads}

    def update(self, result: dict[str, Any], state: State[Any], /) -> State[Any]:
        return state


def _fields(kind: str, fields: tuple[str, ...]) -> list[str]:
    if not fields or not all(isinstance(field, str) for field in fields):
        raise BuildError(f"{kind}{fields!r} needs the names of state keys: write {kind}('key', ...).")
    return list(fields)
