"""GraphBuilder and ApplicationBuilder: collect what is declared, and report everything that is wrong with it at once.

What must not live here: running anything.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, Self

from agentflow import checks
from agentflow.actions import Action
from agentflow.application import Application
from agentflow.context import ApplicationContext, Identity, ParentPointer
from agentflow.engine.machine import Machine
from agentflow.errors import BuildError, UnknownNameError, did_you_mean, raise_problems
from agentflow.graph import Graph, Transition, as_action, named_action, transitions_from
from agentflow.hooks import NO_HOOKS, Hook, HookSet, fire
from agentflow.runtime import ASYNC, BLOCKING, Runtime, run_blocking
from agentflow.state import State, TypingSystem
from agentflow.typed import is_model, plain


class GraphBuilder:
    """Collects actions and transitions; `build` checks them all.

    Example:
        >>> graph = (
        ...     GraphBuilder()
        ...     .with_actions(ask, answer)
        ...     .with_transitions(("ask", "answer"), ("answer", END))
        ...     .build()
        ... )
    """

    def __init__(self) -> None:
        self._actions: list[Action] = []
        self._transitions: list[Transition] = []
        self._problems: list[BuildError] = []

    def with_actions(
        self, *action_list: Action | Callable[..., Any], **action_dict: Action | Callable[..., Any]
    ) -> Self:
        """Add actions: by position under their own name, by keyword under that name."""
        for given in action_list:
            self._collect(lambda given=given: self._actions.append(named_action(given)))  # type: ignore[misc]
        for name, given in action_dict.items():
            self._collect(lambda given=given, name=name: self._actions.append(as_action(given, name)))  # type: ignore[misc]
        return self

    with_action = with_actions

    def with_transitions(self, *transitions: tuple[Any, ...]) -> Self:
        """Add transitions: `(source, target)`, `(source, target, condition)` or `(source, [targets], selector)`.

        Sources may be several too. A transition without a condition is the default, tried last wherever it is written.
        """
        for written in transitions:
            self._collect(lambda written=written: self._transitions.extend(transitions_from(written)))  # type: ignore[misc]
        return self

    def with_graph(self, graph: Graph) -> Self:
        """Add every action and transition of a graph that was built before."""
        self._actions.extend(graph.actions)
        self._transitions.extend(graph.transitions)
        return self

    def build(self) -> Graph:
        """The graph.

        Raises:
            BuildError: Everything that is wrong, in one error.
        """
        raise_problems("this graph", [*self._problems, *self._graph_problems()])
        return Graph(self._actions, self._transitions)

    def _graph_problems(self) -> list[BuildError]:
        return checks.problems_of(self._actions, self._transitions) if self._actions or not self._problems else []

    def _collect(self, add: Callable[[], None]) -> None:
        try:
            add()
        except BuildError as problem:
            self._problems.append(problem)


class ApplicationBuilder:
    """Collects what makes an application; every method returns the builder, and `build` checks everything.

    Example:
        >>> app = (
        ...     ApplicationBuilder()
        ...     .with_actions(count)
        ...     .with_transitions(("count", "count", when(done=False)), ("count", END))
        ...     .with_entrypoint("count")
        ...     .with_state(total=0, done=False)
        ...     .build()
        ... )
    """

    _graph: Graph | None = None
    _own: GraphBuilder | None = None
    _entrypoint: str | None = None
    _state: State[Any] | Mapping[str, Any] | None = None
    _typing: TypingSystem | None = None
    _app_id: str | None = None
    _partition_key: str | None = None
    _sequence_id: int | None = None
    _hooks: tuple[Hook, ...] = ()
    _spawned_by: ParentPointer | None = None
    _executor: Any = None
    _tracker: Any = None
    _problems: tuple[BuildError, ...] = ()

    # -- the graph

    def with_actions(
        self, *action_list: Action | Callable[..., Any], **action_dict: Action | Callable[..., Any]
    ) -> Self:
        """See `GraphBuilder.with_actions`."""
        self._graph_builder().with_actions(*action_list, **action_dict)
        return self

    with_action = with_actions

    def with_transitions(self, *transitions: tuple[Any, ...]) -> Self:
        """See `GraphBuilder.with_transitions`."""
        self._graph_builder().with_transitions(*transitions)
        return self

    def with_graph(self, graph: Graph) -> Self:
        """Run a graph that was built before; more may be added to it with the other methods."""
        if not isinstance(graph, Graph):
            return self._problem(f"with_graph() takes a Graph, not {graph!r}: call .build() on the GraphBuilder.")
        if self._graph is None and self._own is None:
            self._graph = graph
        else:
            self._graph_builder().with_graph(graph)
        return self

    def with_graphs(self, *graphs: Graph) -> Self:
        """Run several graphs as one; their action names must differ."""
        for graph in graphs:
            self.with_graph(graph)
        return self

    def with_entrypoint(self, action: str) -> Self:
        """The name of the action, or named choice, that a run starts with."""
        self._entrypoint = action if isinstance(action, str) else getattr(action, "name", str(action))
        return self

    # -- the state

    def with_state(self, state: State[Any] | Any = None, **values: Any) -> Self:
        """The first state: a `State`, a pydantic model, a mapping, and values by keyword; later calls add to it."""
        given: Mapping[str, Any] = self._state or {}
        if is_model(state):
            state = self._typing.construct_state(state) if self._typing is not None else plain(state)
        if isinstance(state, Mapping):
            given = {**given, **state}
        elif state is not None:
            return self._problem(f"with_state() takes a State, a mapping or a model, not {state!r}: use keywords.")
        self._state = {**given, **values}
        return self

    def with_typing(self, typing_system: TypingSystem) -> Self:
        """Validate every write against declared types, such as `PydanticTypingSystem(Model)`."""
        self._typing = typing_system
        return self

    # -- who it is

    def with_identifiers(
        self, app_id: str | None = None, partition_key: str | None = None, sequence_id: int | None = None
    ) -> Self:
        """Whose application it is and which; with `sequence_id=5` its first step is 6."""
        self._app_id = app_id or self._app_id
        self._partition_key = partition_key if partition_key is not None else self._partition_key
        self._sequence_id = sequence_id if sequence_id is not None else self._sequence_id
        return self

    def with_spawning_parent(self, app_id: str, sequence_id: int | None, partition_key: str | None = None) -> Self:
        """The step of another application that spawns this one."""
        self._spawned_by = ParentPointer(app_id, partition_key, sequence_id)
        return self

    def with_parent_context(self, context: ApplicationContext) -> Self:
        """Be a child of the running step: take its partition key and tracker, and point back to it."""
        self._partition_key = self._partition_key if self._partition_key is not None else context.partition_key
        self.with_tracker(context.tracker)
        return self.with_spawning_parent(context.app_id, context.sequence_id, context.partition_key)

    # -- what comes with it

    def with_hooks(self, *adapters: Hook) -> Self:
        """Observe the run: objects with methods named after the moments of `agentflow.hooks`, plain or async."""
        self._hooks = (*self._hooks, *adapters)
        return self

    def with_parallel_executor(self, executor_factory: Any) -> Self:
        """The executor for parallel children: a `concurrent.futures.Executor`, or a function that makes one."""
        if self._executor is not None:
            return self._problem("with_parallel_executor() was called twice: keep one of the two.")
        self._executor = executor_factory
        return self

    def with_tracker(self, tracker: Any = "local", project: str = "default", **options: Any) -> Self:
        """Record every run with a tracker object: a hook that stores what it sees."""
        if tracker is None:
            return self
        if isinstance(tracker, str):
            raise BuildError(f"this version has no tracker named {tracker!r} yet: pass a hook object that records.")
        self._tracker = tracker
        return self.with_hooks(tracker)

    def with_state_persister(self, persister: Any, on_every: str = "step") -> Self:
        """Not in this version: saving every step.

        Raises:
            BuildError: Always.
        """
        raise BuildError("this version cannot persist yet: leave with_state_persister() out, or save in a hook.")

    def initialize_from(self, initializer: Any, *args: Any, **options: Any) -> Self:
        """Not in this version: starting from a saved state.

        Raises:
            BuildError: Always.
        """
        raise BuildError("this version cannot load a saved state yet: give the state by with_state() instead.")

    def reset_to_entrypoint(self) -> Self:
        """Not in this version: starting a loaded application at its entrypoint instead of where it was.

        Raises:
            BuildError: Always.
        """
        raise BuildError("this version cannot load a saved state yet: every application starts at its entrypoint.")

    # -- building

    def build(self) -> Application[Any]:
        """The application. Building twice gives two applications with the same id.

        Raises:
            BuildError: Everything that is wrong, in one error.
        """
        application = self._assemble()
        hooks = application._machine.identity.hooks
        if hooks.post_application_create:
            run_blocking(self._announce(BLOCKING, application))
        return application

    async def abuild(self) -> Application[Any]:
        """The same, for hooks whose `post_application_create` is async."""
        application = self._assemble()
        await self._announce(ASYNC, application)
        return application

    @property
    def is_async(self) -> bool:
        """Whether something that was added needs an async run."""
        return HookSet(self._hooks).first_async is not None

    def _assemble(self) -> Application[Any]:
        graph = self._checked_graph()
        state = self._first_state()
        entrypoint = str(self._entrypoint)
        own = self._own is not None
        if own or graph.first_reads(entrypoint).keys() - state.keys():
            raise_problems("this application", self._start_problems(graph, entrypoint, state))
        if self._app_id is None:
            self._app_id = os.urandom(16).hex()
        hooks = HookSet(self._hooks) if self._hooks else NO_HOOKS
        identity = Identity(
            self._app_id, self._partition_key, None, self._spawned_by, hooks, self._tracker, self._executor
        )
        return Application(Machine(graph, state, entrypoint, identity, self._sequence_id), self)

    def _checked_graph(self) -> Graph:
        problems = list(self._problems)
        graph = self._graph
        if self._own is not None:
            graph = None
            try:
                graph = self._own.build()
            except BuildError as error:
                problems += error.problems
        if self._graph is None and self._own is None:
            problems.append(BuildError("there are no actions: add some with .with_actions(...) or .with_graph(...)."))
        if self._entrypoint is None:
            problems.append(BuildError("there is no entrypoint: say where to start with .with_entrypoint(name)."))
        elif graph is not None and not graph.has_action(self._entrypoint) and self._entrypoint not in graph.choices:
            known = [action.name for action in graph.actions]
            problems.append(
                UnknownNameError(
                    f"the entrypoint {self._entrypoint!r} is no action: add it. {did_you_mean(self._entrypoint, known)}"
                )
            )
        raise_problems("this application", problems)
        assert graph is not None
        return graph

    def _start_problems(self, graph: Graph, entrypoint: str, state: State[Any]) -> list[BuildError]:
        known = set(state) | (self._typing.required_keys if self._typing is not None else frozenset())
        problems = [
            checks.missing_key(key, reader, known)
            for key, reader in graph.first_reads(entrypoint).items()
            if key not in state
        ]
        if self._own is not None:
            problems += checks.unreachable(graph.actions, graph.transitions, entrypoint)
        return problems

    def _first_state(self) -> State[Any]:
        if self._typing is None:
            return State(self._state)
        given = dict(self._state or {})
        return State({**self._typing.defaults(), **given}, self._typing)

    async def _announce(self, runtime: Runtime, application: Application[Any]) -> None:
        identity = application._machine.identity
        await fire(
            runtime,
            identity.hooks.post_application_create,
            app_id=identity.app_id,
            partition_key=identity.partition_key,
            state=application.state,
            application_graph=application.graph,
            parent_pointer=identity.parent_pointer,
            spawning_parent_pointer=identity.spawning_parent_pointer,
        )

    def _graph_builder(self) -> GraphBuilder:
        if self._own is None:
            self._own = GraphBuilder()
            if self._graph is not None:
                self._own.with_graph(self._graph)
        return self._own

    def _problem(self, message: str) -> Self:
        self._problems = (*self._problems, BuildError(message))
        return self
