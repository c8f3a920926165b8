"""Child: one task on its way, an application of its own below the running step; Family: what siblings share.

What must not live here: running many of them (`running.py`).
"""

from __future__ import annotations

import functools
import hashlib
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final

from agentflow.budget import CURRENT_METER
from agentflow.context import ApplicationContext, Identity, ParentPointer
from agentflow.engine import rules
from agentflow.engine.created import tell_created
from agentflow.engine.machine import Machine
from agentflow.engine.run import Run
from agentflow.engine.steps import perform
from agentflow.errors import ActionTimeoutError
from agentflow.hooks import NO_HOOKS, ExecuteMethod, HookSet
from agentflow.nursery import Cancelled, Stop
from agentflow.parallel.outcomes import Finished, Outcome
from agentflow.parallel.portable import Parcel, explained, run_parcel
from agentflow.parallel.saved import journal_for, saving_for, was_finished
from agentflow.parallel.tasks import RunnableGraph, SubGraphTask
from agentflow.persistence.failpoints import reach
from agentflow.runtime import BLOCKING, Runtime
from agentflow.usage import NOTHING, Usage, total

#: A task's `state_initializer` that names no place of its own.
_OF_NO_OTHER: Final = (None, "cascade")


class Family:
    """What the children of one step have in common, worked out once for all of them.

    Args:
        context: The step they belong to.
        runtime: How they are run.
        timeout: The longest each may take, in seconds, unless its task says otherwise.
    """

    __slots__ = (
        "_hooks",
        "_prefix",
        "context",
        "executor_factory",
        "finished",
        "method",
        "parent",
        "partition_key",
        "runtime",
        "saving",
        "timeout",
        "tracker",
    )

    def __init__(self, context: ApplicationContext, runtime: Runtime, timeout: float | None = None) -> None:
        self.context: ApplicationContext = context
        self.runtime: Runtime = runtime
        self.timeout: float | None = timeout
        self.method: ExecuteMethod = ExecuteMethod.run if runtime is BLOCKING else ExecuteMethod.arun
        self.parent: ParentPointer = ParentPointer(context.app_id, context.partition_key, context.sequence_id)
        self.partition_key: str | None = context.partition_key
        self.tracker: Any = context.tracker
        self.saving: Any = context.saving
        self.executor_factory: Any = context.parallel_executor_factory
        self.finished: dict[str, Any] = context.finished
        named = (context.partition_key or "", context.app_id, str(context.sequence_id), "")
        self._prefix = hashlib.blake2b("\x00".join(named).encode(), digest_size=16)
        self._hooks: tuple[Any, HookSet] = (None, hooks_for(None, context))

    def id_of(self, key: str) -> str:
        """The id of the child of that key: the same on a retry of the step, new on the next visit."""
        named = self._prefix.copy()
        named.update(key.encode())
        return named.hexdigest()

    def hooks(self, tracker: Any) -> HookSet:
        """What observes a child with this tracker; siblings with the same one share it."""
        if self._hooks[0] is not tracker:
            self._hooks = tracker, hooks_for(tracker, self.context)
        return self._hooks[1]


