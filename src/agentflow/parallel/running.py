"""Running children: each is an application of its own below the running step.

What must not live here: which children there are (`maps.py`), or what is made of their results.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from agentflow.budget import CURRENT_METER
from agentflow.context import ApplicationContext, Identity, ParentPointer
from agentflow.engine import rules
from agentflow.engine.created import tell_created
from agentflow.engine.machine import Machine
from agentflow.engine.run import Run
from agentflow.errors import ActionTimeoutError, BuildError
from agentflow.hooks import NO_HOOKS, ExecuteMethod, HookSet
from agentflow.nursery import Cancelled, Ended, Stop, run_all
from agentflow.parallel.executors import ExecutorOrFactory, opened
from agentflow.parallel.outcomes import Finished, Outcome
from agentflow.parallel.portable import Parcel, explained, run_parcel
from agentflow.parallel.saved import journal_for, saving_for, was_finished
from agentflow.parallel.stops import StopCondition
from agentflow.parallel.tasks import SubGraphTask, child_id
from agentflow.persistence.failpoints import reach
from agentflow.runtime import BLOCKING, Runtime
from agentflow.state import State
from agentflow.usage import NOTHING, Usage, total

#: How many children run at once unless somebody says otherwise.
MAX_CONCURRENCY = 16


@dataclass(frozen=True, slots=True)
class Plan:
    """How the children of one parallel action are run.

    Attributes:
        on_error: "raise" the first error and cancel the rest, "collect" every outcome, or "drop" those that failed.
        max_concurrency: How many run at once.
        timeout: The longest each may take, in seconds.
        stop: When enough have ended; then the rest is cancelled.
        executor: What runs them in a blocking run.
        progress: Told of each outcome and the number of tasks, as they come.
    """

    on_error: str = "raise"
    max_concurrency: int = MAX_CONCURRENCY
    timeout: float | None = None
    stop: StopCondition | None = None
    executor: ExecutorOrFactory | None = None
    progress: Callable[[Outcome, int], Any] | None = None

    def __post_init__(self) -> None:
        if self.on_error not in ("raise", "collect", "drop"):
            raise BuildError(f"on_error={self.on_error!r} is unknown: use 'raise', 'collect' or 'drop'.")
        if self.max_concurrency < 1:
            raise BuildError(f"max_concurrency={self.max_concurrency} runs nothing: give at least 1.")


class Child:
    """One task on its way: what it is, and how long it took."""

    __slots__ = ("_machine", "app_id", "context", "key", "runtime", "started", "task", "timeout")

    def __init__(
        self, task: SubGraphTask, key: str, context: ApplicationContext, runtime: Runtime, timeout: float | None
    ) -> None:
        self.task: SubGraphTask = task
        self.key: str = key
        self.context: ApplicationContext = context
        self.runtime: Runtime = runtime
        self.timeout: float | None = task.timeout if task.timeout is not None else timeout
        self.app_id: str = task.application_id or child_id(context, key)
        self.started: float = 0.0
        self._machine: Machine | None = None

    async def flow(self, index: int, stop: Stop) -> Outcome:
        """Run the child to its end.

        Raises:
            ActionTimeoutError: It took too long.
        """
        self.started = time.perf_counter()
        run = self.run(self.check(index, stop))
        reach("before-child")
        if run.machine.journal is not None and await was_finished(run.machine, self.runtime, run.halts):
            return self.outcome()
        await tell_created(run.machine, self.runtime)
        if self.timeout is None or self.runtime is BLOCKING:
            await run.to_end()
        else:
            try:
                await self.runtime.within(self.timeout, run.to_end())
            except ActionTimeoutError:
                raise self._too_late() from None
        if self.timeout is not None and self.duration > self.timeout:
            raise self._too_late()
        reach("after-child")
        return self.outcome()

    def run(self, check: Callable[[], None] | None = None) -> Run:
        """The run of a new application for this child."""
        runnable = self.task.runnable
        graph, inputs = runnable.graph, self.task.inputs
        method = ExecuteMethod.run if self.runtime is BLOCKING else ExecuteMethod.arun
        self._machine = self.machine()
        offered = rules.checked_inputs(graph, inputs)
        return Run(self._machine, self.runtime, method, runnable.halts, offered, None, check)

    def machine(self) -> Machine:
        """The new application's machine, with what it inherits from its parent."""
        parent, task = self.context, self.task
        tracker = parent.tracker if task.tracker == "cascade" else task.tracker
        identity = Identity(
            self.app_id,
            parent.partition_key,
            None,
            ParentPointer(parent.app_id, parent.partition_key, parent.sequence_id),
            hooks_for(tracker, parent),
            tracker,
            parent.parallel_executor_factory,
            saving_for(task, parent),
            parent.finished,
        )
        machine = Machine(task.runnable.graph, task.state, task.runnable.entrypoint, identity)
        if identity.saving is not None:
            machine.journal = journal_for(identity, task)
        return machine

    def outcome(self, error: BaseException | None = None, cancelled: bool = False) -> Outcome:
        """How it ended: well, or with that error."""
        state = self._machine.state if self._machine is not None and error is None else None
        return Outcome(self.key, self.app_id, state, error, self.usage, self.duration, cancelled)

    def portable(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """The same for an executor that pickles what it runs."""
        self.started = time.perf_counter()
        parent = ParentPointer(self.context.app_id, self.context.partition_key, self.context.sequence_id)
        task = self.task
        parcel = Parcel(self.key, self.app_id, task.runnable, task.state.get_all(), dict(task.inputs), parent)
        return run_parcel, (parcel,)

    @property
    def usage(self) -> Usage:
        """What its model calls have used so far."""
        return NOTHING if self._machine is None else total(self._machine.usage_by_action.values())

    @property
    def duration(self) -> float:
        """Seconds since it started, 0 if it has not."""
        return time.perf_counter() - self.started if self.started else 0.0

    def check(self, index: int, stop: Stop) -> Callable[[], None]:
        """What a child asks between its steps: whether it is to stop, is too late, or has used up the run's budget."""
        meter = CURRENT_METER.get()

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


async def run_children(
    runtime: Runtime, tasks: Sequence[SubGraphTask], plan: Plan, context: ApplicationContext
) -> list[Outcome]:
    """Run the tasks as children of the running step: how each ended, in the order of the tasks.

    A child that finished in an earlier try of the same step is not run again. When this returns or raises, no child is
    running any more.

    Raises:
        Exception: The first error of a child, if `plan.on_error` is "raise".
        BuildError: Two tasks have the same key.
    """
    children = [
        Child(task, key_of(task, position), context, runtime, plan.timeout) for position, task in enumerate(tasks)
    ]
    _no_two_alike(children)
    found: list[Outcome | None] = [kept(child) for child in children]
    ahead = [position for position, outcome in enumerate(found) if outcome is None]
    ended = [outcome for outcome in found if outcome is not None]
    if ahead and not (plan.stop is not None and plan.stop(ended)):
        await _run_rest(runtime, children, ahead, found, ended, plan, context)
    for position, outcome in enumerate(found):
        if outcome is None:
            found[position] = children[position].outcome(Cancelled("it was not needed any more"), cancelled=True)
    return [outcome for outcome in found if outcome is not None]


async def _run_rest(
    runtime: Runtime,
    children: Sequence[Child],
    ahead: Sequence[int],
    found: list[Outcome | None],
    ended: list[Outcome],
    plan: Plan,
    context: ApplicationContext,
) -> None:
    failure: list[BaseException] = []

    def on_end(end: Ended) -> bool:
        child = children[ahead[end.position]]
        outcome = _outcome_of(child, end)
        found[ahead[end.position]] = outcome
        ended.append(outcome)
        context.include_usage(outcome.usage)
        if plan.progress is not None:
            plan.progress(outcome, len(children))
        if outcome.exception is not None and not outcome.cancelled and _is_fatal(outcome.exception, plan):
            failure.append(outcome.exception)
        return bool(failure) or (plan.stop is not None and plan.stop(ended))

    jobs = (children[position] for position in ahead)
    given = plan.executor if plan.executor is not None else context.parallel_executor_factory
    told = plan.stop is not None or plan.progress is not None
    with opened(given if runtime is BLOCKING else None) as executor:
        await run_all(runtime, jobs, plan.max_concurrency, on_end, Stop(), executor, told)
    if failure:
        raise failure[0]


def _is_fatal(error: BaseException, plan: Plan) -> bool:
    return plan.on_error == "raise" or not isinstance(error, Exception)


def _outcome_of(child: Child, end: Ended) -> Outcome:
    if isinstance(end.error, Cancelled):
        return child.outcome(end.error, cancelled=True)
    if end.error is not None:
        return child.outcome(explained(end.error, child.key))
    outcome: Outcome = end.value
    remember(child, outcome)
    return outcome


def remember(child: Child, outcome: Outcome) -> None:
    """Keep a child's result, so that a retry of the step does not run it again."""
    child.context.finished[child.app_id] = Finished(child.task.inputs, child.task.state, outcome)


def kept(child: Child) -> Outcome | None:
    """The result of an earlier try of this step, if it was started from the very same values."""
    before: Finished | None = child.context.finished.get(child.app_id)
    if before is None or before.inputs != child.task.inputs or before.given != child.task.state:
        return None
    return replace(before.outcome, duration=0.0)


def key_of(task: SubGraphTask, position: int) -> str:
    """What tells a task from its siblings."""
    return str(position) if task.key is None else task.key


def _no_two_alike(children: Sequence[Child]) -> None:
    seen: set[str] = set()
    for child in children:
        if child.app_id in seen:
            raise BuildError(f"two tasks have the key {child.key!r} or the same application_id: give each its own.")
        seen.add(child.app_id)


def first_state(task: SubGraphTask, owner: str) -> State[Any]:
    """What a child starts from: only what its maker may read, free of its maker's declaration."""
    given: object = task.state
    if not isinstance(given, State):
        raise BuildError(f"{owner} gave {type(given).__name__} where a child needs a State: yield state.update(...).")
    return State(given.get_all(), given.typing_system if task.typing == "cascade" else task.typing)
