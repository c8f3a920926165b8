"""Whether a retried step asks for the same action again, though it was made anew at each try.

What must not live here: what is done about it (`child.py`).
"""

from __future__ import annotations

import functools
from types import CellType, FunctionType
from typing import Any

from agentflow.actions import Action
from agentflow.conditions import Condition
from agentflow.graph import Graph
from agentflow.parallel.tasks import RunnableGraph, SubGraphTask

#: What an action has besides what it computes with.
_BESIDES = ("_contract", "options", "tags")


def asks_the_same(one: SubGraphTask, other: SubGraphTask) -> bool:
    """Whether a task asks for what another of the same key has asked for."""
    return one.inputs == other.inputs and one.state == other.state and is_same(one.graph, other.graph)


def is_same(one: Any, other: Any) -> bool:
    """Whether two actions, or graphs of them, compute the same from the same state and inputs.

    That is one function, or one `def` that was executed twice, with equal defaults and equal values bound or enclosed;
    or two instances of one class that hold equal values. When in doubt, it is not.
    """
    try:
        return _same(one, other)
    except Exception:  # such as values that cannot be compared, or hold each other
        return False


def _same(one: Any, other: Any) -> bool:
    if one is other:
        return True
    if one.__class__ is not other.__class__:
        return False
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_same(value, other[key]) for key, value in one.items())
    parts = _parts(one)
    return bool(one == other) if parts is None else _same(parts, _parts(other))


def _parts(of: Any) -> Any:
    """What makes it out; None of a value that is compared as it is."""
    if isinstance(of, FunctionType):
        return of.__code__, of.__defaults__, of.__kwdefaults__, of.__closure__
    if isinstance(of, CellType):
        return (of.cell_contents,)
    if isinstance(of, functools.partial):
        return of.func, of.args, of.keywords
    if isinstance(of, RunnableGraph):
        return of.graph, of.entrypoint, of.halt_after
    if isinstance(of, Graph):
        return of.actions, [(leads.source, leads.targets, leads.selector) for leads in of.transitions]
    if isinstance(of, Condition):
        return of.recipe or (of.resolver, of.reads)
    if isinstance(of, Action):
        return {name: value for name, value in vars(of).items() if name not in _BESIDES and not name.startswith("__")}
    return None
