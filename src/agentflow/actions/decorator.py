"""`@action` and `@action.pydantic`.

What must not live here: what an action does once it is made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from agentflow.actions.base import PURE, make_options
from agentflow.actions.function import FunctionAction
from agentflow.actions.model import ModelAction, annotated_model

if TYPE_CHECKING:
    from agentflow.retrying import RetryPolicy


class _ActionDecorator:
    """`@action(...)`, and `@action.pydantic(...)` for functions over pydantic models."""

    def __call__(
        self,
        reads: Iterable[str],
        writes: Iterable[str],
        tags: Iterable[str] = (),
        *,
        retry: RetryPolicy | None = None,
        timeout: float | None = None,
        blocking: bool = False,
        kind: str = PURE,
        verify: Callable[..., Any] | None = None,
    ) -> Callable[[Callable[..., Any]], FunctionAction]:
        """Make an action of a function `fn(state, *inputs)` that returns a `State`, or `(result dict, State)`.

        Parameters after the first are inputs: required without a default, optional with one. A parameter named
        `__context`, or annotated `ApplicationContext`, is given the running step's context.

        Args:
            reads: The state keys it may read.
            writes: The state keys it may write; after it has run, each has a value.
            tags: Names to halt at (`"@tag:x"`) or to find it by.
            retry: When to try again after an error: any tenacity-style policy, such as
                `tenacity.Retrying(stop=tenacity.stop_after_attempt(3))`.
            timeout: The longest one attempt may take, in seconds; then `ActionTimeoutError` is raised.
            blocking: In an async run, call it in a thread so that it cannot hold up the event loop.
            kind: "pure", which may be repeated freely after a crash; "idempotent", which may be repeated and passes
                `context.idempotency_key` on; or "at_most_once", which is never begun again before somebody knows what
                became of it.
            verify: For "at_most_once": called as the action would be when it was begun before; returns None when it
                had no effect, so that it runs now, or what the action would have returned.

        Example:
            >>> @action(reads=["count"], writes=["count"])
            ... def increment(state: State, by: int = 1) -> State:
            ...     return state.update(count=state["count"] + by)
        """
        options = make_options(retry, timeout, blocking, kind, verify)

        def decorate(fn: Callable[..., Any]) -> FunctionAction:
            return FunctionAction(fn, reads, writes, tags, options)

        return decorate

    def pydantic(
        self,
        reads: Iterable[str],
        writes: Iterable[str],
        state_input_type: type[Any] | None = None,
        state_output_type: type[Any] | None = None,
        tags: Iterable[str] = (),
        *,
        retry: RetryPolicy | None = None,
        timeout: float | None = None,
        blocking: bool = False,
        kind: str = PURE,
        verify: Callable[..., Any] | None = None,
    ) -> Callable[[Callable[..., Any]], ModelAction]:
        """Make an action of a function `fn(state: Model, *inputs) -> Model` over a pydantic model.

        The function is given a model with the declared reads only; it may change it in place and return it, or return
        another one. The declared writes are taken from what it returns.

        Args:
            reads: The fields it may read.
            writes: The fields it may write.
            state_input_type: The model it takes; by default the annotation of its first parameter.
            state_output_type: The model it returns; by default the return annotation.
            tags: See `action`.
            retry: See `action`.
            timeout: See `action`.
            blocking: See `action`.
            kind: See `action`.
            verify: See `action`.

        Raises:
            BuildError: The model is neither given nor annotated.
        """
        options = make_options(retry, timeout, blocking, kind, verify)

        def decorate(fn: Callable[..., Any]) -> ModelAction:
            taken = state_input_type or annotated_model(fn, "state_input_type")
            return ModelAction(fn, reads, writes, tags, options, taken, state_output_type)

        return decorate


action: _ActionDecorator = _ActionDecorator()
