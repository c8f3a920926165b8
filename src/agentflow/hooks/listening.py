"""HookSet: who listens to which moment, and how the listeners are told.

What must not live here: what a listener does with what it is told.
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Iterable
from types import FunctionType
from typing import Any, Final

from agentflow.errors import BuildError
from agentflow.runtime import Runtime
from agentflow.signatures import accepted, is_async

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

    __slots__ = (*MOMENTS, "cascading", "first_async", "hooks")

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
        #: Those that observe children too: they say so with an attribute `cascades` that is true.
        self.cascading: tuple[Hook, ...] = tuple(hook for hook in self.hooks if getattr(hook, "cascades", False))
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
            if self.first_async is None and _known(getattr(hook, moment))[1]:
                self.first_async = f"{type(hook).__name__}.{moment}"


NO_HOOKS: Final = HookSet()


async def fire(runtime: Runtime, listeners: tuple[Listener, ...], **facts: Any) -> None:
    """Call each listener with the facts."""
    for listener in listeners:
        await runtime.call(listener, **facts)


def _adapted(listener: Listener) -> Listener:
    wanted = _known(listener)[0]
    if wanted is None:
        return listener

    @functools.wraps(listener)
    def adapted(**facts: Any) -> Any:
        return listener(**{name: fact for name, fact in facts.items() if name in wanted})

    return adapted


#: What was found out about a function; a method is looked at once for all objects of its class.
_found_out: weakref.WeakKeyDictionary[Any, tuple[frozenset[str] | None, bool]] = weakref.WeakKeyDictionary()


def _known(listener: Listener) -> tuple[frozenset[str] | None, bool]:
    """Which facts a listener takes (None for any), and whether it is async."""
    function = getattr(listener, "__func__", None)
    if not isinstance(function, FunctionType):
        return accepted(listener), is_async(listener)
    found = _found_out.get(function)
    if found is None:
        found = _found_out[function] = accepted(listener), is_async(listener)
    return found
