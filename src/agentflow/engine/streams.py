"""A step whose result comes piece by piece: it ends when its reader has taken the last one.

What must not live here: the loop over the pieces (`containers.py`), which each colour has for itself.
"""

from __future__ import annotations

import contextvars
import time
from collections.abc import Awaitable, Callable
from typing import Any

from agentflow.actions import Action, Contract
from agentflow.context import ApplicationContext
from agentflow.engine import rules, steps
from agentflow.engine.machine import Machine
from agentflow.hooks import fire
from agentflow.runtime import BLOCKING, CURRENT_STEP, Runtime
from agentflow.state import State, settle, view
from agentflow.streaming import Outcome, Pieces, StreamingAction, StreamingFunctionAction


class StreamedStep:
    """An open stream; the machine stays claimed until it ends."""

    def __init__(self, machine: Machine, runtime: Runtime, contract: Contract) -> None:
        self.machine = machine
        self.runtime = runtime
        self.contract = contract
        self.action: Action = contract.action
        self.context: ApplicationContext = ApplicationContext(machine.identity, machine.sequence_id + 1, contract.name)
        self.given: State[Any] = view(machine.state, contract.scope)
        self.observed: bool = bool(machine.identity.hooks.post_stream_item)
        self.pieces: Pieces = iter(())
        self.inside: contextvars.Context = contextvars.copy_context()
        self.inside.run(CURRENT_STEP.set, self.context)
        self.on_end: Callable[[steps.Done | None, BaseException | None], Awaitable[None]] | None = None
        self._opened = time.time()
        self._first: float | None = None
        self._shown = 0

    async def open(self, inputs: steps.Inputs) -> None:
        """Begin the step; the action's own code runs when the first piece is asked for."""
        try:
            bound = rules.bind(self.contract, inputs, self.context)
            if self.machine.identity.hooks.pre_run_step:
                await steps.announce(self.machine, self.runtime, self.contract, self.context, bound)
            await self._tell("pre_start_stream")
            if self.machine.journal is not None:
                await self.machine.journal.begin()
            assert isinstance(self.action, StreamingAction | StreamingFunctionAction)
            self.pieces = self.inside.run(self.action.open, self.given, bound)
        except BaseException as error:
            await self._failed(error)
            raise

    async def show(self, item: Any) -> None:
        """Tell the hooks of one item."""
        now = time.time()
        self._first = self._first or now
        facts = {"item": item, "item_index": self._shown, "stream_initialize_time": self._opened}
        self._shown += 1
        await self._tell("post_stream_item", **facts, first_stream_item_start_time=self._first)

    async def complete(self, result: Any, state: State[Any]) -> Outcome:
        """End the step well: commit it, then tell the hooks."""
        machine = self.machine
        settled = settle(state, self.given, machine.state)
        await steps.commit(machine, self.runtime, self.contract, self.context, settled)
        machine.count_usage(self.contract.name, self.context.usages)
        machine.release()
        await self._tell("post_end_stream")
        await steps.report(machine, self.runtime, self.contract, self.context, result, None)
        if self.on_end is not None:
            await self.on_end((self.action, result, machine.state), None)
        return result, machine.state

    async def fail(self, error: BaseException) -> None:
        """End the step as failed, or as cancelled when its reader went away."""
        if self.machine.sequence_id >= (self.context.sequence_id or 0):
            return  # it was committed, and a hook failed afterwards
        apart = None if self.runtime is BLOCKING else getattr(self.pieces, "aclose", None)  # blocking, it never began
        close = apart or getattr(self.pieces, "close", None)
        if close is not None:
            await self.runtime.call(close)
        await self._tell("post_end_stream")
        await self._failed(error)
        if self.on_end is not None:
            await self.on_end(None, error)

    def abandon(self) -> None:
        """Let go of a step nobody has read from."""
        self.machine.fail(GeneratorExit())
        if self.machine.journal is not None:
            self.machine.journal.abandon()
        self.machine.release()

    async def _failed(self, error: BaseException) -> None:
        try:
            await steps.fail(self.machine, self.runtime, self.contract, self.context, error)
        finally:
            self.machine.release()

    async def _tell(self, moment: str, **facts: Any) -> None:
        await fire(
            self.runtime,
            getattr(self.machine.identity.hooks, moment),
            action=self.contract.name,
            sequence_id=self.context.sequence_id,
            app_id=self.context.app_id,
            partition_key=self.context.partition_key,
            **facts,
        )
