"""GraphBuilder and ApplicationBuilder: collect what is declared, and report everything that is wrong with it at once.

What must not live here: running anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Self

from agentflow import checks
from agentflow.actions import Action
from agentflow.application import Application
from agentflow.context import ApplicationContext, Identity, ParentPointer
from agentflow.engine.created import tell_created
from agentflow.engine.machine import Machine
from agentflow.errors import BuildError, UnknownNameError, did_you_mean, raise_problems
from agentflow.graph import Graph, Transition, as_action, named_action, transitions_from
from agentflow.hooks import NO_HOOKS, Hook, HookSet
from agentflow.ids import new_id
from agentflow.runtime import ASYNC, BLOCKING, Runtime, run_blocking
from agentflow.state import State, TypingSystem, over
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

    def __init__(self) -> None:
        self._graph: Graph | None = None
        self._own: GraphBuilder | None = None
        self._entrypoint: str | None = None
        self._state: dict[str, Any] | None = None
        self._typing: TypingSystem | None = None
        self._app_id: str | None = None
        self._partition_key: str | None = None
        self._sequence_id: int | None = None
        self._hooks: tuple[Hook, ...] = ()
        self._spawned_by: ParentPointer | None = None
        self._executor: Any = None
        self._tracker: Any = None
        self._tracker_may_move: bool = False
        self._saving: Any = None
        self._source: Any = None
        self._at_entrypoint: bool = False
        self._problems: tuple[BuildError, ...] = ()

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
        given = self._state
        if state is None:
            self._state = values if given is None else {**given, **values}
            return self
        if is_model(state):
            state = self._typing.construct_state(state) if self._typing is not None else plain(state)
        if isinstance(state, Mapping):
            self._state = {**(given or {}), **state, **values}
            return self
        return self._problem(f"with_state() takes a State, a mapping or a model, not {state!r}: use keywords.")

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
        """Be a child of the running step: take its partition key, tracker and persister, and point back to it."""
        self._partition_key = self._partition_key if self._partition_key is not None else context.partition_key
        self._saving = self._saving or context.saving
        self.with_tracker(context.tracker)
        self.with_hooks(*context.hooks.cascading)
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

    def with_tracker(
        self,
        tracker: Any = "local",
        project: str = "default",
        params: Mapping[str, Any] | None = None,
        use_otel_tracing: bool = False,
        **options: Any,
    ) -> Self:
        """Record every run, and those of its children: with a `LocalTracker`, or with a hook object of your own.

        Args:
            tracker: "local", or a hook object that stores what it sees; None for no tracker. A local tracker whose
                place is not given keeps to the file of the application's `SQLitePersister`, if it has one.
            project: Under which name a local tracker lists the runs.
            params: Options of the local tracker as a mapping, such as `{"root": "runs"}`.
            use_otel_tracing: Tell OpenTelemetry too; see `agentflow.tracking.otel`.
            options: The same as `params`, as keywords.

        Raises:
            MissingExtraError: OpenTelemetry is asked for and not installed.
        """
        if use_otel_tracing:
            from agentflow.tracking.otel import OpenTelemetryHook

            self.with_hooks(OpenTelemetryHook(agent=project))
        if tracker is None:
            return self
        if isinstance(tracker, str):
            if tracker != "local":
                return self._problem(f"there is no tracker named {tracker!r}: use 'local', or pass a hook object.")
            from agentflow.tracking import LocalTracker  # most applications are not tracked

            options = {**(params or {}), **options}
            self._tracker_may_move = options.get("root") is None and options.get("store") is None
            tracker = LocalTracker(project, **options)
        self._tracker = tracker
        return self.with_hooks(tracker)

    def with_state_persister(
        self,
        persister: Any,
        on_every: str = "step",
        *,
        mode: str = "durable",
        on_conflict: str = "raise",
        lease_seconds: float = 30.0,
        wait_seconds: float = 60.0,
    ) -> Self:
        """Save every step as it is committed, before the next one begins.

        Args:
            persister: Where to: a `Persister`, the URL of one (see `agentflow.persistence.persister_from`), or an
                object with the older `save(partition_key, app_id, sequence_id, position, state, status)`.
            on_every: "step"; there is no other.
            mode: "durable", or "fast": in batches, at most 64 steps and 0.25 seconds behind.
            on_conflict: Where somebody else runs the application, or has moved it on: "raise", "wait" for them and go
                on from there, or "takeover" at once.
            lease_seconds: How long after its process has vanished on another host an application can be taken.
            wait_seconds: How long "wait" waits at most.
        """
        from agentflow.persistence.starting import Saving, checked  # programs that save nothing do not load it
        from agentflow.persistence.terms import Terms

        if on_every != "step":
            return self._problem(f"with_state_persister(on_every={on_every!r}): every step is saved, leave it out.")
        if persister is not None:
            terms = Terms(mode, on_conflict, lease_seconds, wait_seconds)
            self._saving = Saving(checked(persister, "with_state_persister"), terms)
        return self

    def initialize_from(
        self,
        initializer: Any,
        resume_at_next_action: bool = True,
        default_state: Mapping[str, Any] | None = None,
        default_entrypoint: str | None = None,
        fork_from_app_id: str | None = None,
        fork_from_partition_key: str | None = None,
        fork_from_sequence_id: int | None = None,
        *,
        migrations: Mapping[str, str] | None = None,
        upgrade_state: Callable[[dict[str, Any]], Mapping[str, Any]] | None = None,
    ) -> Self:
        """Go on with the application that is saved under these identifiers, or begin anew when none is.

        Args:
            initializer: Where to look: what `with_state_persister` takes, or an object with the older
                `load(partition_key, app_id, sequence_id)`.
            resume_at_next_action: Go on where it was; else at `default_entrypoint`, with the saved state.
            default_state: What it begins with when nothing is saved.
            default_entrypoint: Where it begins then.
            fork_from_app_id: Another application to go on from, unless one is saved under this one's own id.
            fork_from_partition_key: Its partition.
            fork_from_sequence_id: The step to go on from; None for its last.
            migrations: From what an action was called to what it is called now.
            upgrade_state: Makes a state as the graph wants it from one as it was saved.
        """
        from agentflow.persistence.records import Key
        from agentflow.persistence.resuming import Fit
        from agentflow.persistence.starting import Source, checked

        fork = None
        if fork_from_app_id is not None:
            fork = Key.of(fork_from_partition_key, fork_from_app_id), fork_from_sequence_id
        elif fork_from_sequence_id is not None or fork_from_partition_key is not None:
            return self._problem("initialize_from() forks from nothing: say which application with fork_from_app_id=.")
        fit = Fit(migrations or {}, upgrade_state, resume_at_next_action)
        state = plain(default_state) if is_model(default_state) else dict(default_state or {})
        self._source = Source(checked(initializer, "initialize_from"), state, default_entrypoint, fork, fit)
        return self

    def saved_in(self, persister: Any, app_id: str, partition_key: str | None = None) -> Self:
        """A copy of this builder for the application that a store has under this id, or begins under it.

        What it said of a persister or an initializer no longer counts; its state and entrypoint are where it begins.
        """
        made = object.__new__(type(self))
        vars(made).update(vars(self))
        state, entrypoint = self._state, self._entrypoint
        if self._source is not None:
            state, entrypoint = self._source.default_state, self._source.default_entrypoint
        made._state = made._entrypoint = None
        made._app_id, made._partition_key = app_id, partition_key
        return made.with_state_persister(persister).initialize_from(
            persister, default_state=state, default_entrypoint=entrypoint
        )

    def reset_to_entrypoint(self) -> Self:
        """Begin a saved application at its entrypoint instead of where it was; its state and sequence id go on."""
        self._at_entrypoint = True
        return self

    # -- building

    def build(self) -> Application[Any]:
        """The application. Building twice gives two applications with the same id.

        Raises:
            BuildError: Everything that is wrong, in one error.
        """
        saved = run_blocking(self._look_up(BLOCKING)) if self._source is not None else None
        application = self._assemble(saved)
        if self._hooks:
            run_blocking(tell_created(application._machine, BLOCKING))
        return application

    async def abuild(self) -> Application[Any]:
        """The same, for hooks whose `post_application_create` is async."""
        saved = await self._look_up(ASYNC) if self._source is not None else None
        application = self._assemble(saved)
        if self._hooks:
            await tell_created(application._machine, ASYNC)
        return application

    @property
    def is_async(self) -> bool:
        """Whether something that was added needs an async run."""
        return HookSet(self._hooks).first_async is not None

    async def _look_up(self, runtime: Runtime) -> Any:
        from agentflow.persistence.records import Key
        from agentflow.persistence.starting import found

        if self._state is not None or self._entrypoint is not None:
            self._problem(
                "initialize_from() says where to begin: pass default_state= and default_entrypoint= to it, and leave "
                "with_state() and with_entrypoint() out."
            )
        raise_problems("this application", self._problems)
        key = Key.of(self._partition_key, self._id())
        return await found(runtime, self._source, key, self._typing)

    def _id(self) -> str:
        if self._app_id is None:
            self._app_id = new_id()
        return self._app_id

    def _assemble(self, saved: Any) -> Application[Any]:
        graph, entrypoint = self._checked_graph()
        state = self._first_state() if saved is None else saved.state
        if self._own is not None or (saved is None and not graph.first_reads(entrypoint).keys() <= state.keys()):
            raise_problems("this application", self._start_problems(graph, entrypoint, state, saved))
        if self._tracker_may_move and self._saving is not None:
            self._tracker.move_beside(self._saving.persister)
        hooks = HookSet(self._hooks) if self._hooks else NO_HOOKS
        identity = Identity(
            self._app_id or self._id(),
            self._partition_key,
            None if saved is None else _forked_from(saved),
            self._spawned_by,
            hooks,
            self._tracker,
            self._executor,
            self._saving,
        )
        machine = Machine(graph, state, entrypoint, identity, self._sequence_id)
        if self._saving is not None or saved is not None:
            self._with_store(machine, saved)
        return Application(machine, self)

    def _with_store(self, machine: Machine, saved: Any) -> None:
        from agentflow.persistence.records import Key, Pointer
        from agentflow.persistence.starting import journal_of, placed

        identity, by = machine.identity, self._spawned_by
        at = -1 if by is None or by.sequence_id is None else by.sequence_id
        spawn = None if by is None else Pointer(Key(by.partition_key or "", by.app_id), at)
        fit = self._source.fit if self._source is not None else None
        key = Key.of(identity.partition_key, identity.app_id)
        machine.journal = journal_of(self._saving, key, machine.graph, self._typing, fit, spawn)
        if saved is not None:
            placed(saved, machine, self._source, machine.journal)
            if self._at_entrypoint:
                machine.restart()

    def _checked_graph(self) -> tuple[Graph, str]:
        graph = self._graph
        entrypoint: str | None = self._entrypoint if self._source is None else self._source.default_entrypoint
        if graph is None or self._own is not None or self._problems:
            return self._newly_checked(entrypoint)
        if entrypoint is None or entrypoint not in graph.contracts:
            return self._newly_checked(entrypoint)
        return graph, entrypoint  # it was checked when it was built

    def _newly_checked(self, entrypoint: str | None) -> tuple[Graph, str]:
        problems, graph = list(self._problems), self._graph
        if self._own is not None:
            graph = None
            try:
                graph = self._own.build()
            except BuildError as error:
                problems += error.problems
        if self._graph is None and self._own is None:
            problems.append(BuildError("there are no actions: add some with .with_actions(...) or .with_graph(...)."))
        if entrypoint is None:
            how = ".with_entrypoint(name)" if self._source is None else "initialize_from(default_entrypoint=name)"
            problems.append(BuildError(f"there is no entrypoint: say where to start with {how}."))
        elif graph is not None and not graph.has_action(entrypoint) and entrypoint not in graph.choices:
            known = [action.name for action in graph.actions]
            problems.append(
                UnknownNameError(
                    f"the entrypoint {entrypoint!r} is no action: add it. {did_you_mean(entrypoint, known)}"
                )
            )
        raise_problems("this application", problems)
        assert graph is not None
        assert entrypoint is not None
        return graph, entrypoint

    def _start_problems(self, graph: Graph, entrypoint: str, state: State[Any], saved: Any) -> list[BuildError]:
        known = set(state) | (self._typing.required_keys if self._typing is not None else frozenset())
        problems = [
            checks.missing_key(key, reader, known)
            for key, reader in graph.first_reads(entrypoint).items()
            if key not in state and saved is None  # what a saved application reads next is looked at where it resumes
        ]
        if self._own is not None:
            problems += checks.unreachable(graph.actions, graph.transitions, entrypoint)
        return problems

    def _first_state(self) -> State[Any]:
        if self._source is None and self._typing is None:
            return over(self._state or {})
        first = self._state if self._source is None else self._source.default_state
        defaults = {} if self._typing is None else self._typing.defaults()
        return State({**defaults, **(first or {})}, self._typing)

    def _graph_builder(self) -> GraphBuilder:
        if self._own is None:
            self._own = GraphBuilder()
            if self._graph is not None:
                self._own.with_graph(self._graph)
        return self._own

    def _problem(self, message: str) -> Self:
        self._problems = (*self._problems, BuildError(message))
        return self


def _forked_from(saved: Any) -> ParentPointer | None:
    fork = saved.head.fork
    return fork and ParentPointer(fork.key.app_id, fork.key.partition or None, fork.sequence_id)
