"""Actions that may run at most once: the intent is saved before one begins, and none is begun again blindly.

What must not live here: how the intent is saved (the journal).
"""

from __future__ import annotations

from typing import Any

from agentflow.actions import Contract
from agentflow.engine.guard import Outcome, guarded
from agentflow.engine.machine import Machine
from agentflow.errors import UncertainStep
from agentflow.runtime import Runtime, current_step
from agentflow.signatures import parameters_of
from agentflow.state import State


async def performed(
    machine: Machine, runtime: Runtime, contract: Contract, state: State[Any], inputs: dict[str, Any]
) -> Outcome:
    """Perform the action, unless it was begun before: then its `verify` says what became of that.

    Raises:
        UncertainStep: It was begun before, and nobody can say whether it had its effect.
    """
    if machine.intent == contract.name:
        found = await _verified(machine, runtime, contract, state, inputs)
        if found is not None:
            return found
    machine.intent = contract.name
    if machine.journal is not None:
        await machine.journal.noted(machine, runtime, "intent")
    return await guarded(contract, runtime, state, inputs)


async def _verified(
    machine: Machine, runtime: Runtime, contract: Contract, state: State[Any], inputs: dict[str, Any]
) -> Outcome | None:
    verify = contract.options.verify
    if verify is None:
        number = machine.sequence_id + 1
        raise UncertainStep(
            f"'{contract.name}' may run at most once, and step {number} of application "
            f"{machine.identity.app_id!r} was begun before without being committed: it may have had its effect, or "
            "not. Find out, then call resolve(state) with what it did, or resolve() to run it again; or give verify=.",
            contract.name,
            number,
        )
    parameters = parameters_of(verify, 1)
    # What the action would be called with.
    offered = {**contract.parameters.defaults, **inputs, **contract.action.own_inputs(state)}
    known = {name: offered[name] for name in parameters.names if name in offered}
    if parameters.context is not None:
        known[parameters.context] = current_step()
    found = await runtime.call(verify, state, **known)
    if found is None:
        return None
    result, state = found if isinstance(found, tuple) and len(found) == 2 else ({}, found)
    return result, contract.action.checked_state(state)
