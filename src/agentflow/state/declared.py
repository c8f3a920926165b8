"""What is declared about a state: who may read and write which keys, and what types their values have.

What must not live here: the values.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from agentflow.errors import UndeclaredKeyError, did_you_mean
from agentflow.facts import Fact


class TypingSystem(Protocol):
    """How plain values become typed ones; `agentflow.integrations.pydantic` has the one for pydantic models."""

    @property
    def state_type(self) -> type:
        """The type of `State.data`."""

    @property
    def required_keys(self) -> frozenset[str]:
        """Every key that `data` cannot be made without."""

    def defaults(self) -> Mapping[str, Any]:
        """The first values of the keys that have one."""

    def validate(self, updates: Mapping[str, Any]) -> Mapping[str, Any]:
        """The updates as the declared types want them, or `InvalidValueError` naming the key."""

    def construct_data(self, values: Mapping[str, Any]) -> Any:
        """The typed object over the whole state."""

    def construct_state(self, data: Any) -> Mapping[str, Any]:
        """The plain values of a typed object."""


class InheritedTyping:
    """A parent's typing for its children: its own keys are validated as ever, others are free."""

    def __init__(self, parent: TypingSystem) -> None:
        self._parent = parent
        self.state_type: type = parent.state_type
        self.required_keys: frozenset[str] = parent.required_keys

    def defaults(self) -> Mapping[str, Any]:
        return {}

    def validate(self, updates: Mapping[str, Any]) -> Mapping[str, Any]:
        known = self.required_keys | self._parent.defaults().keys()
        return {**updates, **self._parent.validate({key: value for key, value in updates.items() if key in known})}

    def construct_data(self, values: Mapping[str, Any]) -> Any:
        return self._parent.construct_data(values)

    def construct_state(self, data: Any) -> Mapping[str, Any]:
        return self._parent.construct_state(data)


class Scope(Fact):
    """What one reader of the state declared: `owner` is how a message names it, such as "action 'draft'".

    One that `writes_anything` makes the first states of children; `hidden` are the keys of the state they are made of
    that it may not read, None where nobody has worked them out.
    """

    owner: str
    reads: frozenset[str]
    writes: frozenset[str] = frozenset()
    writes_anything: bool = False
    hidden: frozenset[str] | None = None


def undeclared(scope: Scope, verb: str, key: str) -> UndeclaredKeyError:
    """The error of a key that is read or written (`verb`) against the scope."""
    declared = scope.reads if verb == "reads" else scope.writes
    near = did_you_mean(key, declared) if declared else ""
    hint = f" {near}" if near.startswith("Did") else ""
    return UndeclaredKeyError(f"{scope.owner} {verb} {key!r} without declaring it: add {key!r} to its {verb}.{hint}")
