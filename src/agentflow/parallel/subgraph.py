"""A graph as one ordinary action of another graph.

What must not live here: running several of them at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from agentflow.actions import Action
from agentflow.context import ApplicationContext
from agentflow.errors import BuildError, RunError
from agentflow.graph import Graph
from agentflow.nursery import Stop
from agentflow.parallel.child import Child
from agentflow.parallel.family import Family
from agentflow.parallel.tasks import RunnableGraph, SubGraphTask
from agentflow.runtime import CURRENT_STEP, Runtime, current_step
from agentflow.signatures import Parameters
from agentflow.state import State


def subgraph(
    graph: Graph | RunnableGraph,
    entrypoint: str | None = None,
    halt_after: Sequence[str] | str = (),
    *,
    inputs: Mapping[str, str] | Sequence[str] = (),
    outputs: Mapping[str, str] | Sequence[str] = (),
    name: str | None = None,
    tracker: Any = "cascade",
) -> Action:
    """An action that runs a whole graph as a child application.

    What the graph's own actions take as inputs, the action takes and passes on.

    Args:
        graph: The graph, or a `RunnableGraph`, which says the next two itself.
        entrypoint: Where it starts.
        halt_after: After which actions it is done; by default it runs until there is nowhere to go.
        inputs: From the child's state key to the parent's key it is filled from; a list where both have one name.
        outputs: From the parent's state key to the child's key it is filled from; a list where both have one name.
        name: The action's name; by default the entrypoint's.
        tracker: "cascade" for the parent's tracker, None, or one of its own.

    Raises:
        BuildError: There is no entrypoint.

    Example:
        >>> research = subgraph(graph, "search", "summarise", inputs=["question"], outputs={"notes": "summary"})
    """
    if isinstance(graph, RunnableGraph):
        runnable = graph
    elif entrypoint is None:
        raise BuildError("subgraph() of a Graph has no entrypoint: say where it starts, subgraph(graph, 'name').")
    else:
        runnable = RunnableGraph(graph, entrypoint, halt_after)
    return Subgraph(runnable, _mapping(inputs), _mapping(outputs), tracker).with_name(name or runnable.name)


class Subgraph(Action):
    """Made by `subgraph`."""

    def __init__(
        self, runnable: RunnableGraph, taken: Mapping[str, str], given: Mapping[str, str], tracker: Any = "cascade"
    ) -> None:
        self.runnable: RunnableGraph = runnable
        self.taken: dict[str, str] = dict(taken)
        self.given: dict[str, str] = dict(given)
        self._tracker = tracker
        self.reads: Any = sorted(set(self.taken.values()))
        self.writes: Any = sorted(self.given)

    @property
    def description(self) -> str:
        """The docstring of the action it starts with."""
        graph = self.runnable.graph
        return (
            graph.get_action(self.runnable.entrypoint).description if graph.has_action(self.runnable.entrypoint) else ""
        )

    @property
    def nested(self) -> RunnableGraph:
        """What it runs, for whoever draws it."""
        return self.runnable

    def problems(self) -> list[BuildError]:
        return []

    async def perform(self, runtime: Runtime, state: State[Any], inputs: dict[str, Any]) -> tuple[Any, State[Any]]:
        context: ApplicationContext | None = current_step()
        if context is None:
            raise RunError(f"subgraph '{self.name}' has no running step to be part of: run it in an application.")
        start: State[Any] = State({own: state[key] for own, key in self.taken.items() if key in state})
        task = SubGraphTask(self.runnable, inputs, start, tracker=self._tracker, key=self.name)
        child = Child(task, 0, Family(context, runtime))
        if not child.was_kept():
            await _run(child)
        assert child.state is not None
        results = {key: child.state[own] for key, own in self.given.items()}
        return results, state.update(**results)

    def _declared_inputs(self) -> Parameters:
        required: dict[str, None] = {}
        optional: dict[str, None] = {}
        for action in self.runnable.graph.actions:
            parameters = action.contract.parameters
            required.update(dict.fromkeys(parameters.required))
            optional.update(dict.fromkeys(parameters.optional))
        return Parameters(tuple(required), tuple(key for key in optional if key not in required))

    def _entry(self) -> tuple[Callable[..., Any], int]:
        return _nothing, 0


async def _run(child: Child) -> None:
    try:
        value = await child.flow(0, Stop())
    except BaseException as error:
        child.end(None, error)
        raise
    finally:
        CURRENT_STEP.set(child.family.step)  # here and not in a task of its own, and a child may leave its own
    child.end(value, None)
    if child.failure is not None:
        raise child.failure


def _mapping(given: Mapping[str, str] | Sequence[str]) -> dict[str, str]:
    return dict(given) if isinstance(given, Mapping) else {key: key for key in given}


def _nothing() -> None:
    """A subgraph takes what its actions take; its own signature says nothing."""
