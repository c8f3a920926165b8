"""Application: a graph with state and identity, and the public verbs that run it.

Each verb is the engine's, awaited or driven straight through. What must not live here: how anything is done.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from agentflow.actions import Action
from agentflow.budget import Budget
from agentflow.conditions import Condition
from agentflow.containers import AsyncStreamingResultContainer, StreamingResultContainer
from agentflow.context import ApplicationContext, ParentPointer
from agentflow.engine import flow, rules, saving
from agentflow.engine.machine import Machine, Status
from agentflow.engine.run import Run, single, stream_to_end
from agentflow.engine.steps import Done
from agentflow.engine.streams import StreamedStep
from agentflow.errors import AsyncCodeError, DecideError
from agentflow.graph import Graph
from agentflow.hooks import NO_HOOKS, ExecuteMethod
from agentflow.runtime import ASYNC, BLOCKING, Runtime, run_blocking
from agentflow.select.selector import Decision, PendingChoice, target_name
from agentflow.state import State, without_history
from agentflow.usage import Usage, total

if TYPE_CHECKING:
    from agentflow.builder import ApplicationBuilder

Data = TypeVar("Data")
NO_INPUTS: Mapping[str, Any] = {}
Inputs = Mapping[str, Any] | None
When = Condition | Callable[[State[Any]], Any] | None
Ended = tuple[Action | None, Any, State[Any]]


class Application(Generic[Data]):
    """A graph with state and identity, running; built by `ApplicationBuilder`.

    Every running verb has an async twin (`astep`, `aiterate`, ...) that does the same. An application performs one step
    at a time; a second one at the same time gets `BusyError`.

    What all running verbs share:

    - `inputs` are offered to every action that declares them. A name that no action of the graph declares is an
      `InputError` before anything runs; one that no action took is an `UnusedInputWarning` at the end.
    - At least one step is performed before a halt is looked at, so that a run continues from where the last one halted.
    - An error of an action is raised as it is, with a note that says which step it was. The application stays where
      it was before that step, and the next run performs it again.

    Example:
        >>> action, result, state = app.run(halt_after=["answer"], inputs={"question": "How far is the moon?"})
    """

    __slots__ = ("__weakref__", "_builder", "_machine")

    def __init__(self, machine: Machine, builder: ApplicationBuilder | None = None) -> None:
        self._machine = machine
        self._builder = builder

    # -- one step

    def step(self, inputs: Inputs = None) -> Done | None:
        """Perform the next action: `(action, result, state)`, or None when there is nowhere to go."""
        if inputs or self._machine.identity.hooks is not NO_HOOKS or self._machine.journal is not None:
            return run_blocking(single(self._run(BLOCKING, "step", inputs=inputs)))
        return run_blocking(flow.step(self._machine, BLOCKING, NO_INPUTS))

    async def astep(self, inputs: Inputs = None) -> Done | None:
        """The async twin of `step`."""
        if inputs or self._machine.identity.hooks is not NO_HOOKS or self._machine.journal is not None:
            return await single(self._run(ASYNC, "astep", inputs=inputs))
        return await flow.step(self._machine, ASYNC, NO_INPUTS)

    # -- until halted

    def run(
        self,
        *,
        halt_before: rules.Names = None,
        halt_after: rules.Names = None,
        inputs: Inputs = None,
        halt_when: When = None,
        max_steps: int | None = None,
        budget: Budget | None = None,
    ) -> Ended:
        """Perform steps until a halt, or until there is nowhere to go.

        Args:
            halt_before: Actions or their names, or "@tag:x", to halt before; the choice of it is made and kept.
            halt_after: Actions or their names, or "@tag:x", to halt after; looked at first: it wins over `halt_before`.
            inputs: Offered to every action that declares them.
            halt_when: A condition, or function of the state, that halts the run after the step that makes it hold.
            max_steps: The most steps to perform; one that is reached is an error.
            budget: The most the run may take in steps, tokens, money and time; when it is used up the run halts, with
                its state intact, and `halted_by` says which limit it was.

        Returns:
            `(action that ran, its result, state)`; halted before an action, `(that action, None, state)`; nothing
            performed, `(None, None, state)`.

        Raises:
            UnknownNameError: A halt names no action.
            StepLimitError: `max_steps` were performed and the run was not over; the application can go on.
        """
        return run_blocking(
            self._run(BLOCKING, "run", halt_before, halt_after, inputs, halt_when, max_steps, budget).to_end()
        )

    async def arun(
        self,
        *,
        halt_before: rules.Names = None,
        halt_after: rules.Names = None,
        inputs: Inputs = None,
        halt_when: When = None,
        max_steps: int | None = None,
        budget: Budget | None = None,
    ) -> Ended:
        """The async twin of `run`."""
        return await self._run(ASYNC, "arun", halt_before, halt_after, inputs, halt_when, max_steps, budget).to_end()

    def iterate(
        self,
        *,
        halt_before: rules.Names = None,
        halt_after: rules.Names = None,
        inputs: Inputs = None,
        halt_when: When = None,
        max_steps: int | None = None,
        budget: Budget | None = None,
    ) -> Generator[Done, None, Ended]:
        """The same as `run`, yielding `(action, result, state)` after each step; it returns what `run` returns."""
        run = self._run(BLOCKING, "iterate", halt_before, halt_after, inputs, halt_when, max_steps, budget)
        return _iterate(run)

    def aiterate(
        self,
        *,
        halt_before: rules.Names = None,
        halt_after: rules.Names = None,
        inputs: Inputs = None,
        halt_when: When = None,
        max_steps: int | None = None,
        budget: Budget | None = None,
    ) -> AsyncGenerator[Done, None]:
        """The async twin of `iterate`; an async generator returns nothing, so look at `state` afterwards."""
        return _aiterate(self._run(ASYNC, "aiterate", halt_before, halt_after, inputs, halt_when, max_steps, budget))

    # -- streaming

    def stream_result(
        self,
        halt_after: rules.Names,
        halt_before: rules.Names = None,
        inputs: Inputs = None,
        *,
        halt_when: When = None,
        max_steps: int | None = None,
        budget: Budget | None = None,
    ) -> tuple[Action | None, StreamingResultContainer]:
        """Perform steps until an action of `halt_after` comes next, and stream that one.

        Until the container has been read to its end, the application is busy.

        Returns:
            `(action, container)`. An action that does not stream, or a halt before one, gives a container without
            items that holds the result.
        """
        run = self._run(BLOCKING, "stream_result", halt_before, halt_after, inputs, halt_when, max_steps, budget)
        opened = run_blocking(stream_to_end(run))
        if opened is not None:
            return opened.action, StreamingResultContainer(opened)
        action, result, state = run.result()
        return action, StreamingResultContainer.pass_through(result, state)

    async def astream_result(
        self,
        halt_after: rules.Names,
        halt_before: rules.Names = None,
        inputs: Inputs = None,
        *,
        halt_when: When = None,
        max_steps: int | None = None,
        budget: Budget | None = None,
    ) -> tuple[Action | None, AsyncStreamingResultContainer]:
        """The async twin of `stream_result`."""
        run = self._run(ASYNC, "astream_result", halt_before, halt_after, inputs, halt_when, max_steps, budget)
        opened = await stream_to_end(run)
        if opened is not None:
            return opened.action, AsyncStreamingResultContainer(opened)
        action, result, state = run.result()
        return action, AsyncStreamingResultContainer.pass_through(result, state)

    def stream_iterate(
        self,
        halt_after: rules.Names = None,
        halt_before: rules.Names = None,
        inputs: Inputs = None,
        *,
        halt_when: When = None,
        max_steps: int | None = None,
        budget: Budget | None = None,
    ) -> Iterator[tuple[Action, StreamingResultContainer]]:
        """Perform steps until a halt, yielding `(action, container)` for each; what is not read is drained."""
        run = self._run(BLOCKING, "stream_iterate", halt_before, halt_after, inputs, halt_when, max_steps, budget)
        return _stream_iterate(run)

    def astream_iterate(
        self,
        halt_after: rules.Names = None,
        halt_before: rules.Names = None,
        inputs: Inputs = None,
        *,
        halt_when: When = None,
        max_steps: int | None = None,
        budget: Budget | None = None,
    ) -> AsyncGenerator[tuple[Action, AsyncStreamingResultContainer], None]:
        """The async twin of `stream_iterate`."""
        run = self._run(ASYNC, "astream_iterate", halt_before, halt_after, inputs, halt_when, max_steps, budget)
        return _astream_iterate(run)

    # -- asking and changing

    def get_next_action(self) -> Action | None:
        """The action that comes next. A choice that has to be made for that is made once and kept.

        None at the end, and while a person has to choose (see `pending_choice`).
        """
        self._require_blocking()
        return run_blocking(flow.peek(self._machine, BLOCKING))

    async def aget_next_action(self) -> Action | None:
        """The async twin of `get_next_action`."""
        return await flow.peek(self._machine, ASYNC)

    def has_next_action(self) -> bool:
        """Whether there is somewhere to go; it may have to make a choice, once."""
        return self.get_next_action() is not None

    async def ahas_next_action(self) -> bool:
        """The async twin of `has_next_action`."""
        return await self.aget_next_action() is not None

    def update_state(self, new_state: State[Data]) -> None:
        """Replace the state from outside; a choice that was made in the old one is dropped.

        Raises:
            BusyError: A step is being performed, or a stream is open.
        """
        run_blocking(saving.change(self._machine, BLOCKING, "update_state", _replaced_by(new_state)))

    async def aupdate_state(self, new_state: State[Data]) -> None:
        """The async twin of `update_state`."""
        await saving.change(self._machine, ASYNC, "update_state", _replaced_by(new_state))

    def reset_to_entrypoint(self) -> None:
        """Go back to the entrypoint. The state stays and the sequence id goes on.

        Raises:
            BusyError: A step is being performed, or a stream is open.
        """
        run_blocking(saving.change(self._machine, BLOCKING, "reset_to_entrypoint", Machine.restart))

    async def areset_to_entrypoint(self) -> None:
        """The async twin of `reset_to_entrypoint`."""
        await saving.change(self._machine, ASYNC, "reset_to_entrypoint", Machine.restart)

    def choose(self, target: str | Action, reason: str | None = None) -> None:
        """Say what comes next where that was left to a person; the next run goes on there.

        Until then, another pick takes its place.

        Args:
            target: One of the targets of `pending_choice`.
            reason: Why; kept on the decision.

        Raises:
            DecideError: Nothing waits for a person, or this is none of the targets.
            BusyError: A step is being performed, or a stream is open.
        """
        run_blocking(saving.change(self._machine, BLOCKING, "choose", _picked(target, reason)))

    async def achoose(self, target: str | Action, reason: str | None = None) -> None:
        """The async twin of `choose`."""
        await saving.change(self._machine, ASYNC, "choose", _picked(target, reason))

    # -- saved runs

    def save(self) -> None:
        """Put the application in its store as it is now; every step is saved anyway.

        Raises:
            BuildError: It was built without a persister.
            ConflictError: Somebody else has moved it on, or there is one with this id already.
        """
        run_blocking(saving.save(self._machine, BLOCKING))

    async def asave(self) -> None:
        """The async twin of `save`."""
        await saving.save(self._machine, ASYNC)

    def refresh(self) -> None:
        """Take the newest state from the store, after a `ConflictError` for instance.

        Raises:
            BuildError: It was built without a persister.
            ConflictError: It is not in the store.
        """
        run_blocking(saving.refresh(self._machine, BLOCKING))

    async def arefresh(self) -> None:
        """The async twin of `refresh`."""
        await saving.refresh(self._machine, ASYNC)

    def resolve(self, state: State[Data] | None = None) -> None:
        """Say what became of a step that raised `UncertainStep`.

        Args:
            state: The state it led to; it counts as performed then. None when it had no effect: it runs again.

        Raises:
            RunError: No step is uncertain.
            UndeclaredKeyError: The state has changes that the action does not declare.
            ResultError: It lacks one that the action declares, or is no state.
        """
        run_blocking(saving.resolve(self._machine, BLOCKING, state))

    async def aresolve(self, state: State[Data] | None = None) -> None:
        """The async twin of `resolve`."""
        await saving.resolve(self._machine, ASYNC, state)

    def why(self, sequence_id: int) -> Decision | None:
        """The last decision that led to that step; None for the entrypoint, or for a step too long ago to remember."""
        found = [decision for decision in self.decisions if decision.sequence_id == sequence_id]
        return found[-1] if found else None

    # -- looking

    @property
    def state(self) -> State[Data]:
        """The state after the last step."""
        return self._machine.state

    @property
    def graph(self) -> Graph:
        """The graph that is run."""
        return self._machine.graph

    @property
    def status(self) -> Status:
        """How the application stands: ready, running, halted, finished, failed or cancelled."""
        return self._machine.status

    @property
    def halted_by(self) -> str | None:
        """What halted the last run, in words, such as "halt_after 'answer'"; None if nothing has."""
        return self._machine.halted_by

    @property
    def failure(self) -> BaseException | None:
        """The error that ended the last step, None when it ended well."""
        return self._machine.failure

    @property
    def sequence_id(self) -> int | None:
        """The number of the last step, None before the first; the first step is 0."""
        return self._machine.sequence_id if self._machine.sequence_id >= 0 else None

    @property
    def pending_choice(self) -> PendingChoice | None:
        """The choice that waits for a person, None when none does; answer it with `choose`."""
        return None if self._machine.picked is not None else self._machine.awaiting

    @property
    def decisions(self) -> list[Decision]:
        """The last decisions, oldest first; at most 1,000 are kept in memory."""
        return self._machine.decisions

    @property
    def usage(self) -> Usage:
        """What all model calls of this application object have used together."""
        return total(self._machine.usage_by_action.values())

    @property
    def usage_by_action(self) -> dict[str, Usage]:
        """The same for each action, and for each source whose choice asked a model."""
        return dict(self._machine.usage_by_action)

    @property
    def context(self) -> ApplicationContext:
        """The application's own context; as a context manager it makes itself the running step."""
        return ApplicationContext(self._machine.identity, self.sequence_id, None)

    @property
    def uid(self) -> str:
        """The id of the application."""
        return self._machine.identity.app_id

    @property
    def app_id(self) -> str:
        """The id of the application."""
        return self._machine.identity.app_id

    @property
    def partition_key(self) -> str | None:
        """Whose application it is."""
        return self._machine.identity.partition_key

    @property
    def durability(self) -> str:
        """How far the store may be behind, in words: "not saved", "durable: ...", "fast: ..."."""
        return "not saved" if self._machine.journal is None else str(self._machine.journal.durability)

    @property
    def parent_pointer(self) -> ParentPointer | None:
        """The step it was forked from."""
        return self._machine.identity.parent_pointer

    @property
    def spawning_parent_pointer(self) -> ParentPointer | None:
        """The step it was spawned by."""
        return self._machine.identity.spawning_parent_pointer

    @property
    def builder(self) -> ApplicationBuilder | None:
        """The builder that made it."""
        return self._builder

    def visualize(self, output_file_path: str | None = None, **options: Any) -> str:
        """Draw the graph; see `Graph.visualize` for the options."""
        return self.graph.visualize(output_file_path, **options)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return self.graph._repr_mimebundle_(include, exclude)

    def __repr__(self) -> str:
        return f"<application {self.app_id!r}, {self.status.value} after step {self.sequence_id}>"

    # -- inside

    def _run(
        self,
        runtime: Runtime,
        method: str,
        halt_before: rules.Names = None,
        halt_after: rules.Names = None,
        inputs: Inputs = None,
        halt_when: When = None,
        max_steps: int | None = None,
        budget: Budget | None = None,
    ) -> Run:
        if runtime is BLOCKING:
            self._require_blocking()
        graph = self._machine.graph
        halts = rules.halts(graph, halt_before, halt_after, halt_when)
        offered = rules.checked_inputs(graph, inputs)
        meter = None if budget is None and max_steps is None else rules.metered(budget, max_steps)
        return Run(self._machine, runtime, ExecuteMethod[method], halts, offered, max_steps, None, meter)

    def _require_blocking(self) -> None:
        hooks = self._machine.identity.hooks
        if hooks.first_async is not None:
            raise AsyncCodeError(
                f"the hook {hooks.first_async} is async: "
                "use the async verb (astep, aiterate, arun) or make it a plain def."
            )


