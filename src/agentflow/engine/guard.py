"""Performing an action under its options: more attempts, a time limit, a thread of its own.

What must not live here: anything about an action without options.
"""

from __future__ import annotations

from typing import Any

from agentflow.actions import Contract
from agentflow.errors import ActionTimeoutError
from agentflow.runtime import BLOCKING, Runtime, offloading
from agentflow.state import State

Outcome = tuple[Any, State[Any]]


async def guarded(contract: Contract, runtime: Runtime, state: State[Any], inputs: dict[str, Any]) -> Outcome:
    """Perform an action as its options say."""
    options, action = contract.options, contract.action
    in_thread = options.blocking or (options.timeout is not None and not contract.is_async)
    caller = offloading(runtime) if in_thread and runtime is not BLOCKING else runtime

    async def attempt() -> Outcome:
        flow = action.perform(caller, state, inputs)
        if options.timeout is None:
            return await flow
        try:
            return await runtime.within(options.timeout, flow)
        except ActionTimeoutError as error:
            said = (
                f"{error}" if contract.is_async else f"{error}".replace("it was cancelled", "its thread is abandoned")
            )
            raise ActionTimeoutError(
                f"{contract.scope.owner} gave {said} Raise its timeout or make it faster."
            ) from None

    if options.retry is None:
        return await attempt()
    from agentflow.retrying import attempts  # most actions are tried once

    return await attempts(runtime, options.retry, attempt, contract.name)
