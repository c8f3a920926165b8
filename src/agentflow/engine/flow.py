"""The story of a run, told once for both colours: decide, step, go on until halted, stream.

Everything here awaits nothing but its runtime. What must not live here: what is allowed (`rules.py`), how one step is
performed (`steps.py`), or how a run is remembered (`machine.py`).
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from agentflow.actions import Action, Contract
from agentflow.budget import CURRENT_METER, Meter
from agentflow.conditions import holds
from agentflow.context import ApplicationContext
from agentflow.engine import rules, steps
from agentflow.engine.machine import Machine, Status
from agentflow.engine.steps import Done, Inputs
from agentflow.engine.streams import StreamedStep
from agentflow.errors import BudgetError, StepLimitError, UnusedInputWarning
from agentflow.hooks import ExecuteMethod, fire
from agentflow.runtime import CURRENT_STEP, Runtime
from agentflow.select.choice import Choice
from agentflow.select.selector import END, Decision, PendingChoice
from agentflow.state import State

Performed = TypeVar("Performed")
Ended = tuple[Action | None, Any, State[Any]]


async def next_contract(machine: Machine, runtime: Runtime) -> Contract | None:
    """What comes next. A choice that has not been made yet is made, once, and kept.

    None at the end, and while a person has to choose.
    """
    contracts = machine.graph.contracts
    while (name := machine.pending) not in contracts:
        if name == END:
            machine.status = Status.finished
            return None
        source = machine.prior if name is None else name  # a pending name that is no action is a named choice
        choice = machine.graph.choices.get(source or "")
        if choice is None:
            machine.pending = END
        else:
            decision = choice.pick(machine.state) if choice.pure else await _chosen(machine, runtime, choice)
            if decision is None:
                return None
            machine.settle_on(decision)
            if machine.identity.hooks.post_decide:
                await _tell_decision(machine, runtime)
    return contracts[name]


async def peek(machine: Machine, runtime: Runtime) -> Action | None:
    """What comes next, for somebody who only asks."""
    if machine.pending not in machine.graph.contracts:
        machine.claim("get_next_action")
        try:
            await next_contract(machine, runtime)
        finally:
            machine.release()
    contract = machine.graph.contracts.get(machine.pending or "")
    return None if contract is None else contract.action


async def step(machine: Machine, runtime: Runtime, inputs: Inputs) -> Done | None:
    """Perform the next action, or return None when there is none."""
    machine.claim("step")
    try:
        contract = await next_contract(machine, runtime)
        return None if contract is None else await steps.perform(machine, runtime, contract, inputs)
    finally:
        machine.release()


async def open_stream(
    machine: Machine, runtime: Runtime, inputs: Inputs, only: frozenset[str] | None = None
) -> StreamedStep | Done | None:
    """Open the stream of the next action; one that does not stream, or is not in `only`, is performed."""
    machine.claim("stream")
    try:
        contract = await next_contract(machine, runtime)
        streams = contract is not None and contract.action.streaming and (only is None or contract.name in only)
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


class Run:
    """Steps until a halt: `advance` performs one more, `outcome` says how it ended.

    It halts after an action before it looks at what comes next, so a run that halts there pays for no choice and its
    last result is never lost. At least one step is performed before a halt is looked at.
    """

    def __init__(
        self,
        machine: Machine,
        runtime: Runtime,
        method: ExecuteMethod,
        halts: rules.Halts,
        inputs: Inputs,
        max_steps: int | None,
        check: Callable[[], None] | None = None,
        meter: Meter | None = None,
    ) -> None:
        self.machine = machine
        self.runtime = runtime
        self.method = method
        self.halts = halts
        self.inputs = inputs
        self.max_steps = max_steps
        self.taken = 0
        self.unused = set(inputs)
        self.last: Done | None = None
        self.outcome: Ended | None = None
        self._told = False
        self._check = check  # raises when the run must not go on
        self.meter = meter
        self._checked = any((halts is not rules.NO_HALTS, max_steps is not None, check, meter))

    async def advance(self, perform: Callable[[Machine, Runtime, Inputs], Awaitable[Any]] = step) -> Any:
        """Perform one more step: what `perform` gave, or None when the run is over.

        Raises:
            StepLimitError: `max_steps` steps were performed and the run is not over.
        """
        try:
            if self.last is None:
                await self._begin()
            if self.outcome is not None or (self._checked and await self._halted()):
                return await self.close()
            done = (
                await self._metered(perform) if self.meter else await perform(self.machine, self.runtime, self.inputs)
            )
        except BudgetError as error:
            if self.meter is None:
                await self.close(error)
                raise
            self._end(self.last or (None, None, self.machine.state), str(self.meter.breach()))
            return await self.close()
        except BaseException as error:
            await self.close(error)
            raise
        if done is None:
            action, result = self.last[:2] if self.last else (None, None)
            self.outcome = action, result, self.machine.state
            return await self.close()
        if done.__class__ is tuple:
            self._note(done)
        return done

    async def advance_stream(self, only: frozenset[str] | None = None) -> StreamedStep | Done | None:
        """The same, with the step's stream left open for the caller to read.

        Args:
            only: The actions to stream, after which the run ends; others are performed. None streams every action.
        """
        opened: StreamedStep | Done | None = await self.advance(functools.partial(open_stream, only=only))
        if isinstance(opened, StreamedStep):
            opened.on_end = self._stream_ended if only is None else self._last_stream_ended
        return opened

    async def _halted(self) -> bool:
        last, halts, machine = self.last, self.halts, self.machine
        if last is not None:
            if machine.prior in halts.after:
                return self._end(last, f"halt_after {machine.prior!r}")
            if halts.when is not None and holds(halts.when, machine.state):
                return self._end(last, f"halt_when, after {machine.prior!r}")
            if halts.before:
                coming = await peek(machine, self.runtime)
                if coming is not None and coming.name in halts.before:
                    return self._end((coming, None, machine.state), f"halt_before {coming.name!r}")
        if self._check is not None:
            self._check()
        breach = self.meter.breach() if self.meter is not None else None
        if breach is not None:
            return self._end(last or (None, None, machine.state), breach)
        if self.max_steps is not None and self.taken >= self.max_steps:
            raise StepLimitError(
                f"{self.taken} steps were performed (max_steps) and the run is not over; it stands after "
                f"'{machine.prior}'. Run again to go on, or raise max_steps."
            )
        return False

    def _note(self, done: Done) -> None:
        self.last = done
        self.taken += 1
        if self.unused:
            self.unused -= done[0].contract.parameters.names

    async def _stream_ended(self, done: Done | None, error: BaseException | None) -> None:
        if done is None:
            await self.close(error)
        else:
            self._note(done)

    async def _last_stream_ended(self, done: Done | None, error: BaseException | None) -> None:
        if done is not None:
            self._note(done)
            self._end(done, f"halt_after {done[0].name!r}")
        await self.close(error)

    async def close(self, error: BaseException | None = None) -> None:
        """End the run, once: tell the hooks, and warn of inputs that nobody took."""
        if not self._told:
            return
        self._told = False
        hooks = self.machine.identity.hooks.post_run_execute_call
        if hooks:
            facts = {"method": self.method, "exception": error, "state": self.machine.state}
            await fire(self.runtime, hooks, **facts, **self._whose())
        if self.unused and error is None:
            named = ", ".join(map(repr, sorted(self.unused)))
            warnings.warn(f"no action that ran takes the input {named}.", UnusedInputWarning, stacklevel=4)

    def result(self) -> Ended:
        """How the run ended."""
        return self.outcome or (None, None, self.machine.state)

    async def _metered(self, perform: Callable[[Machine, Runtime, Inputs], Awaitable[Any]]) -> Any:
        assert self.meter is not None
        token = CURRENT_METER.set(self.meter)
        try:
            return await perform(self.machine, self.runtime, self.inputs)
        finally:
            self.meter.steps += 1
            CURRENT_METER.reset(token)

    def _end(self, outcome: Ended, reason: str) -> bool:
        self.outcome = outcome
        self.machine.status, self.machine.halted_by = Status.halted, reason
        return True

    async def _begin(self) -> None:
        if self.outcome is not None:
            return
        self._told = True
        hooks = self.machine.identity.hooks.pre_run_execute_call
        if hooks:
            await fire(self.runtime, hooks, method=self.method, state=self.machine.state, **self._whose())

    def _whose(self) -> dict[str, Any]:
        return {"app_id": self.machine.identity.app_id, "partition_key": self.machine.identity.partition_key}


async def run_to_end(run: Run) -> Ended:
    """All steps of a run."""
    while await run.advance() is not None:
        pass
    return run.result()


async def stream_to_end(run: Run) -> StreamedStep | None:
    """Steps until the stream of an action that the run halts after is open; None when it halted without one."""
    while True:
        opened = await run.advance_stream(only=run.halts.after)
        if opened is None or isinstance(opened, StreamedStep):
            return opened


async def single(run: Run) -> Done | None:
    """One step as a run of its own."""
    done = await run.advance()
    await run.close()
    return done


async def _chosen(machine: Machine, runtime: Runtime, choice: Choice) -> Decision | None:
    """The decision of a choice that runs somebody's code; None, and halted, while a person has not made it."""
    if machine.awaiting is None:
        made = await _ask(machine, runtime, choice)
        if isinstance(made, Decision):
            return made
        machine.awaiting = made
    if machine.picked is None:
        machine.status = Status.halted
        machine.halted_by = f"{machine.awaiting.asked_by}, leaving {machine.awaiting.source!r}"
    return machine.picked


async def _ask(machine: Machine, runtime: Runtime, choice: Choice) -> Decision | PendingChoice:
    """Make a choice that runs somebody's code; what models it asks counts as its own usage."""
    context = ApplicationContext(machine.identity, machine.sequence_id + 1, None)
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


async def _tell_decision(machine: Machine, runtime: Runtime) -> None:
    await fire(
        runtime,
        machine.identity.hooks.post_decide,
        app_id=machine.identity.app_id,
        partition_key=machine.identity.partition_key,
        decision=machine.decisions[-1],
        state=machine.state,
    )
