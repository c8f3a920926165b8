"""Closures that read the state, and the shapes of condition that are read most.

A run evaluates a condition per transition, so `key == literal` and `key < literal` get closures of their own that use
the operator itself when the value has the expected type. What must not live here: syntax.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

from agentflow.errors import AgentflowError, MissingKeyError
from agentflow.expressions.operations import Comparison, Labels
from agentflow.expressions.plain import EXACT, NUMBERS, admit, identity

#: What an expression is made of: from the state and the meter of this evaluation to a value.
Run = Callable[[Mapping[str, Any], Any], Any]


def key(name: str, source: str) -> Run:
    """The value of a state key, which must be plain on the outside."""

    def read(state: Mapping[str, Any], meter: Any) -> Any:
        try:
            value = state[name]
        except KeyError as error:
            raise _missing(name, source, error) from None
        return value if identity(type(value)) in EXACT else admit(value, meter, name)

    return read


def anything(name: str, source: str) -> Run:
    """The value of a state key, whatever it is: only for a test of identity."""

    def read(state: Mapping[str, Any], meter: Any) -> Any:
        try:
            return state[name]
        except KeyError as error:
            raise _missing(name, source, error) from None

    return read


def against(
    name: str, source: str, direct: Callable[[Any, Any], Any], literal: Any, compare: Comparison, labels: Labels
) -> Run:
    """A state key compared with a literal; `compare` is the general way, `direct` the operator itself."""
    expected = type(literal)
    other = float if expected is int else int if expected is float else expected
    general = key(name, source)

    def read(state: Mapping[str, Any], meter: Any) -> Any:
        try:
            value = state[name]
        except KeyError as error:
            raise _missing(name, source, error) from None
        found = type(value)
        if found is expected or found is other:
            return direct(value, literal)
        return compare(value if identity(found) in EXACT else admit(value, meter, name), literal, meter, labels)

    def equals(state: Mapping[str, Any], meter: Any) -> Any:
        try:
            value = state[name]
        except KeyError as error:
            raise _missing(name, source, error) from None
        if type(value) is expected:
            return value == literal
        return compare(value if identity(type(value)) in EXACT else admit(value, meter, name), literal, meter, labels)

    def compared(state: Mapping[str, Any], meter: Any) -> Any:
        return compare(general(state, meter), literal, meter, labels)

    if direct is operator.eq:
        return equals
    return read if expected is str or identity(expected) in NUMBERS else compared


def _missing(key: str, source: str, error: KeyError) -> AgentflowError:
    """What a failed read means: the state's own errors say more than "missing", unless that is what they say."""
    if isinstance(error, AgentflowError) and not isinstance(error, MissingKeyError):
        return error
    return MissingKeyError(
        f"expression {source!r} reads the state key {key!r}, which has no value. Give it one in the first state or"
        " write it in an earlier action."
    )
