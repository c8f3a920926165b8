"""One child: a graph to run, the state and inputs it starts from, and what it inherits from its parent.

What must not live here: running many of them (`running.py`).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from agentflow.actions import PLAIN, Action, Contract
from agentflow.actions.base import check_timeout
from agentflow.engine.rules import Halts, halts
from agentflow.errors import BuildError, UnknownNameError, did_you_mean
from agentflow.graph import Graph, as_action
from agentflow.signatures import Parameters, names
from agentflow.state import State, TypingSystem
from agentflow.streaming import Pieces, StreamingAction

#: What a map may run: an action, or a graph with its way in and out.
Runnable = "Action | Callable[..., Any] | RunnableGraph"


@dataclass(frozen=True)
class RunnableGraph:
    """A graph with its way in and out, to be run as one action.

    Args:
        graph: The graph.
        entrypoint: Where it starts.
        halt_after: After which actions it is done; a bare string is one name.

    Raises:
        UnknownNameError: A name is no action of the graph.
    """

    graph: Graph
    entrypoint: str
    halt_after: Sequence[str] | str = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "halt_after", list(names(self.halt_after)))
        known = [action.name for action in self.graph.actions]
        for name in (self.entrypoint, *self.halt_after):
            if name not in known and name not in self.graph.choices:
                raise UnknownNameError(f"RunnableGraph names {name!r}, no action of it. {did_you_mean(name, known)}")

    def __getstate__(self) -> dict[str, Any]:
        return {name: vars(self)[name] for name in self.__dataclass_fields__}  # the rest is worked out where it arrives

    @classmethod
    def create(cls, from_: Any) -> RunnableGraph:
        """The same for an action, which is a graph of one, or a graph that is one already."""
        if isinstance(from_, RunnableGraph):
            return from_
        made = as_action(from_)
        return cls(Graph.of_one(made), made.name, [made.name])

    @functools.cached_property
    def halts(self) -> Halts:
        """Where a run of it halts, worked out once for all children."""
        return halts(self.graph, None, self.halt_after)

    @functools.cached_property
    def only(self) -> Contract | None:
        """The contract of its action, if it is a graph of a single plain one with nothing after it."""
        contract = self.graph.contracts.get(self.entrypoint)
        alone = len(self.graph.contracts) == 1 and not self.graph.choices
        return contract if alone and contract is not None and contract.options is PLAIN else None

    @functools.cached_property
    def coroutine(self) -> Callable[..., Any] | None:
        """The async function that is all there is to run, called with a state and nothing else."""
        contract = self.only
        return contract.direct if contract is not None and contract.is_async and contract.takes_nothing else None

    @property
    def name(self) -> str:
        """What it is called among others."""
        return self.entrypoint


@dataclass(slots=True)
class SubGraphTask:
    """One child of a parallel action.

    Attributes:
        graph: What to run; `action=` does the same for a single action.
        inputs: Inputs of the child.
        state: The state it starts from.
        application_id: Its id; by default H(partition, parent, parent's sequence id, key), the same when the parent's
            step is tried again and another one at the next visit.
        key: What tells it from its siblings; by default its position.
        timeout: The longest it may take, in seconds. A plain `def` that is running is not torn off: its branch counts
            as timed out, and the map waits for it to return. In a stream of tasks, the time an item waits for the
            reader does not count.
        tracker: "cascade" to inherit the parent's, None for none, or one of its own.
        state_persister: Likewise.
        state_initializer: Likewise.
        typing: "cascade" to validate writes of the parent's keys as the parent does, None, or a typing system.
    """

    graph: RunnableGraph | Action | Callable[..., Any] | None = None
    inputs: Mapping[str, Any] = field(default_factory=dict)
    state: State[Any] = field(default_factory=State)
    application_id: str | None = None
    tracker: Any = "cascade"
    state_persister: Any = "cascade"
    state_initializer: Any = "cascade"
    typing: TypingSystem | Literal["cascade"] | None = "cascade"
    action: RunnableGraph | Action | Callable[..., Any] | None = None
    key: str | None = None
    timeout: float | None = None

    def __post_init__(self) -> None:
        if self.graph.__class__ is not RunnableGraph:  # as a map gives it
            given = self.graph if self.graph is not None else self.action
            if given is None:
                raise BuildError("SubGraphTask(...) has nothing to run: pass graph= or action=.")
            self.graph = RunnableGraph.create(given)
        self.action = self.graph
        if self.timeout is not None:
            check_timeout(self.timeout)

    @property
    def runnable(self) -> RunnableGraph:
        """What it runs."""
        return self.graph  # type: ignore[return-value]  # since it was made, it is one


def is_another(one: SubGraphTask, other: SubGraphTask) -> bool:
    """Whether a task starts from other values, or is certain to run something else: each try may make it anew."""
    if one.inputs != other.inputs or one.state != other.state or one.runnable.entrypoint != other.runnable.entrypoint:
        return True
    actions, others = ({action.name: action for action in each.runnable.graph.actions} for each in (one, other))
    if actions.keys() != others.keys():
        return True
    return any(_is_another(action, others[name]) for name, action in actions.items())


def _is_another(one: Any, other: Any) -> bool:
    codes = [getattr(getattr(fn, "__func__", fn), "__code__", None) for fn in (one._entry()[0], other._entry()[0])]
    if None not in codes and codes[0] != codes[1]:
        return True
    bound, others = (getattr(getattr(action, "inner", action), "bound", None) for action in (one, other))
    if not isinstance(bound, dict) or not isinstance(others, dict):
        return False
    return bound.keys() != others.keys() or any(_differ(value, others[name]) for name, value in bound.items())


def _differ(one: Any, other: Any) -> bool:
    """Whether two values are certain to differ: not where they cannot be compared, or only by being one object."""
    try:
        compares: Any = type(one).__eq__
        return one is not other and compares is not object.__eq__ and (one == other) is False
    except Exception:  # whatever somebody's `==` raises
        return False


def bind_from_state(action: Action | Callable[..., Any], **inputs: str) -> Callable[[State[Any]], Action]:
    """For a map's `action`: some inputs of an action are taken from the state of each child.

    Args:
        action: An action made by `@action`.
        inputs: From an input's name to the state key it comes from.

    Returns:
        An action that reads those keys besides its own.

    Example:
        >>> query_llm = bind_from_state(query_llm, model="model_to_ask")
    """
    inner = as_action(action)
    kind = _StreamFromState if inner.streaming else _FromState
    return kind(inner, inputs)  # type: ignore[return-value]


class _FromState(Action):
    """An action some of whose inputs come from the state; otherwise it is what the action inside is."""

    def __init__(self, inner: Action, keys: Mapping[str, str]) -> None:
        known = inner.contract.parameters.names
        for name in keys:
            if name not in known:
                raise BuildError(
                    f"bind_from_state() on '{inner.name}': no input is named {name!r}. {did_you_mean(name, known)}"
                )
        self.inner, self.keys = inner, dict(keys)
        self.reads = sorted({*names(inner.reads), *keys.values()})
        self.writes, self.tags, self.options = inner.writes, inner.tags, inner.options
        self.nested = getattr(inner, "nested", None)
        self._name = inner.name

    def problems(self) -> list[BuildError]:
        return self.inner.problems()

    @property
    def description(self) -> str:
        return self.inner.description

    async def perform(self, runtime: Any, state: State[Any], inputs: dict[str, Any]) -> tuple[Any, State[Any]]:
        return await self.inner.perform(runtime, state, self._filled(state, inputs))

    def _filled(self, state: State[Any], inputs: dict[str, Any]) -> dict[str, Any]:
        return {**inputs, **{name: state[key] for name, key in self.keys.items()}}

    def own_inputs(self, state: State[Any]) -> Mapping[str, Any]:
        return self._filled(state, dict(self.inner.own_inputs(state)))

    def _bound(self) -> Iterable[str]:
        return [*self.inner._bound(), *self.keys]

    def _entry(self) -> tuple[Callable[..., Any], int]:
        return self.inner._entry()

    def _source_object(self) -> Any:
        return self.inner._source_object()

    def _declared_inputs(self) -> Parameters:
        given = self.inner.contract.parameters
        required, optional = (
            tuple(name for name in some if name not in self.keys) for some in (given.required, given.optional)
        )
        return Parameters(required, optional, given.context, given.tracer, given.annotations, given.defaults)


class _StreamFromState(_FromState, StreamingAction):
    """The same for an action that streams."""

    def open(self, state: State[Any], inputs: dict[str, Any]) -> Pieces:
        return self.inner.open(state, self._filled(state, inputs))  # type: ignore[attr-defined,no-any-return]
