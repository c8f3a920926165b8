"""What changes an application from outside, and how it is saved around that; without a journal it only changes.

What must not live here: the commit protocol itself (the journal, in `persistence`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from agentflow.engine.machine import READY, Machine
from agentflow.errors import AgentflowError, BuildError, RunError
from agentflow.hooks import fire
from agentflow.runtime import Runtime
from agentflow.state import State, settle_told

#: The changes that hooks are told of.
TOLD = frozenset({"update_state", "reset_to_entrypoint"})


async def change(machine: Machine, runtime: Runtime, method: str, alter: Callable[[Machine], None]) -> None:
    """Change an application between its steps, save that, and tell the hooks.

    Raises:
        BusyError: A step is being performed, or a stream is open.
        ConflictError: Somebody else has moved the application on.
    """
    machine.claim(method)
    try:
        journal = machine.journal
        if journal is None:
            alter(machine)
        else:
            await _changed(machine, runtime, alter)
        hooks = machine.identity.hooks
        if hooks.post_update_state and method in TOLD:
            facts = {"app_id": machine.identity.app_id, "partition_key": machine.identity.partition_key}
            await fire(runtime, hooks.post_update_state, method=method, state=machine.state, **facts)
    finally:
        machine.release()


async def _changed(machine: Machine, runtime: Runtime, alter: Callable[[Machine], None]) -> None:
    journal = machine.journal
    in_run = journal.held
    await journal.open(machine, runtime)
    try:
        alter(machine)
        await journal.changed(machine, runtime)
    finally:
        if not in_run:
            await journal.close(machine, runtime, machine.standing)


async def save(machine: Machine, runtime: Runtime) -> None:
    """Put an application in the store as it is now, without performing anything.

    Raises:
        BuildError: It was built without a persister.
    """
    if machine.journal is None:
        raise BuildError("this application has no persister: build it with .with_state_persister(...).")
    await change(machine, runtime, "save", lambda _: None)


async def refresh(machine: Machine, runtime: Runtime) -> None:
    """Take the newest state from the store.

    Raises:
        BuildError: It was built without a persister.
    """
    if machine.journal is None:
        raise BuildError("this application has no persister: build it with .with_state_persister(...).")
    machine.claim("refresh")
    try:
        await machine.journal.reload(machine, runtime)
    finally:
        machine.release()


async def let_go(machine: Machine, runtime: Runtime, error: BaseException | None) -> None:
    """Let others run an application whose run has ended, with `error` if it did so badly."""
    try:
        await machine.journal.close(machine, runtime, machine.standing)
    except AgentflowError as problem:
        if error is None:
            raise
        error.add_note(f"and its end could not be saved: {problem}")


async def resolve(machine: Machine, runtime: Runtime, state: State[Any] | None) -> None:
    """Say what became of a step that may run once only: the state it led to, or None when it had no effect.

    Raises:
        RunError: No step is uncertain.
        UndeclaredKeyError: The state has changes that the action does not declare.
        ResultError: It lacks one that the action declares, or is no state.
    """
    machine.claim("resolve")
    try:
        if machine.journal is None:
            await _resolved(machine, runtime, state)
            return
        in_run = machine.journal.held
        await machine.journal.open(machine, runtime)
        try:
            await _resolved(machine, runtime, state)
        finally:
            if not in_run:
                await machine.journal.close(machine, runtime, machine.standing)
    finally:
        machine.release()


async def _resolved(machine: Machine, runtime: Runtime, state: State[Any] | None) -> None:
    name, journal = machine.intent, machine.journal
    if name is None:
        raise RunError("no step of this application is uncertain: there is nothing to resolve.")
    if state is None:
        machine.intent, machine.failure, machine.status = None, None, READY
        if journal is not None:
            await journal.noted(machine, runtime)
        return
    contract = machine.graph.contracts[name]
    settled = settle_told(contract.action.checked_state(state), contract.scope, machine.state)
    if journal is not None:
        await journal.commit(machine, runtime, name, settled)
    else:
        machine.commit(name, settled)