def _replaced_by(state: State[Any]) -> Callable[[Machine], None]:
    def replace(machine: Machine) -> None:
        typing = machine.state.typing_system
        typed = state if typing is None or state.typing_system is typing else state.with_typing_system(typing)
        machine.replace_state(without_history(typed))

    return replace


def _picked(target: str | Action, reason: str | None) -> Callable[[Machine], None]:
    def pick(machine: Machine) -> None:
        if machine.awaiting is None:
            raise DecideError("no choice waits for a person: run until `pending_choice` says what there is to choose.")
        machine.picked = machine.awaiting.picked(target_name(target), reason)

    return pick


def _iterate(run: Run) -> Generator[Done, None, Ended]:
    try:
        while (done := run_blocking(run.advance())) is not None:
            yield done
    finally:
        run_blocking(run.close())
    return run.result()


async def _aiterate(run: Run) -> AsyncGenerator[Done, None]:
    try:
        while (done := await run.advance()) is not None:
            yield done
    finally:
        await run.close()


def _stream_iterate(run: Run) -> Iterator[tuple[Action, StreamingResultContainer]]:
    try:
        while (opened := run_blocking(run.advance_stream())) is not None:
            container = _container(StreamingResultContainer, opened)
            with container:
                yield opened.action if isinstance(opened, StreamedStep) else opened[0], container
                container.get()
    finally:
        run_blocking(run.close())


async def _astream_iterate(run: Run) -> AsyncGenerator[tuple[Action, AsyncStreamingResultContainer], None]:
    try:
        while (opened := await run.advance_stream()) is not None:
            container = _container(AsyncStreamingResultContainer, opened)
            async with container:
                yield opened.action if isinstance(opened, StreamedStep) else opened[0], container
                await container.get()
    finally:
        await run.close()


Container = TypeVar("Container", StreamingResultContainer, AsyncStreamingResultContainer)


def _container(kind: type[Container], opened: StreamedStep | Done) -> Container:
    return kind(opened) if isinstance(opened, StreamedStep) else kind(None, (opened[1], opened[2]))
