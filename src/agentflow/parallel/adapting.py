"""Calling what users override with the parameters they declare, resolved once when the class is made.

What must not live here: which parameters mean what (`maps.py`).
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Final, TypeVar

from agentflow.runtime import Runtime
from agentflow.signatures import accepted
from agentflow.state import State

#: What users override, and is called with the parameters it declares.
OVERRIDES: Final = (
    "tasks",
    "reduce",
    "actions",
    "states",
    "action",
    "state",
    "executor",
    "tracker",
    "state_persister",
    "state_initializer",
)
#: Those of them that say what children inherit, under the name of the task's field they fill.
INHERITED: Final = ("tracker", "state_persister", "state_initializer")
#: The parameters they may declare.
OFFERED: Final = frozenset({"state", "states", "context", "inputs", "outcomes"})
#: The inputs beside something that was yielded without any.
NO_INPUTS: Final[Mapping[str, Any]] = {}

T = TypeVar("T")


async def gathered(runtime: Runtime, made: Any, take: Callable[[Any], T]) -> list[T]:
    """What `take` makes of each thing a user's generator, async generator, coroutine or list gives, as it comes."""
    if isinstance(made, AsyncIterator):
        return await runtime.call(_taken_async, made, take)  # type: ignore[no-any-return]
    if hasattr(made, "__await__"):
        made = await runtime.call(lambda: made)
    return [take(given) for given in made]


async def _taken_async(made: AsyncIterator[Any], take: Callable[[Any], T]) -> list[T]:
    return [take(item) async for item in made]


def with_inputs(given: Any) -> tuple[Any, Mapping[str, Any]]:
    """What a user yielded, and the inputs beside it."""
    if (
        isinstance(given, tuple)
        and len(given) == 2
        and isinstance(given[1], Mapping)
        and not isinstance(given[1], State)
    ):
        return given[0], given[1]
    return given, NO_INPUTS


def wanted(fn: Callable[..., Any], /, **offered: Any) -> dict[str, Any]:
    """Those of the offered arguments that a user's method declares; all of them for one that nobody has overridden."""
    declared = getattr(fn, "wanted", None)
    return offered if declared is None else {name: offered[name] for name in declared if name in offered}


def wants(fn: Callable[..., Any], name: str) -> bool:
    """Whether a user's method declares that argument."""
    return name in getattr(fn, "wanted", (name,))


def called(fn: Callable[..., Any], **offered: Any) -> Any:
    """Call a plain function with those of the offered arguments it declares."""
    declared = accepted(fn)
    return fn(**{name: value for name, value in offered.items() if declared is None or name in declared})


def adapt(cls: type) -> None:
    """Have what a user's class overrides be called with the parameters it declares."""
    short = vars(cls).get("persister")
    if inspect.isfunction(short) and "state_persister" not in vars(cls):
        cls.state_persister = short  # type: ignore[attr-defined]
    for name in OVERRIDES:
        written = vars(cls).get(name)
        if inspect.isfunction(written):
            setattr(cls, name, adapted(written))


def adapted(written: Callable[..., Any]) -> Any:
    """A user's method that says which of the offered parameters it wants, written with `self` or without."""
    parameters = list(inspect.signature(written).parameters)
    open_ended = any(
        parameter.kind is parameter.VAR_KEYWORD for parameter in inspect.signature(written).parameters.values()
    )
    declared = OFFERED if open_ended else [name for name in parameters if name in OFFERED]
    written.wanted = tuple(declared)  # type: ignore[attr-defined]
    has_self = bool(parameters) and parameters[0] not in OFFERED
    return written if has_self else staticmethod(written)
