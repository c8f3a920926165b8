"""Parallel actions: one action of the parent that runs many children and reduces their results.

What users override is called with the parameters they declare, by name: `state`, `states`, `context`, `inputs`. What
must not live here: how children are run (`running.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from agentflow.actions import Action
from agentflow.context import ApplicationContext
from agentflow.errors import BuildError, ResultError, RunError
from agentflow.parallel.adapting import (
    INHERITED,
    NO_INPUTS,
    OVERRIDES,
    PLAIN_ONLY,
    adapt,
    gathered,
    wanted,
    wants,
    with_inputs,
)
from agentflow.parallel.child import Child
from agentflow.parallel.executors import ExecutorOrFactory
from agentflow.parallel.outcomes import Outcome, Several
from agentflow.parallel.plan import MAX_CONCURRENCY, Plan
from agentflow.parallel.running import first_state, run_children
from agentflow.parallel.stops import StopCondition
from agentflow.parallel.tasks import RunnableGraph, SubGraphTask
from agentflow.persistence.failpoints import reach
from agentflow.runtime import Runtime, current_step
from agentflow.signatures import is_async, names
from agentflow.state import State, child_view, independent


class TaskBasedParallelAction(Action):
    """An action that runs the tasks its `tasks` yields and makes its result of their states in `reduce`.

    Override `tasks` (a plain or async generator of `SubGraphTask`), `reduce`, `reads` and `writes`. Either may take any
    of the parameters they need: `tasks(self, state, context, inputs)`, `reduce(self, state, states)`. The state that
    `tasks` gets holds the declared reads, and may be updated freely: what it yields is where the children start.

    The results come to `reduce` in the order of the tasks, to be iterated with `for` or `async for`. If its last child
    state is what `reduce` updates and returns, only the declared writes are taken from it.

    Args:
        track: Whether children are recorded at all, by the parent's tracker or the one `tracker` gives.
        persist: Whether children are saved at all, by the parent's persister or the one `state_persister` gives.
        on_error: "raise" the first error of a child and cancel the others; "collect" all: `reduce` then gets an
            `Outcome` for every task; "drop" the children that failed.
        max_concurrency: How many children run at once.
        timeout: The longest each child may take, in seconds.
        stop: When enough children have ended, such as `first` or `quorum(2)`: a plain function of the outcomes so far,
            asked whenever a child has ended. The others are then cancelled and awaited; `reduce` gets the finished
            ones.
        progress: Told of each outcome as it comes, and of the number of tasks.
        retry: See `action`.

    Raises:
        BuildError: One of these is none that can be used, such as an async `stop` or `progress`.
    """

    track: bool = True
    persist: bool = True
    plan: Plan = Plan()
    _replaces: tuple[str, ...] = ()

    def __init__(
        self,
        *,
        track: bool = True,
        persist: bool = True,
        on_error: str = "raise",
        max_concurrency: int = MAX_CONCURRENCY,
        timeout: float | None = None,
        stop: StopCondition | None = None,
        progress: Callable[[Outcome, int], Any] | None = None,
    ) -> None:
        self.track = track
        self.persist = persist
        self.plan = Plan(on_error, max_concurrency, timeout, stop, None, progress)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        adapt(cls)
        cls._replaces = tuple(
            name for name in INHERITED if getattr(cls, name) is not getattr(TaskBasedParallelAction, name)
        )

    # -- what users write

    def tasks(self, *args: Any, **kwargs: Any) -> Any:
        """The children to run: a generator, plain or async, of `SubGraphTask`; takes `state, context, inputs`."""
        raise BuildError(f"parallel action '{self.name}' defines no tasks(): yield a SubGraphTask for each child.")

    def reduce(self, *args: Any, **kwargs: Any) -> Any:
        """The next state, given what the children ended with; takes `state, states, outcomes, context, inputs`."""
        raise BuildError(f"parallel action '{self.name}' defines no reduce(): return state.update(...).")

    def executor(self) -> ExecutorOrFactory | None:
        """What runs the children in a blocking run; None for the application's, or threads of their own."""
        return None

    def tracker(self, *args: Any, **kwargs: Any) -> Any:
        """What records the children: "cascade" for the parent's tracker, None, or one of their own."""
        return "cascade"

    def state_persister(self, *args: Any, **kwargs: Any) -> Any:
        """What saves the children: "cascade" for the parent's persister, None, or one of their own.

        Like `tracker` and `state_initializer` it may take `context`, is called once for all children of a visit, and
        counts for those whose task says nothing else. It may also be called `persister`.
        """
        return "cascade"

    def state_initializer(self, *args: Any, **kwargs: Any) -> Any:
        """What the children are loaded from: "cascade" for where they are saved, None for nothing, or one of their own.

        A child of which nothing is saved yet begins where one of their own has it under the child's id.
        """
        return "cascade"

    # -- what the engine calls

    def problems(self) -> list[BuildError]:
        missing = [name for name in self._required() if getattr(type(self), name, None) in _DEFAULTS[name]]
        waits = [name for name in PLAIN_ONLY if is_async(getattr(self, name, _nothing))]
        return [
            *(BuildError(f"parallel action '{self.name}' defines no {name}(): write it.") for name in missing),
            *(
                BuildError(f"{name}() of parallel action '{self.name}' is async: make it a plain def.")
                for name in waits
            ),
        ]

    async def perform(self, runtime: Runtime, state: State[Any], inputs: dict[str, Any]) -> tuple[Any, State[Any]]:
        context: ApplicationContext | None = current_step()
        if context is None:
            raise RunError(
                f"parallel action '{self.name}' has no running step to be part of: run it in an application."
            )
        offered = {name: value for name, value in inputs.items() if not name.startswith("__")}
        source = child_view(state, f"action '{self.name}'", frozenset(names(self.reads)))
        tasks = await self.collect(runtime, source, context, offered)
        children = await run_children(runtime, tasks, self._plan(), context)
        results = _for_reduce(children, self.plan)
        outcomes = [child.result for child in children] if wants(self.reduce, "outcomes") else []
        reach("before-reduce")
        reduced = await runtime.call(
            self.reduce,
            **wanted(self.reduce, state=state, states=results, outcomes=outcomes, context=context, inputs=offered),
        )
        reach("after-reduce")
        return {}, self.checked_state(reduced)

    async def collect(
        self, runtime: Runtime, state: State[Any], context: ApplicationContext, inputs: Mapping[str, Any]
    ) -> list[SubGraphTask]:
        """The tasks, with what they inherit settled."""
        owner = f"tasks() of '{self.name}'"

        def settled(task: Any) -> SubGraphTask:
            if not isinstance(task, SubGraphTask):
                raise ResultError(f"{owner} yielded a {type(task).__name__}: yield a SubGraphTask.")
            task.state = first_state(task.state, owner, task.typing)
            return task

        made = self.tasks(**wanted(self.tasks, state=state, context=context, inputs=inputs))
        return self._inheriting(await gathered(runtime, made, settled, owner), context)

    def _inheriting(self, tasks: list[SubGraphTask], context: ApplicationContext) -> list[SubGraphTask]:
        """The tasks, with what they get in the place of what they would inherit."""
        refused = [name for name, said in (("tracker", self.track), ("state_persister", self.persist)) if not said]
        replaced: dict[str, Any] = dict.fromkeys(refused)
        for name in self._replaces:
            if name not in refused:
                written = getattr(self, name)
                replaced[name] = written(**wanted(written, context=context))
        for name, own in replaced.items():
            for task in tasks:
                if getattr(task, name) == "cascade":
                    setattr(task, name, own)
        return tasks

    def _plan(self) -> Plan:
        own = self.executor()
        plan = self.plan
        return (
            plan
            if own is None
            else Plan(plan.on_error, plan.max_concurrency, plan.timeout, plan.stop, own, plan.progress)
        )

    def _required(self) -> tuple[str, ...]:
        return "tasks", "reduce"

    def _entry(self) -> tuple[Callable[..., Any], int]:
        return _nothing, 0


