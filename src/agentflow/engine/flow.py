"""The story of a step, told once for both colours: what comes next is decided, performed, or opened as a stream.

Everything here awaits nothing but its runtime. What must not live here: when a run halts (`run.py`), how an action is
performed (`steps.py`), or how a run is remembered (`machine.py`).
"""

from __future__ import annotations

from agentflow.actions import AT_MOST_ONCE, Action, Contract
from agentflow.context import ApplicationContext
from agentflow.engine import steps
from agentflow.engine.machine import Machine, Status
from agentflow.engine.steps import Done, Inputs
from agentflow.engine.streams import StreamedStep
from agentflow.hooks import fire
from agentflow.runtime import CURRENT_STEP, Runtime
from agentflow.select.choice import Choice
from agentflow.select.selector import END, Decision, PendingChoice


async def next_contract(machine: Machine, runtime: Runtime) -> Contract | None:
    """What comes next. A choice that has not been made yet is made, once, and kept.

    None at the end, and while a person has to choose.
    """
    contracts = machine.graph.contracts
    asked: list[ApplicationContext] = []
    while (name := machine.pending) not in contracts:
        if name == END:
            machine.status = Status.finished
            return None
        source = machine.prior if name is None else name  # a pending name that is no action is a named choice
        choice = machine.graph.choices.get(source or "")
        if choice is None:
            machine.pending = END
        else:
            decision = choice.pick(machine.state) if choice.pure else await _chosen(machine, runtime, choice, asked)
            if decision is None:
                return None
            machine.settle_on(decision)
            if machine.journal is not None and not choice.pure:
                await machine.journal.noted(machine, runtime)
            if machine.identity.hooks.post_decide:
                await _tell_decision(machine, runtime, asked.pop() if asked else None)
    return contracts[name]  # type: ignore[index]  # None is never among them


def _known(machine: Machine) -> Contract | None:
    """What comes next, where that can be told without awaiting anybody; most choices are of that kind."""
    name = machine.pending
    if name is None:
        choice = machine.graph.choices.get(machine.prior)  # type: ignore[arg-type]  # None is no name
        if choice is None or not choice.pure or machine.identity.hooks.post_decide:
            return None
        decision = choice.pick(machine.state)
        machine.settle_on(decision)  # type: ignore[arg-type]  # a pure choice always picks
        name = machine.pending
    return machine.graph.contracts.get(name)  # type: ignore[arg-type]


async def peek(machine: Machine, runtime: Runtime) -> Action | None:
    """What comes next, for somebody who only asks."""
    if machine.pending not in machine.graph.contracts:
        machine.claim("get_next_action")
        try:
            await _look_ahead(machine, runtime)
        finally:
            machine.release()
    contract = machine.graph.contracts.get(machine.pending or "")
    return None if contract is None else contract.action


def asks_somebody(machine: Machine) -> bool:
    """Whether a choice that runs somebody's code, and so may cost something, comes before the next action."""
    choices, contracts = machine.graph.choices, machine.graph.contracts
    choice = None if machine.pending in contracts else choices.get(machine.pending or machine.prior or "")
    if choice is None or not choice.pure:
        return choice is not None
    return any(name in choices and name not in contracts for name in choice.names)  # a named choice may follow


async def step(machine: Machine, runtime: Runtime, inputs: Inputs) -> Done | None:
    """Perform the next action, or return None when there is none."""
    if not machine.lock.acquire(False):
        raise machine.busy("step")
    try:
        if machine.journal is not None:
            await machine.journal.open(machine, runtime)
        contract = _known(machine) or await next_contract(machine, runtime)
        return None if contract is None else await steps.perform(machine, runtime, contract, inputs)
    finally:
        machine.lock.release()


async def open_stream(
    machine: Machine, runtime: Runtime, inputs: Inputs, only: frozenset[str] | None = None
) -> StreamedStep | Done | None:
    """Open the stream of the next action; one that does not stream, or is not in `only`, is performed."""
    machine.claim("stream")
    try:
        if machine.journal is not None:
            await machine.journal.open(machine, runtime)
        contract = await next_contract(machine, runtime)
        streams = contract is not None and contract.action.streaming and (only is None or contract.name in only)
        streams = streams and contract.options.kind != AT_MOST_ONCE  # type: ignore[union-attr]  # there is one
        if contract is None or not streams:
            done = None if contract is None else await steps.perform(machine, runtime, contract, inputs)
            machine.release()
            return done
        opened = StreamedStep(machine, runtime, contract)
    except BaseException:
        machine.release()
        raise
    await opened.open(inputs)
    return opened


async def _look_ahead(machine: Machine, runtime: Runtime) -> None:
    """Make the choice that leads to what comes next; one that is paid for is saved, so it is owned meanwhile."""
    journal, choice = machine.journal, machine.graph.choices.get(machine.pending or machine.prior or "")
    if journal is None or choice is None or choice.pure:
        await next_contract(machine, runtime)
        return
    in_run = journal.held
    await journal.open(machine, runtime)
    try:
        await next_contract(machine, runtime)
    finally:
        if not in_run:
            await journal.close(machine, runtime, machine.standing)


async def _chosen(
    machine: Machine, runtime: Runtime, choice: Choice, asked: list[ApplicationContext]
) -> Decision | None:
    """The decision of a choice that runs somebody's code; None, and halted, while a person has not made it."""
    if machine.awaiting is None:
        made = await _ask(machine, runtime, choice, asked)
        if isinstance(made, Decision):
            return made
        machine.awaiting = made
        if machine.journal is not None:
            await machine.journal.noted(machine, runtime)
    if machine.picked is None:
        machine.status = Status.halted
        machine.halted_by = f"{machine.awaiting.asked_by}, leaving {machine.awaiting.source!r}"
    return machine.picked


async def _ask(
    machine: Machine, runtime: Runtime, choice: Choice, asked: list[ApplicationContext]
) -> Decision | PendingChoice:
    """Make a choice that runs somebody's code; what models it asks counts as its own usage."""
    context = ApplicationContext(machine.identity, machine.sequence_id + 1, None)
    asked.append(context)
    token = CURRENT_STEP.set(context)
    try:
        made = await choice.ask(runtime, machine.state)
        return choice.with_usage(made, context.usages) if isinstance(made, Decision) else made
    except BaseException as error:
        machine.fail(error)
        where = f"in application {context.app_id!r}"
        error.add_note(f"while choosing what follows '{choice.edges.source}' {where}")
        raise
    finally:
        CURRENT_STEP.reset(token)
        machine.count_usage(choice.edges.source, context.usages)


async def _tell_decision(machine: Machine, runtime: Runtime, context: ApplicationContext | None) -> None:
    await fire(
        runtime,
        machine.identity.hooks.post_decide,
        app_id=machine.identity.app_id,
        partition_key=machine.identity.partition_key,
        decision=machine.last_decision,
        state=machine.state,
        context=context,
    )
