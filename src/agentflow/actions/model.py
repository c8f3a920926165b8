"""ModelAction: an action made from a function that takes and returns a pydantic model instead of the state.

What must not live here: how a model stands in for the state (`typed.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, cast, get_type_hints

from agentflow import typed
from agentflow.actions.base import Options
from agentflow.actions.function import FunctionAction
from agentflow.errors import BuildError
from agentflow.runtime import Runtime, name_of
from agentflow.signatures import declared
from agentflow.state import State


class ModelAction(FunctionAction):
    """An action made from a function over a pydantic model by `@action.pydantic`."""

    def __init__(
        self,
        fn: Callable[..., Any],
        reads: Iterable[str],
        writes: Iterable[str],
        tags: Iterable[str],
        options: Options,
        model: type[Any],
        returned_model: type[Any] | None,
    ) -> None:
        super().__init__(fn, reads, writes, tags, options)
        self.model = model
        self.returned_model: type[Any] = returned_model or model

    async def perform(self, runtime: Runtime, state: State[Any], inputs: dict[str, Any]) -> tuple[Any, State[Any]]:
        owner = self.contract.scope.owner
        given = typed.model_of(state, self.model, self.contract.scope)
        try:
            returned = await runtime.call(self.fn, given, **self.bound, **inputs)
        except AttributeError as error:
            raise typed.undeclared_read(error, given, owner) or error from None
        updates = typed.updates_from(returned, given, state, self.contract.scope)
        return updates, state.update(**updates)


def annotated_model(fn: Callable[..., Any], argument: str) -> type[Any]:
    """The class that annotates the first parameter of `fn`.

    Raises:
        BuildError: It is not annotated with a class.
    """
    hints = get_type_hints(fn)
    first = next((parameter.name for parameter in declared(fn)), "")
    if not isinstance(hints.get(first), type):
        raise BuildError(f"'{name_of(fn)}' does not say which model it takes: annotate {first!r} or pass {argument}=.")
    return cast(type[Any], hints[first])