class MapActionsAndStates(TaskBasedParallelAction):
    """Every action over every state: the children are the whole product, actions outermost.

    Override `actions`, `states`, `reduce`, `reads` and `writes`. `actions` and `states` may also yield pairs with a
    dict of inputs: `(action, inputs)`, `(state, inputs)`.
    """

    def actions(self, *args: Any, **kwargs: Any) -> Any:
        """The actions, functions made by `@action`, or `RunnableGraph`s to run."""
        raise BuildError(f"parallel action '{self.name}' defines no actions(): yield the actions to run.")

    def states(self, *args: Any, **kwargs: Any) -> Any:
        """The states to run them over."""
        raise BuildError(f"parallel action '{self.name}' defines no states(): yield the states to start from.")

    async def collect(
        self, runtime: Runtime, state: State[Any], context: ApplicationContext, inputs: Mapping[str, Any]
    ) -> list[SubGraphTask]:
        offered = {"state": state, "context": context, "inputs": inputs}
        owner = f"states() of '{self.name}'"

        def started(given: Any) -> tuple[State[Any], Mapping[str, Any]]:
            if given.__class__ is State:
                return independent(given), NO_INPUTS
            child_state, own = with_inputs(given)
            return first_state(child_state, owner), own  # the state that was yielded, and its history, can go at once

        starts = await gathered(runtime, self.states(**wanted(self.states, **offered)), started, owner)
        owner = f"actions() of '{self.name}'"
        found = await gathered(runtime, self.actions(**wanted(self.actions, **offered)), with_inputs, owner)
        tasks: list[SubGraphTask] = []
        for row, (given, more) in enumerate(found):
            runnable = RunnableGraph.create(given)
            for column, (start, own) in enumerate(starts):
                task = SubGraphTask(runnable, {**more, **own} if more else own, start)
                task.key = f"{row}-{column}"  # passed by name it would make a dict for each
                tasks.append(task)
        return self._inheriting(tasks, context)

    def _required(self) -> tuple[str, ...]:
        return "actions", "states", "reduce"


