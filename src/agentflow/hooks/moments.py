"""The moments of a run that can be observed: one Protocol each, with the facts that are told.

What must not live here: who is told, and in which order.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from agentflow.actions import Action
    from agentflow.graph import Graph
    from agentflow.hooks.methods import ExecuteMethod
    from agentflow.select.selector import Decision
    from agentflow.state import State


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
    """After a choice was made; `decision.sequence_id` is the step it chose.

    `future_kwargs["context"]` knows the model calls that it took; it is None where nobody's code was asked.
    """

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
