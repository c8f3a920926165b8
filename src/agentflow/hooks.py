"""What can be observed: one Protocol per moment, and the set that fires them.

A hook is any object with methods of these names, plain or async, each called with the keyword arguments it declares.
Hooks before a moment run in the order they were added, hooks after one in reverse, so that the first is the outermost.
An error in a hook is raised to the caller of the run; what was committed before it stays committed. What must not
live here: what a particular hook does with what it sees.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Protocol, runtime_checkable

from agentflow.errors import BuildError
from agentflow.runtime import Runtime
from agentflow.signatures import accepted, is_async

if TYPE_CHECKING:
    from agentflow.actions import Action
    from agentflow.graph import Graph
    from agentflow.select.selector import Decision
    from agentflow.state import State


class ExecuteMethod(StrEnum):
    """The public verb a run was started by."""

    step = "step"
    astep = "astep"
    iterate = "iterate"
    aiterate = "aiterate"
    run = "run"
    arun = "arun"
    stream_result = "stream_result"
    astream_result = "astream_result"
    stream_iterate = "stream_iterate"
    astream_iterate = "astream_iterate"


@runtime_checkable
class PostApplicationCreateHook(Protocol):
    """After an application was built."""

    def post_application_create(
        self,
        *,
        app_id: str,
        partition_key: str | None,
        state: State[Any],
        application_graph: Graph,
        parent_pointer: Any,
        spawning_parent_pointer: Any,
        **future_kwargs: Any,
    ) -> Any: ...


@runtime_checkable
class PreRunStepHook(Protocol):
    """Before an action is performed; `inputs` holds what the action is given, without what the engine fills in."""

    def pre_run_step(
        self,
        *,
        app_id: str,
        partition_key: str | None,
        sequence_id: int,
        state: State[Any],
        action: Action,
        inputs: Mapping[str, Any],
        **future_kwargs: Any,
    ) -> Any: ...


@runtime_checkable
class PostRunStepHook(Protocol):
    """After an action was performed, well or not; after a failure `state` is the state before the action."""

    def post_run_step(
        self,
        *,
        app_id: str,
        partition_key: str | None,
        sequence_id: int,
        state: State[Any],
        action: Action,
        result: Mapping[str, Any] | None,
        exception: BaseException | None,
        **future_kwargs: Any,
    ) -> Any: ...


@runtime_checkable
class PostDecideHook(Protocol):
    """After a choice was made; `decision.sequence_id` is the step it chose."""

    def post_decide(
        self, *, app_id: str, partition_key: str | None, decision: Decision, state: State[Any], **future_kwargs: Any
    ) -> Any: ...


@runtime_checkable
class PostUpdateStateHook(Protocol):
    """After the state or position was changed from outside: `method` is "update_state" or "reset_to_entrypoint"."""

    def post_update_state(
        self, *, app_id: str, partition_key: str | None, method: str, state: State[Any], **future_kwargs: Any
    ) -> Any: ...


@runtime_checkable
class PreRunExecuteCallHook(Protocol):
    """Before the first step of a running verb."""

    def pre_run_execute_call(
        self, *, app_id: str, partition_key: str | None, state: State[Any], method: ExecuteMethod, **future_kwargs: Any
    ) -> Any: ...


@runtime_checkable
class PostRunExecuteCallHook(Protocol):
    """After the last step of a running verb, with the exception that ended it, if one did."""

    def post_run_execute_call(
        self,
        *,
        app_id: str,
        partition_key: str | None,
        state: State[Any],
        method: ExecuteMethod,
        exception: BaseException | None,
        **future_kwargs: Any,
    ) -> Any: ...


@runtime_checkable
class PreStartStreamHook(Protocol):
    """When a stream is opened, before its first item is asked for."""

    def pre_start_stream(
        self, *, action: str, sequence_id: int, app_id: str, partition_key: str | None, **future_kwargs: Any
    ) -> Any: ...


@runtime_checkable
class PostStreamItemHook(Protocol):
    """After each item of a stream; `item_index` starts at 0, times are seconds since the epoch."""

    def post_stream_item(
        self,
        *,
        item: Any,
        item_index: int,
        stream_initialize_time: float,
        first_stream_item_start_time: float,
        action: str,
        sequence_id: int,
        app_id: str,
        partition_key: str | None,
        **future_kwargs: Any,
    ) -> Any: ...


@runtime_checkable
class PostEndStreamHook(Protocol):
    """After the last item of a stream, or when it failed or was left; before `post_run_step`."""

    def post_end_stream(
        self, *, action: str, sequence_id: int, app_id: str, partition_key: str | None, **future_kwargs: Any
    ) -> Any: ...


@runtime_checkable
class PreStartSpanHook(Protocol):
    """When a span is opened inside an action."""

    def pre_start_span(
        self,
        *,
        action: str,
        action_sequence_id: int,
        span: Any,
        span_dependencies: list[str],
        app_id: str,
        partition_key: str | None,
        **future_kwargs: Any,
    ) -> Any: ...


@runtime_checkable
class PostEndSpanHook(Protocol):
    """When a span is closed."""

    def post_end_span(
        self,
        *,
        action: str,
        action_sequence_id: int,
        span: Any,
        span_dependencies: list[str],
        app_id: str,
        partition_key: str | None,
        **future_kwargs: Any,
    ) -> Any: ...


@runtime_checkable
class DoLogAttributeHook(Protocol):
    """When an action records attributes, on a span or on its step."""

    def do_log_attributes(
        self,
        *,
        attributes: dict[str, Any],
        action: str,
        action_sequence_id: int,
        span: Any,
        tags: dict[str, Any],
        app_id: str,
        partition_key: str | None,
        **future_kwargs: Any,
    ) -> Any: ...


Hook = Any
Listener = Callable[..., Any]

#: Every moment, in the order a run comes to them.
MOMENTS: Final = (
    "post_application_create",
    "pre_run_execute_call",
    "pre_run_step",
    "pre_start_stream",
    "post_stream_item",
    "post_end_stream",
    "pre_start_span",
    "post_end_span",
    "do_log_attributes",
    "post_run_step",
    "post_decide",
    "post_update_state",
    "post_run_execute_call",
)


class HookSet:
    """The listeners of each moment, a tuple a moment, empty when nobody listens: then the engine does not call at all.

    Raises:
        BuildError: An object listens to no moment.
    """

    __slots__ = (*MOMENTS, "hooks", "first_async")

    post_application_create: tuple[Listener, ...]
    pre_run_execute_call: tuple[Listener, ...]
    pre_run_step: tuple[Listener, ...]
    pre_start_stream: tuple[Listener, ...]
    post_stream_item: tuple[Listener, ...]
    post_end_stream: tuple[Listener, ...]
    pre_start_span: tuple[Listener, ...]
    post_end_span: tuple[Listener, ...]
    do_log_attributes: tuple[Listener, ...]
    post_run_step: tuple[Listener, ...]
    post_decide: tuple[Listener, ...]
    post_update_state: tuple[Listener, ...]
    post_run_execute_call: tuple[Listener, ...]

    def __init__(self, hooks: Iterable[Hook] = ()) -> None:
        self.hooks: tuple[Hook, ...] = tuple(hooks)
        #: The first async listener, by name: a blocking run cannot call it.
        self.first_async: str | None = None
        for hook in self.hooks:
            self._admit(hook)
        for moment in MOMENTS:
            found = [getattr(hook, moment) for hook in self.hooks if callable(getattr(hook, moment, None))]
            ordered = reversed(found) if moment.startswith("post") else found
            setattr(self, moment, tuple(_adapted(listener) for listener in ordered))

    def _admit(self, hook: Hook) -> None:
        heard = [moment for moment in MOMENTS if callable(getattr(hook, moment, None))]
        if isinstance(hook, type) or not heard:
            raise BuildError(f"{hook!r} is no hook: pass an object with a method such as post_run_step(self, ...).")
        for moment in heard:
            if self.first_async is None and is_async(getattr(hook, moment)):
                self.first_async = f"{type(hook).__name__}.{moment}"


NO_HOOKS: Final = HookSet()


async def fire(runtime: Runtime, listeners: tuple[Listener, ...], **facts: Any) -> None:
    """Call each listener with the facts."""
    for listener in listeners:
        await runtime.call(listener, **facts)


def _adapted(listener: Listener) -> Listener:
    wanted = accepted(listener)
    if wanted is None:
        return listener

    @functools.wraps(listener)
    def adapted(**facts: Any) -> Any:
        return listener(**{name: fact for name, fact in facts.items() if name in wanted})

    return adapted
