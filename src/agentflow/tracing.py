"""Spans inside an action: named pieces of work with attributes, told to the hooks.

What must not live here: storing or exporting what is told (trackers do that).
"""

from __future__ import annotations

import contextvars
import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from agentflow.context import ApplicationContext
from agentflow.errors import BuildError, RunError
from agentflow.hooks import fire
from agentflow.runtime import ASYNC, BLOCKING, Runtime, name_of, run_blocking
from agentflow.signatures import is_async

Fn = TypeVar("Fn", bound=Callable[..., Any])


@dataclass(slots=True)
class ActionSpan:
    """One span: `uid` is unique in the application, and its dots show the nesting."""

    action: str
    action_sequence_id: int
    name: str
    parent: ActionSpan | None
    sequence_id: int
    app_id: str = ""
    child_count: int = field(default=0, compare=False)

    @property
    def uid(self) -> str:
        """Such as "4:0.1": the second child of the first span of step 4."""
        if self.parent is None:
            return f"{self.action_sequence_id}:{self.sequence_id}"
        return f"{self.parent.uid}.{self.sequence_id}"


_current: contextvars.ContextVar[ActionSpan | None] = contextvars.ContextVar("agentflow_current_span", default=None)


class ActionSpanTracer:
    """One span, to be entered with `with` (or `async with`, when a hook is async)."""

    def __init__(self, factory: TracerFactory, name: str, span_dependencies: list[str] | None = None) -> None:
        self._factory = factory
        self._name = name
        self._dependencies = span_dependencies or []
        self._token: contextvars.Token[ActionSpan | None] | None = None
        self.span: ActionSpan | None = None

    def __enter__(self) -> ActionSpanTracer:
        run_blocking(self._open(BLOCKING))
        return self

    def __exit__(self, *exc: object) -> None:
        run_blocking(self._close(BLOCKING))

    async def __aenter__(self) -> ActionSpanTracer:
        await self._open(ASYNC)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._close(ASYNC)

    def log_attributes(self, **attributes: Any) -> None:
        """Record attributes on this span."""
        run_blocking(self._factory.tell_attributes(BLOCKING, attributes, self.span))

    async def alog_attributes(self, **attributes: Any) -> None:
        """The async twin of `log_attributes`, for where a hook is async."""
        await self._factory.tell_attributes(ASYNC, attributes, self.span)

    def log_attribute(self, key: str, value: Any) -> None:
        """Record one attribute on this span."""
        self.log_attributes(**{key: value})

    async def alog_attribute(self, key: str, value: Any) -> None:
        """The async twin of `log_attribute`."""
        await self.alog_attributes(**{key: value})

    async def _open(self, runtime: Runtime) -> None:
        self.span = self._factory.new_span(self._name, _current.get())
        self._token = _current.set(self.span)
        await self._factory.tell_span(runtime, "pre_start_span", self.span, self._dependencies)

    async def _close(self, runtime: Runtime) -> None:
        if self._token is not None and self.span is not None:
            _current.reset(self._token)
            await self._factory.tell_span(runtime, "post_end_span", self.span, self._dependencies)


class TracerFactory:
    """What an action gets as `__tracer`: `with __tracer("name") as span: ...`."""

    def __init__(self, context: ApplicationContext) -> None:
        self._context = context

    def __call__(self, span_name: str, span_dependencies: list[str] | None = None) -> ActionSpanTracer:
        """A span of that name; `span_dependencies` names spans it builds on."""
        return ActionSpanTracer(self, span_name, span_dependencies)

    def log_attributes(self, **attributes: Any) -> None:
        """Record attributes on the step itself, or on the span that is open."""
        run_blocking(self.tell_attributes(BLOCKING, attributes, _current.get()))

    async def alog_attributes(self, **attributes: Any) -> None:
        """The async twin of `log_attributes`, for where a hook is async."""
        await self.tell_attributes(ASYNC, attributes, _current.get())

    def log_attribute(self, key: str, value: Any) -> None:
        """Record one attribute on the step itself, or on the span that is open."""
        self.log_attributes(**{key: value})

    async def alog_attribute(self, key: str, value: Any) -> None:
        """The async twin of `log_attribute`."""
        await self.alog_attributes(**{key: value})

    def new_span(self, name: str, parent: ActionSpan | None) -> ActionSpan:
        """A span below `parent`, numbered in order."""
        action, step = self._context.action_name or "", self._context.sequence_id or 0
        if parent is None or (parent.app_id, parent.action_sequence_id) != (self._context.app_id, step):
            parent, number = None, self._context.next_span_number()  # a child's step may run inside a parent's span
        else:
            number = parent.child_count
            parent.child_count += 1
        return ActionSpan(action, step, name, parent, number, self._context.app_id)

    async def tell_span(self, runtime: Runtime, moment: str, span: ActionSpan, dependencies: list[str]) -> None:
        """Tell the hooks that a span begins or ends."""
        await fire(
            runtime,
            getattr(self._context.hooks, moment),
            action=span.action,
            action_sequence_id=span.action_sequence_id,
            span=span,
            span_dependencies=dependencies,
            app_id=self._context.app_id,
            partition_key=self._context.partition_key,
        )

    async def tell_attributes(self, runtime: Runtime, attributes: dict[str, Any], span: ActionSpan | None) -> None:
        """Tell the hooks of attributes."""
        await fire(
            runtime,
            self._context.hooks.do_log_attributes,
            attributes=attributes,
            action=self._context.action_name,
            action_sequence_id=self._context.sequence_id,
            span=span,
            tags={},
            app_id=self._context.app_id,
            partition_key=self._context.partition_key,
        )


def trace(fn: Fn) -> Fn:
    """Make a span of every call of a function, plain or async; outside of an action it is just called.

    Raises:
        BuildError: The function is a generator, which does its work after the call.

    Example:
        >>> @trace
        ... def embed(text: str) -> list[float]: ...
    """
    name = name_of(fn).rsplit(".", 1)[-1]
    if inspect.isgeneratorfunction(fn) or inspect.isasyncgenfunction(fn):
        raise BuildError(f"@trace on '{name}': a generator has no one end, so open a span inside of it instead.")

    def span() -> ActionSpanTracer | None:
        context = ApplicationContext.get()
        return None if context is None else TracerFactory(context)(name)

    @functools.wraps(fn)
    def traced(*args: Any, **kwargs: Any) -> Any:
        tracer = span()
        if tracer is None:
            return fn(*args, **kwargs)
        with tracer:
            return fn(*args, **kwargs)

    @functools.wraps(fn)
    async def traced_async(*args: Any, **kwargs: Any) -> Any:
        tracer = span()
        if tracer is None:
            return await fn(*args, **kwargs)
        async with tracer:
            return await fn(*args, **kwargs)

    return traced_async if is_async(fn) else traced  # type: ignore[return-value]


def current_tracer() -> TracerFactory:
    """The tracer of the running step.

    Raises:
        RunError: No action is running here.
    """
    context = ApplicationContext.get()
    if context is None:
        raise RunError("there is no running action here to trace: call this from inside one.")
    return TracerFactory(context)
