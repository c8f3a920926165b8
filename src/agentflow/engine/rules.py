"""Pure decisions of the engine: which inputs an action gets, and where a run halts.

What must not live here: anything that awaits, or that moves a machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from agentflow.actions import Contract
from agentflow.conditions import Condition
from agentflow.context import ApplicationContext
from agentflow.errors import BuildError, InputError, UnknownNameError, did_you_mean
from agentflow.facts import Fact
from agentflow.graph import Graph
from agentflow.signatures import names
from agentflow.state import State

Names = str | Iterable[str] | None


def bind(contract: Contract, inputs: Mapping[str, Any], context: ApplicationContext) -> dict[str, Any]:
    """What the action is called with: its inputs of those offered, and what the engine fills in.

    Raises:
        InputError: A required input was not offered.
    """
    parameters = contract.parameters
    missing = [name for name in parameters.required if name not in inputs]
    if missing:
        wanted = ", ".join(map(repr, missing))
        example = ", ".join(f"{name!r}: ..." for name in missing)
        raise InputError(f"{contract.scope.owner} needs the input {wanted}: pass inputs={{{example}}}.")
    bound = {name: inputs[name] for name in parameters.required}
    bound.update((name, inputs[name]) for name in parameters.optional if name in inputs)
    if parameters.context is not None:
        bound[parameters.context] = context
    if parameters.tracer is not None:
        from agentflow.tracing import TracerFactory  # for those who trace

        bound[parameters.tracer] = TracerFactory(context)
    return bound


def checked_inputs(graph: Graph, inputs: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """The inputs offered to a run.

    Raises:
        InputError: A name is reserved, or no action of the graph takes an input of that name.
    """
    if not inputs:
        return {}
    for name in inputs:
        if name.startswith("__"):
            raise InputError(f"the input {name!r} is reserved: names that start with '__' are filled in by the engine.")
        if name not in graph.input_names:
            raise InputError(f"no action takes an input {name!r}: remove it. {did_you_mean(name, graph.input_names)}")
    return inputs


class Halts(Fact):
    """Where a run halts, with tags resolved to names."""

    before: frozenset[str] = frozenset()
    after: frozenset[str] = frozenset()
    when: Condition | Callable[[State[Any]], Any] | None = None


#: A run that halts nowhere on request.
NO_HALTS = Halts()


def halts(
    graph: Graph,
    before: Names = None,
    after: Names = None,
    when: Condition | Callable[[State[Any]], Any] | None = None,
) -> Halts:
    """Where a run halts; a bare string is one name, and "@tag:x" stands for every action tagged x.

    Raises:
        UnknownNameError: There is no action of that name, or none with that tag.
        BuildError: `when` is neither a condition nor a function.
    """
    if not before and not after and when is None:
        return NO_HALTS
    if when is not None and not isinstance(when, Condition) and not callable(when):
        raise BuildError(f"halt_when={when!r} is no condition: pass when(...), expr(...) or a function of the state.")
    return Halts(_resolved(graph, before), _resolved(graph, after), when)


def _resolved(graph: Graph, given: Names) -> frozenset[str]:
    found: set[str] = set()
    for name in names(given or ()):
        if name.startswith("@tag:"):
            found.update(action.name for action in graph.get_actions_by_tag(name.removeprefix("@tag:")))
        elif graph.has_action(name):
            found.add(name)
        else:
            known = [action.name for action in graph.actions]
            raise UnknownNameError(f"cannot halt at {name!r}: no action has that name. {did_you_mean(name, known)}")
    return frozenset(found)
