"""One step: an action is performed and committed, or it fails and nothing moves.

What must not live here: which action comes next, or when a run halts (`flow.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agentflow.actions import AT_MOST_ONCE, PLAIN, Action, Contract
from agentflow.context import ApplicationContext
from agentflow.engine import once, rules
from agentflow.engine.guard import guarded
from agentflow.engine.machine import Machine
from agentflow.hooks import fire
from agentflow.runtime import ASYNC, CURRENT_STEP, Runtime, refuse_awaitable
from agentflow.state import State, settle, view

Inputs = Mapping[str, Any]
Done = tuple[Action, Any, State[Any]]

_enter, _leave = CURRENT_STEP.set, CURRENT_STEP.reset  # looked up once: each step calls both


async def perform(machine: Machine, runtime: Runtime, contract: Contract, inputs: Inputs) -> Done:
    """Perform one action and commit what it did; if it fails nothing moves."""
    context = ApplicationContext(machine.identity, machine.sequence_id + 1, contract.name)
    token = _enter(context)
    try:
        bound = {} if contract.takes_nothing else rules.bind(contract, inputs, context)
        if machine.identity.hooks.pre_run_step:
            await announce(machine, runtime, contract, context, bound)
        given = view(machine.state, contract.scope)
        if machine.journal is not None:
            await machine.journal.begin()
        if contract.direct is not None and contract.is_async is (runtime is ASYNC):
            returned = contract.direct(given, **bound)  # awaited here: one coroutine less for most steps
            if contract.is_async:
                returned = await returned
            result, returned = ({}, returned) if returned.__class__ is State else _outcome(contract, returned)
        elif contract.options is PLAIN:
            result, returned = await contract.action.perform(runtime, given, bound)
        elif contract.options.kind == AT_MOST_ONCE:
            result, returned = await once.performed(machine, runtime, contract, given, bound)
        else:
            result, returned = await guarded(contract, runtime, given, bound)
        next_state = settle(returned, given, machine.state)
        if machine.journal is None:  # as `commit` does, without another coroutine
            machine.commit(contract.name, next_state)
        else:
            await commit(machine, runtime, contract, context, next_state)
    except BaseException as error:
        failure = _stopped(contract, error) if isinstance(error, StopIteration) else error
        await fail(machine, runtime, contract, context, failure)
        if failure is not error:
            raise failure from error
        raise
    finally:
        _leave(token)
    if context._used:  # the property would be one call more for each step
        machine.count_usage(contract.name, context.usages)
    if machine.identity.hooks.post_run_step:
        await report(machine, runtime, contract, context, result, None)
    return contract.action, result, machine.state


def _stopped(contract: Contract, error: StopIteration) -> RuntimeError:
    """What to raise instead of an error that would end the coroutine it is raised in."""
    return RuntimeError(f"{contract.scope.owner} raised {error!r}: give next() a default, or catch it.")


def _outcome(contract: Contract, returned: Any) -> tuple[Any, State[Any]]:
    """The result and the state in what the function of an action returned, which is not a state alone."""
    if contract.direct is not None and not contract.is_async and hasattr(returned, "__await__"):
        refuse_awaitable(contract.direct, returned)
    return contract.action.outcome_of(returned)


async def commit(
    machine: Machine, runtime: Runtime, contract: Contract, context: ApplicationContext, state: State[Any]
) -> None:
    """Move the machine on by one step; a saved one first in the store."""
    if machine.journal is None:
        machine.commit(contract.name, state)
    else:
        await machine.journal.commit(machine, runtime, contract.name, state, context.usages)


async def announce(
    machine: Machine, runtime: Runtime, contract: Contract, context: ApplicationContext, bound: Mapping[str, Any]
) -> None:
    """Tell the hooks that an action is about to be performed."""
    known = contract.parameters.names
    await fire(
        runtime,
        machine.identity.hooks.pre_run_step,
        app_id=context.app_id,
        partition_key=context.partition_key,
        sequence_id=context.sequence_id,
        state=machine.state,
        action=contract.action,
        inputs={name: value for name, value in bound.items() if name in known},
        context=context,
    )


async def report(
    machine: Machine,
    runtime: Runtime,
    contract: Contract,
    context: ApplicationContext,
    result: Any,
    error: BaseException | None,
) -> None:
    """Tell the hooks how an action ended."""
    await fire(
        runtime,
        machine.identity.hooks.post_run_step,
        app_id=context.app_id,
        partition_key=context.partition_key,
        sequence_id=context.sequence_id,
        state=machine.state,
        action=contract.action,
        result=result,
        exception=error,
        context=context,
    )


async def fail(
    machine: Machine, runtime: Runtime, contract: Contract, context: ApplicationContext, error: BaseException
) -> None:
    """Record that an action failed or was cancelled; the application is where it was."""
    machine.count_usage(contract.name, context.usages)
    if machine.sequence_id < (context.sequence_id or 0):  # else it was interrupted after it was committed
        machine.fail(error)
        if machine.journal is not None:
            await machine.journal.failed(machine, runtime, machine.standing, error)
    say_where(error, contract, context)
    if machine.identity.hooks.post_run_step:
        await report(machine, runtime, contract, context, None, error)


def say_where(error: BaseException, contract: Contract, context: ApplicationContext) -> None:
    """Add to an error in which step of which application it was raised."""
    if not isinstance(error, GeneratorExit):
        where = f"(step {context.sequence_id} of application {context.app_id!r})"
        error.add_note(f"while running '{contract.name}' {where}")