class MapStates(MapActionsAndStates):
    """One action over many states: override `action`, `states`, `reduce`, `reads` and `writes`."""

    def action(self, *args: Any, **kwargs: Any) -> Any:
        """The action to run; takes `state, inputs`."""
        raise BuildError(f"parallel action '{self.name}' defines no action(): return the action to run.")

    def actions(self, state: State[Any], context: ApplicationContext, inputs: Mapping[str, Any]) -> Iterable[Any]:
        return [self.action(**wanted(self.action, state=state, context=context, inputs=inputs))]

    def _required(self) -> tuple[str, ...]:
        return "action", "states", "reduce"


class MapActions(MapActionsAndStates):
    """Many actions over one state: override `actions`, `reduce`, `reads`, `writes`, and `state` if it differs."""

    def state(self, *args: Any, **kwargs: Any) -> Any:
        """The state they all start from; by default the parent's. Takes `state, inputs`."""
        return kwargs["state"]

    def states(self, state: State[Any], context: ApplicationContext, inputs: Mapping[str, Any]) -> Iterable[Any]:
        return [self.state(**wanted(self.state, state=state, context=context, inputs=inputs))]

    def _required(self) -> tuple[str, ...]:
        return "actions", "reduce"


_DEFAULTS = {
    name: {getattr(cls, name, None) for cls in (TaskBasedParallelAction, MapActionsAndStates, MapStates, MapActions)}
    for name in OVERRIDES
}
for _name in ("actions", "states"):  # those that a map fills in itself are no defaults of it
    _DEFAULTS[_name] = {getattr(MapActionsAndStates, _name)}


def _for_reduce(children: list[Child], plan: Plan) -> Several[Any]:
    if plan.on_error == "collect":
        return Several([child.result for child in children])
    return Several([child.state for child in children if child.state is not None])


def _nothing() -> None:
    """A parallel action takes the inputs it declares; its own signature says nothing."""
