"""Child: one task on its way, an application of its own below the running step.

What must not live here: what siblings share (`family.py`), or running many of them (`running.py`).
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Collection, Coroutine, Mapping
from typing import Any

from agentflow.actions import Contract
from agentflow.context import ApplicationContext
from agentflow.engine import rules
from agentflow.engine.created import tell_created
from agentflow.engine.machine import Machine
from agentflow.engine.run import Run
from agentflow.engine.steps import say_where
from agentflow.errors import ActionTimeoutError
from agentflow.nursery import Cancelled, Ready, Stop
from agentflow.parallel.adapting import NO_INPUTS
from agentflow.parallel.family import OF_NO_OTHER, ChildContext, Family
from agentflow.parallel.outcomes import Outcome
from agentflow.parallel.portable import Parcel, Returned, explained, run_parcel
from agentflow.parallel.saved import came_back, journal_for, taken_back, was_finished
from agentflow.parallel.tasks import RunnableGraph, SubGraphTask, is_another
from agentflow.persistence.failpoints import reach
from agentflow.runtime import ASYNC, BLOCKING, CURRENT_STEP, Runtime, StandIn
from agentflow.state import State, settle, view
from agentflow.usage import NOTHING, Usage, total

_enter = CURRENT_STEP.set  # looked up once: it is called twice for each child


class Child(StandIn):
    """One task on its way: what it is, how it ended, and how long it took.

    Attributes:
        state: Its state at the end; None while it has not finished well.
        failure: The error it ended with; None when it has not, and when it was cancelled.
    """

    __slots__ = (
        "_app_id",
        "_context",
        "_given",
        "_machine",
        "_outcome",
        "_seconds",
        "failure",
        "family",
        "key",
        "started",
        "state",
        "task",
    )

    def __init__(self, task: SubGraphTask, position: int, family: Family) -> None:
        self.task: SubGraphTask = task
        self.key: str = str(position) if task.key is None else task.key
        self.family: Family = family
        self.started: float = 0.0
        self.state: State[Any] | None = None
        self.failure: BaseException | None = None
        self._given: State[Any] | None = None  # what its action was given, if it is awaited itself
        self._seconds: float | None = None
        self._outcome: Outcome | None = None
        self._app_id: str | None = task.application_id
        self._machine: Machine | None = None
        self._context: ApplicationContext | None = None  # in the place of a machine, which a single action needs not

    @property
    def app_id(self) -> str:
        """Its id, worked out when somebody asks for it: many that are about to start have no time to lose."""
        if self._app_id is None:
            self._app_id = self.family.id_of(self.key)
        return self._app_id

    @property
    def runnable(self) -> RunnableGraph:
        """What it runs."""
        return self.task.runnable

    @property
    def runtime(self) -> Runtime:
        """How it is run."""
        return self.family.runtime

    @property
    def timeout(self) -> float | None:
        """The longest it may take, in seconds."""
        return self.family.timeout if self.task.timeout is None else self.task.timeout

    @property
    def context(self) -> ApplicationContext:
        """The step it belongs to."""
        return self.family.context

    @property
    def is_over(self) -> bool:
        """Whether it has ended, however."""
        return self.state is not None or self._outcome is not None

    @property
    def result(self) -> Outcome:
        """How it ended; one that finished well has it put together when somebody asks for it."""
        if self._outcome is None:
            self._outcome = self.outcome()
        return self._outcome

    def flow(self, index: int, stop: Stop) -> Coroutine[Any, Any, Any]:
        """What runs the child to its end; `end` is told what it came to.

        What is done before its action waits for the first time is done by all children before the last of them starts,
        so a single action that nobody saves or hears of starts with next to nothing; if it is an async function, with
        no coroutine around it.

        Raises:
            ActionTimeoutError: It took too long.
        """
        self.started = time.perf_counter()
        reach("before-child")
        family, task = self.family, self.task
        runnable: Any = task.graph
        contract = runnable.only
        if contract is None or not family.is_unseen(task):
            return self._run_whole(index, stop)
        if runnable.coroutine is None or task.inputs or family.runtime is not ASYNC:
            return self._run_alone(contract, index, stop)
        if family.meter is not None:
            family.meter.check()
        _enter(self)
        self._given = view(task.state, contract.scope)
        return runnable.coroutine(self._given)  # type: ignore[no-any-return]

    @property
    def now(self) -> ApplicationContext:
        """The running step of a child that needs no machine, made when somebody asks for it."""
        if self._context is None:
            with self.family.asking:  # its action may have started threads
                if self._context is None:
                    self._context = ChildContext(self.family, self.task, self.key, self.runnable.entrypoint)
        return self._context

    async def _run_alone(self, contract: Contract, index: int, stop: Stop) -> None:
        """Perform its only action, as `engine.steps` does, with no machine to move and nobody to tell."""
        family, task = self.family, self.task
        if family.runtime is BLOCKING:  # a task is cancelled
            stop.check(index)
        if family.meter is not None:
            family.meter.check()
        inputs = self._inputs() if task.inputs else NO_INPUTS
        _enter(self)
        try:
            given = view(task.state, contract.scope)
            bound = {} if contract.takes_nothing else rules.bind(contract, inputs, self.now)
            _, returned = await contract.action.perform(family.runtime, given, bound)
            self.state = settle(returned, given, task.state)
        except BaseException as error:
            say_where(error, contract, self.now)
            raise
        finally:
            _enter(family.step)
        self._seconds = time.perf_counter() - self.started
        reach("after-child")

    async def _run_whole(self, index: int, stop: Stop) -> Outcome:
        _enter(self.family.step)  # whoever ran here before may have left its own
        unlimited = self.timeout is None and self.family.meter is None
        run = self.run(None if unlimited and self.runtime is not BLOCKING else self.check(index, stop))
        alone = run.machine.journal is None and self.task.state_initializer in OF_NO_OTHER
        if not alone and await self.was_finished(run.machine):
            return self.outcome()
        await tell_created(run.machine, self.runtime)
        await (run.to_end() if self.timeout is None else self.in_time(run.to_end()))
        reach("after-child")
        return self.outcome()

    async def in_time(self, steps: Coroutine[Any, Any, Any]) -> Any:
        """Await a part of it for as long as it may still take; blocking, that is told when the part has ended."""
        limit = self.timeout
        if limit is None or self.runtime is BLOCKING:
            value = await steps
        else:
            try:
                value = await self.runtime.within(limit - self.duration, steps)
            except ActionTimeoutError:
                raise self._too_late() from None
        if limit is not None and self.duration > limit:
            raise self._too_late()
        return value

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
        runnable, identity = self.runnable, self.family.identity_of(self.task, self.app_id)
        machine = Machine(runnable.graph, self.task.state, runnable.entrypoint, identity)
        if identity.saving is not None:
            machine.journal = journal_for(identity, self.task, runnable.graph)
        return machine

    def outcome(self, error: BaseException | None = None, cancelled: bool = False) -> Outcome:
        """How it ended: well, or with that error."""
        machine = self._machine
        state = None if error is not None else self.state if machine is None else machine.state
        return Outcome(self.key, self.app_id, state, error, self.usage, self.duration, cancelled)

    def end(self, value: Any, error: BaseException | None) -> None:
        """Note how it ended, with what its flow came to or with an error."""
        outcome: Outcome | None = None
        if self._given is not None:
            error = self._settled(value, error)
        elif isinstance(value, Returned):
            outcome, error = taken_back(self._machine, value)
        else:
            outcome = value
        if error is None:
            if outcome is not None:
                self._outcome, self.state, self._machine = outcome, outcome.state, None
            # so that a retry of the step does not run it again
            self.family.finished[self.task.application_id or self.key] = self
        elif isinstance(error, Cancelled):
            self._outcome = self.outcome(error, cancelled=True)
        else:
            self.failure = explained(error, self.key)
            self._outcome = self.outcome(self.failure)
        if self._outcome is not None or self._context is not None:  # else no model was asked
            usage = self.result.usage
            if usage is not NOTHING:
                self.family.context.include_usage(usage)

    def _settled(self, returned: Any, error: BaseException | None) -> BaseException | None:
        """What comes after an async function that was awaited itself, as at the end of `_run_alone`: its error."""
        contract: Any = self.runnable.only
        given: Any = self._given
        if error is None:
            try:
                if returned.__class__ is not State:
                    _, returned = contract.action.outcome_of(returned)
                self.state = settle(returned, given, self.task.state)
            except Exception as failed:
                error = failed
        self._seconds = time.perf_counter() - self.started
        if error is None:
            reach("after-child")
        elif not isinstance(error, Cancelled):
            say_where(error, contract, self.now)
        return error

    def was_kept(self) -> bool:
        """Whether it finished in an earlier try of this step, from the very same values: that is its result."""
        before: Child | None = self.family.finished.get(self.task.application_id or self.key)
        if before is None or is_another(before.task, self.task):
            return False
        self.state, self._outcome = before.state, before.result._replace(duration=0.0)
        return True

    def portable(self) -> tuple[Callable[..., Any], tuple[Any, ...]] | Ready:
        """The same for an executor that pickles what it runs; a child that was saved when it came back stays here."""
        self.started = time.perf_counter()
        task = self.task
        self._machine = self.machine()
        if came_back(self._machine, self.runnable.halts):
            return Ready(self.outcome()._replace(duration=0.0))
        self._machine = self.machine()
        parcel = Parcel(
            self.key, self.app_id, self.runnable, task.state.get_all(), dict(task.inputs), self.family.parent
        )
        return run_parcel, (parcel,)

    @property
    def usage(self) -> Usage:
        """What its model calls have used so far."""
        if self._context is not None:
            used: Collection[Usage] = self._context.usages
        else:
            used = self._machine.usage_by_action.values() if self._machine is not None else ()
        return total(used) if used else NOTHING

    @property
    def duration(self) -> float:
        """Seconds it took, or has taken so far; 0 if it has not started."""
        if self._seconds is not None:
            return self._seconds
        return time.perf_counter() - self.started if self.started else 0.0

    def check(self, index: int, stop: Stop) -> Callable[[], None]:
        """What a child asks between its steps: whether it is to stop, is too late, or has used up the run's budget."""
        meter = self.family.meter
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