class Child:
    """One task on its way: what it is, and how long it took."""

    __slots__ = ("_machine", "app_id", "family", "key", "result", "runnable", "runtime", "started", "task", "timeout")

    def __init__(self, task: SubGraphTask, position: int, family: Family) -> None:
        self.task: SubGraphTask = task
        self.runnable: RunnableGraph = task.runnable
        self.key: str = str(position) if task.key is None else task.key
        self.family: Family = family
        self.runtime: Runtime = family.runtime
        self.timeout: float | None = family.timeout if task.timeout is None else task.timeout
        self.app_id: str = task.application_id or family.id_of(self.key)
        self.started: float = 0.0
        self.result: Outcome | None = None
        self._machine: Machine | None = None

    @property
    def context(self) -> ApplicationContext:
        """The step it belongs to."""
        return self.family.context

    async def flow(self, index: int, stop: Stop) -> Outcome:
        """Run the child to its end.

        Raises:
            ActionTimeoutError: It took too long.
        """
        self.started = time.perf_counter()
        unlimited = self.timeout is None and CURRENT_METER.get() is None
        check = None if unlimited and self.runtime is not BLOCKING else self.check(index, stop)  # a task is cancelled
        machine = self._machine = self.machine()
        reach("before-child")
        contract = self.runnable.only
        alone = machine.journal is None and self.task.state_initializer in _OF_NO_OTHER
        if contract is not None and alone and machine.identity.hooks is NO_HOOKS:
            if check is not None:
                check()
            steps: Coroutine[Any, Any, Any] = perform(machine, self.runtime, contract, self._inputs())
        else:
            run = self.run(check)
            if not alone and await self.was_finished(machine):
                return self.outcome()
            await tell_created(machine, self.runtime)
            steps = run.to_end()
        await (steps if self.timeout is None else self._in_time(steps, self.timeout))
        reach("after-child")
        return self.outcome()

    async def _in_time(self, steps: Coroutine[Any, Any, Any], limit: float) -> None:
        if self.runtime is BLOCKING:
            await steps
        else:
            try:
                await self.runtime.within(limit, steps)
            except ActionTimeoutError:
                raise self._too_late() from None
        if self.duration > limit:
            raise self._too_late()

    async def was_finished(self, machine: Machine) -> bool:
        """Go on where the child was saved or is loaded from; whether nothing is left to do there."""
        return await was_finished(machine, self.runtime, self.runnable.halts, self.task.state_initializer)

    def run(self, check: Callable[[], None] | None = None) -> Run:
        """The run of a new application for this child."""
        if self._machine is None:
            self._machine = self.machine()
        halts = self.runnable.halts
        return Run(self._machine, self.runtime, self.family.method, halts, self._inputs(), None, check)

    def _inputs(self) -> Mapping[str, Any]:
        return rules.checked_inputs(self.runnable.graph, self.task.inputs)

    def machine(self) -> Machine:
        """The new application's machine, with what it inherits from its parent."""
        family, task, runnable = self.family, self.task, self.runnable
        tracker = family.tracker if task.tracker == "cascade" else task.tracker
        identity = Identity(
            self.app_id,
            family.partition_key,
            None,
            family.parent,
            family.hooks(tracker),
            tracker,
            family.executor_factory,
            family.saving if task.state_persister == "cascade" else saving_for(task, family.context),
            family.finished,
        )
        machine = Machine(runnable.graph, task.state, runnable.entrypoint, identity)
        if identity.saving is not None:
            machine.journal = journal_for(identity, task)
        return machine

    def outcome(self, error: BaseException | None = None, cancelled: bool = False) -> Outcome:
        """How it ended: well, or with that error."""
        machine = self._machine
        if machine is None:
            return Outcome(self.key, self.app_id, None, error, NOTHING, self.duration, cancelled)
        usage = self.usage if machine.usage_by_action else NOTHING
        seconds = time.perf_counter() - self.started
        state = machine.state if error is None else None
        return Outcome(self.key, self.app_id, state, error, usage, seconds, cancelled)

    def end(self, outcome: Outcome | None, error: BaseException | None) -> Outcome:
        """Note how it ended, with what it came to or with an error: that is its result."""
        if outcome is not None:  # kept, so that a retry of the step does not run it again
            self.family.finished[self.app_id] = Finished(self.task.inputs, self.task.state, outcome)
        else:
            gone = isinstance(error, Cancelled)
            outcome = self.outcome(error if error is None or gone else explained(error, self.key), gone)
        if outcome.usage is not NOTHING:
            self.family.context.include_usage(outcome.usage)
        self.result = outcome
        return outcome

    def kept(self) -> Outcome | None:
        """The result of an earlier try of this step, if it was started from the very same values."""
        before: Finished | None = self.family.finished.get(self.app_id)
        if before is None or before.inputs != self.task.inputs or before.given != self.task.state:
            return None
        return before.outcome._replace(duration=0.0)

    def portable(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """The same for an executor that pickles what it runs."""
        self.started = time.perf_counter()
        task = self.task
        parcel = Parcel(
            self.key, self.app_id, self.runnable, task.state.get_all(), dict(task.inputs), self.family.parent
        )
        return run_parcel, (parcel,)

    @property
    def usage(self) -> Usage:
        """What its model calls have used so far."""
        used = None if self._machine is None else self._machine.usage_by_action
        return total(used.values()) if used else NOTHING

    @property
    def duration(self) -> float:
        """Seconds since it started, 0 if it has not."""
        return time.perf_counter() - self.started if self.started else 0.0

    def check(self, index: int, stop: Stop) -> Callable[[], None]:
        """What a child asks between its steps: whether it is to stop, is too late, or has used up the run's budget."""
        meter = CURRENT_METER.get()
        if meter is None and self.timeout is None:
            return functools.partial(stop.check, index)

        def check() -> None:
            stop.check(index)
            if meter is not None:
                meter.check()
            if self.timeout is not None and self.duration > self.timeout:
                raise self._too_late()

        return check

    def _too_late(self) -> ActionTimeoutError:
        return ActionTimeoutError(
            f"the task {self.key!r} took longer than its {self.timeout:g} seconds: raise its timeout or make it faster."
        )


def hooks_for(tracker: Any, parent: ApplicationContext) -> HookSet:
    """What observes a child: its tracker, and those hooks of its parent that go along to children."""
    others = (hook for hook in parent.hooks.cascading if hook is not tracker)
    wanted = *(() if tracker is None else (tracker,)), *others
    if not wanted:
        return NO_HOOKS
    return parent.hooks if parent.hooks.hooks == wanted else HookSet(wanted)
