"""Pure decisions of the engine: which inputs an action gets, and where a run halts.

What must not live here: anything that awaits, or that moves a machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from agentflow.actions import Action, Contract
from agentflow.budget import Budget, Meter
from agentflow.conditions import Condition
from agentflow.context import ApplicationContext
from agentflow.errors import BuildError, InputError, UnknownNameError, did_you_mean
from agentflow.facts import Fact
from agentflow.graph import Graph
from agentflow.runtime import name_of
from agentflow.signatures import is_async
from agentflow.state import State

#: Where to halt: names of actions, `"@tag:x"`, or the actions themselves; one, or several.
Names = str | Action | Iterable[str | Action] | None


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
        InputError: They are no mapping, a name is reserved, or no action of the graph takes an input of that name.
    """
    if not inputs:
        return {}
    known = graph.input_names
    if inputs.__class__ is dict or isinstance(inputs, Mapping):
        for name in inputs:
            if name not in known or name.startswith("__"):
                raise _wrong_input(inputs, name, known)
        return inputs
    raise _wrong_input(inputs, None, known)


def _wrong_input(inputs: object, name: object, known: Iterable[str]) -> InputError:
    if not isinstance(name, str):
        return InputError(f"inputs={inputs!r:.80} is no mapping of names: pass inputs={{name: value}}.")
    if name.startswith("__"):
        return InputError(f"the input {name!r} is reserved: names that start with '__' are filled in by the engine.")
    return InputError(f"no action takes an input {name!r}: remove it. {did_you_mean(name, known)}")


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
        BuildError: `when` is neither a condition nor a plain function.
    """
    if not before and not after and when is None:
        return NO_HALTS
    if when is not None and not isinstance(when, Condition) and not callable(when):
        raise BuildError(f"halt_when={when!r} is no condition: pass when(...), expr(...) or a function of the state.")
    if when is not None and not isinstance(when, Condition) and is_async(when):
        raise BuildError(
            f"halt_when='{name_of(when)}' is async, and a condition is not awaited: make it a plain def, and await in "
            "an action that writes what it looks at."
        )
    return Halts(_resolved(graph, before), _resolved(graph, after), when)


def metered(budget: Budget | None, max_steps: int | None) -> Meter | None:
    """What counts against the budget of a run, None when it has none.

    Raises:
        BuildError: `budget` is no budget, or `max_steps` is no number of steps.
    """
    if max_steps is not None and (not isinstance(max_steps, int) or max_steps < 1):
        raise BuildError(f"max_steps={max_steps!r} allows no step: give a whole number from 1, or None for no limit.")
    if budget is None:
        return None
    if not isinstance(budget, Budget):
        raise BuildError(f"budget={budget!r:.80} is no budget: pass one, such as budget=Budget(usd=0.05).")
    return Meter(budget)


def _resolved(graph: Graph, given: Names) -> frozenset[str]:
    found: set[str] = set()
    several: Any = given or ()
    for each in several if isinstance(several, Iterable) and not isinstance(several, str) else (several,):
        name = each if isinstance(each, str) else getattr(each, "name", None)
        if not isinstance(name, str):
            raise UnknownNameError(f"cannot halt at {each!r}, which is no action: pass its name, or the action itself.")
        if name.startswith("@tag:"):
            found.update(action.name for action in graph.get_actions_by_tag(name.removeprefix("@tag:")))
        elif graph.has_action(name):
            found.add(name)
        else:
            known = [action.name for action in graph.actions]
            raise UnknownNameError(f"cannot halt at {name!r}: no action has that name. {did_you_mean(name, known)}")
    return frozenset(found)
