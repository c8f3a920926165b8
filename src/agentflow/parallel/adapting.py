"""Calling what users override with the parameters they declare, resolved once when the class is made.

What must not live here: which parameters mean what (`maps.py`).
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterable, Callable, Iterable, Mapping
from typing import Any, Final, TypeVar

from agentflow.errors import AsyncCodeError, ResultError
from agentflow.runtime import BLOCKING, Runtime, run_blocking
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
#: Those of them that give one thing at once: they may not be async.
PLAIN_ONLY: Final = ("action", "state", "executor", *INHERITED)
#: The parameters they may declare.
OFFERED: Final = frozenset({"state", "states", "context", "inputs", "outcomes"})
#: The inputs beside something that was yielded without any.
NO_INPUTS: Final[Mapping[str, Any]] = {}

T = TypeVar("T")


async def gathered(runtime: Runtime, made: Any, take: Callable[[Any], T], owner: str) -> list[T]:
    """What `take` makes of each thing a user's generator, async generator, coroutine or list gives, as it comes.

    Raises:
        ResultError: `owner` gave no several things.
        AsyncCodeError: It waits on an event loop in a blocking run.
    """
    taken = _taken(made, take, owner)
    if runtime is not BLOCKING:
        return await taken
    try:
        return run_blocking(taken)
    except (AsyncCodeError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "no running event loop" not in str(error):
            raise
        raise AsyncCodeError(f"{owner} waits on an event loop: use the async verb (astep, aiterate, arun).") from error


async def _taken(made: Any, take: Callable[[Any], T], owner: str) -> list[T]:
    if isinstance(made, AsyncIterable):
        return [take(given) async for given in made]
    if hasattr(made, "__await__"):
        made = await made
    if isinstance(made, State | str) or not isinstance(made, Iterable):
        raise ResultError(f"{owner} gave a {type(made).__name__}: yield one after the other, or return a list of them.")
    return [take(given) for given in made]


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
