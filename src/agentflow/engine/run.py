"""Run: steps until a halt, for whoever takes them: one by one, all at once, or as open streams.

What must not live here: performing a step (`flow.py`), or what a halt is (`rules.py`).
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from agentflow.actions import Action
from agentflow.budget import CURRENT_METER, Meter
from agentflow.conditions import holds
from agentflow.engine import flow, rules, saving
from agentflow.engine.machine import READY, Ending, Machine, Status
from agentflow.engine.steps import Done, Inputs
from agentflow.engine.streams import StreamedStep
from agentflow.errors import BudgetError, StepLimitError, UnusedInputWarning
from agentflow.hooks import ExecuteMethod, fire
from agentflow.runtime import Runtime
from agentflow.state import State

Ended = tuple[Action | None, Any, State[Any]]
Perform = Callable[[Machine, Runtime, Inputs], Awaitable[Any]]


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
        self.taken: int = 0
        self.unused: set[str] = set(inputs)
        self.last: Done | None = None
        self.outcome: Ended | None = None
        self.single: bool = False  # it ends with its first step
        self._told = False
        self._check = check  # raises when the run must not go on
        self.meter = meter
        self._counts = meter is not None or check is not None
        self._asks = any((halts.before, halts.when, max_steps is not None, self._counts))

    def advance(self, perform: Perform = flow.step) -> Coroutine[Any, Any, Any]:
        """Perform one more step: what `perform` gave, or None when the run is over.

        Raises:
            StepLimitError: `max_steps` steps were performed and the run is not over.
        """
        return self._proceed(perform, once=True)  # not awaited here: that would be another coroutine for each step

    async def to_end(self) -> Ended:
        """Perform all steps of the run."""
        await self._proceed(flow.step, once=False)
        return self.result()

    async def advance_stream(self, only: frozenset[str] | None = None) -> StreamedStep | Done | None:
        """The same, with the step's stream left open for the caller to read.

        Args:
            only: The actions to stream, after which the run ends; others are performed. None streams every action.
        """
        opened: StreamedStep | Done | None = await self.advance(functools.partial(flow.open_stream, only=only))
        if isinstance(opened, StreamedStep):
            opened.on_end = self._stream_ended if only is None else self._last_stream_ended
        return opened

    async def _proceed(self, perform: Perform, *, once: bool) -> Any:
        machine, runtime, inputs, after = self.machine, self.runtime, self.inputs, self.halts.after
        perform = self._metered(perform) if self.meter is not None else perform
        try:
            if self.last is None:
                await self._begin()
            while True:
                if self.outcome is not None or (self.last is not None and machine.prior in after and self._after()):
                    return await self.close()
                if self._asks and await self._halted():
                    return await self.close()
                done = await perform(machine, runtime, inputs)
                if done is None:
                    return await self._nowhere()
                if done.__class__ is tuple:  # as `_note` does
                    self.last = done
                    self.taken += 1
                if self.unused and done.__class__ is tuple:
                    self.unused -= done[0].contract.parameters.names
                if once:
                    return done
        except BudgetError as error:
            return await self._out_of_budget(error)
        except BaseException as error:
            await self.close(error)
            raise

    def _after(self) -> bool:
        assert self.last is not None
        return self._end(self.last, f"halt_after {self.machine.prior!r}")

    async def _halted(self) -> bool:
        last, halts, machine = self.last, self.halts, self.machine
        if last is not None and halts.when is not None and holds(halts.when, machine.state):
            return self._end(last, f"halt_when, after {machine.prior!r}")
        paid = self.meter is not None and flow.asks_somebody(machine)  # a child performs what its choice was paid for
        if paid and self._used_up():
            return True
        if last is not None and halts.before:
            coming = await (flow.peek(machine, self.runtime) if self.meter is None else self._coming())
            if coming is None:  # it is over, or somebody has to choose
                return False
            if coming.name in halts.before:
                return self._end((coming, None, machine.state), f"halt_before {coming.name!r}")
        if self._counts and self._used_up():
            return True
        if self.max_steps is not None and self.taken >= self.max_steps:
            raise StepLimitError(
                f"{self.taken} steps were performed (max_steps) and the run is not over; it stands after "
                f"'{machine.prior}'. Run again to go on, or raise max_steps."
            )
        return paid and await self._coming() is not None and self._used_up()

    def _used_up(self) -> bool:
        """Whether the run has no room left, its own or that of the run it is part of."""
        if self._check is not None:
            self._check()
        breach = self.meter.breach() if self.meter is not None else None
        return breach is not None and self._end(self.last or (None, None, self.machine.state), breach)

    async def _coming(self) -> Action | None:
        """What comes next; a choice that has to be made for that counts on this run's budget."""
        token = CURRENT_METER.set(self.meter)
        try:
            return await flow.peek(self.machine, self.runtime)
        finally:
            CURRENT_METER.reset(token)

    async def _nowhere(self) -> None:
        action, result = self.last[:2] if self.last else (None, None)
        self.outcome = action, result, self.machine.state
        await self.close()

    async def _out_of_budget(self, error: BudgetError) -> None:
        if self.meter is None:  # it is the budget of the run this one is a child of
            await self.close(error)
            raise error
        self._end(self.last or (None, None, self.machine.state), str(self.meter.breach()))
        await self.close()

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
        """End the run, once: let go of it, tell the hooks, and warn of inputs that nobody took."""
        if not self._told:
            return
        self._told, self.machine.until = False, None
        if self.machine.journal is not None:
            await saving.let_go(self.machine, self.runtime, error)
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

    def _metered(self, perform: Perform) -> Perform:
        meter = self.meter
        assert meter is not None

        async def performed(machine: Machine, runtime: Runtime, inputs: Inputs) -> Any:
            token = CURRENT_METER.set(meter)
            try:
                return await perform(machine, runtime, inputs)
            finally:
                meter.steps += 1
                CURRENT_METER.reset(token)

        return performed

    def _end(self, outcome: Ended, reason: str) -> bool:
        self.outcome = outcome
        self.machine.status, self.machine.halted_by = Status.halted, reason
        return True

    async def _begin(self) -> None:
        if self.outcome is not None:
            return
        self._told, self.machine.halted_by = True, None
        if self.machine.journal is not None:
            self.machine.until = self._ending
        hooks = self.machine.identity.hooks.pre_run_execute_call
        if hooks:
            await fire(self.runtime, hooks, method=self.method, state=self.machine.state, **self._whose())

    def _ending(self, name: str) -> Ending | None:
        """How the application stands after a step if the run is sure to end with it, None if it is not."""
        if self.single:
            return READY.value, None
        if name in self.halts.after:
            return Status.halted.value, None
        if self.halts.when is not None or self.meter is not None:
            return None
        choice = self.machine.graph.choices.get(name)
        coming = None if choice is None else choice.certain
        return None if coming is None or coming.target not in self.halts.before else (Status.halted.value, coming)

    def _whose(self) -> dict[str, Any]:
        return {"app_id": self.machine.identity.app_id, "partition_key": self.machine.identity.partition_key}


async def stream_to_end(run: Run) -> StreamedStep | None:
    """Steps until the stream of an action that the run halts after is open; None when it halted without one."""
    while True:
        opened = await run.advance_stream(only=run.halts.after)
        if opened is None or isinstance(opened, StreamedStep):
            return opened


async def single(run: Run) -> Done | None:
    """One step as a run of its own."""
    run.single = True
    done: Done | None = await run.advance()
    await run.close()
    return done
