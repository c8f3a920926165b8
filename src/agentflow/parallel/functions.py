"""map_reduce_action: a parallel action from functions, for those who need no class.

What must not live here: what a parallel action does (`maps.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from agentflow.parallel.adapting import called, with_inputs
from agentflow.parallel.maps import MapActionsAndStates
from agentflow.signatures import names
from agentflow.state import State


def map_reduce_action(
    action: Any,
    state: Callable[..., Iterable[Any]] | None,
    reducer: Callable[..., State[Any]],
    reads: Iterable[str],
    writes: Iterable[str],
    inputs: Iterable[str] = (),
    **options: Any,
) -> MapActionsAndStates:
    """A parallel action from functions.

    Args:
        action: The action to run, or a list of them.
        state: A function from the parent's state to the states to start from; None to start all from the parent's.
        reducer: A function `(state, states)` that makes the next state.
        reads: The state keys it may read.
        writes: The state keys it may write.
        inputs: The names of inputs that are passed on to every child.
        options: See `TaskBasedParallelAction`.

    Example:
        >>> ask_all = map_reduce_action(query_llm, prompts_as_states, collect, reads=["prompts"], writes=["answers"])
    """
    return _MapReduce(action, state, reducer, list(names(reads)), list(names(writes)), list(names(inputs)), options)


class _MapReduce(MapActionsAndStates):
    """Made by `map_reduce_action`."""

    def __init__(
        self,
        action: Any,
        states: Callable[..., Iterable[Any]] | None,
        reducer: Callable[..., State[Any]],
        reads: list[str],
        writes: list[str],
        inputs: list[str],
        options: Mapping[str, Any],
    ) -> None:
        super().__init__(**options)
        self.reads, self.writes, self._inputs = reads, writes, inputs
        self._actions = list(action) if isinstance(action, list | tuple) else [action]
        self._states, self._reducer = states, reducer

    @property
    def inputs(self) -> list[str]:
        return self._inputs

    def actions(self, inputs: Mapping[str, Any]) -> Iterable[Any]:
        return [(fn, {**own, **inputs}) for fn, own in map(with_inputs, self._actions)]

    def states(self, state: State[Any], inputs: Mapping[str, Any]) -> Any:
        return [state] if self._states is None else called(self._states, state=state, inputs=inputs)

    def reduce(self, state: State[Any], states: Iterable[State[Any]]) -> State[Any]:
        return self._reducer(state, states)
