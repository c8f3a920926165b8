"""What a user's function declares it takes, read once when it is decorated or its class is made.

Users' overrides are called with the parameters they declare; everything that needs a signature asks here. What must
not live here: calling anything.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from agentflow.errors import BuildError
from agentflow.facts import Fact
from agentflow.runtime import name_of

#: Parameters the engine fills in by name; inside a class body Python mangles them to `_Class__context`.
CONTEXT, TRACER = "__context", "__tracer"


class Parameters(Fact):
    """The inputs of an action: what must be given, what may be, and what the engine itself fills in."""

    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    context: str | None = None
    tracer: str | None = None
    annotations: Mapping[str, Any] = {}
    defaults: Mapping[str, Any] = {}

    @property
    def names(self) -> frozenset[str]:
        return frozenset(self.required) | frozenset(self.optional)


def parameters_of(fn: Callable[..., Any], skip: int, bound: Iterable[str] = ()) -> Parameters:
    """The inputs that `fn` takes after its first `skip` parameters, without those that are already bound.

    Raises:
        BuildError: An input can only be passed by position.
    """
    taken = frozenset(bound)
    required: list[str] = []
    optional: list[str] = []
    special: dict[str, str] = {}
    annotations: dict[str, Any] = {}
    defaults: dict[str, Any] = {}
    for position, parameter in enumerate(inspect.signature(fn).parameters.values()):
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD) or position < skip:
            continue
        if parameter.kind is parameter.POSITIONAL_ONLY:
            raise BuildError(f"'{name_of(fn)}' takes {parameter.name!r} by position only: inputs are passed by name.")
        kind = _filled_by_engine(parameter)
        if kind is not None:
            special[kind] = parameter.name
        elif parameter.name not in taken:
            (required if parameter.default is parameter.empty else optional).append(parameter.name)
            annotations[parameter.name] = _known(parameter.annotation)
            if parameter.default is not parameter.empty:
                defaults[parameter.name] = parameter.default
    return Parameters(
        tuple(required), tuple(optional), special.get(CONTEXT), special.get(TRACER), annotations, defaults
    )


def accepted(fn: Callable[..., Any]) -> frozenset[str] | None:
    """The names `fn` can be called with by keyword, or None when it takes any (`**kwargs`)."""
    parameters = inspect.signature(fn).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return None
    return frozenset(parameter.name for parameter in parameters)


def positional_count(fn: Callable[..., Any]) -> int:
    """How many arguments `fn` can be given by position (a bound method does not count its `self`)."""
    kinds = [parameter.kind for parameter in inspect.signature(fn).parameters.values()]
    if inspect.Parameter.VAR_POSITIONAL in kinds:
        return 99
    return sum(kind in (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD) for kind in kinds)


def is_async(fn: Callable[..., Any]) -> bool:
    """Whether calling `fn` gives something that must be awaited or iterated asynchronously."""
    target = inspect.unwrap(fn)
    target = getattr(target, "func", target)  # functools.partial
    call = getattr(type(target), "__call__", None)  # noqa: B004  # whether it is async is asked, not whether it is there
    return any(
        inspect.iscoroutinefunction(candidate) or inspect.isasyncgenfunction(candidate) for candidate in (target, call)
    )


def names(declared: str | Iterable[str]) -> tuple[str, ...]:
    """Declared names as a tuple; a bare string is one name, never its letters."""
    return (declared,) if isinstance(declared, str) else tuple(declared)


def _filled_by_engine(parameter: inspect.Parameter) -> str | None:
    for kind in (CONTEXT, TRACER):
        if parameter.name == kind or (parameter.name.startswith("_") and parameter.name.endswith(kind)):
            return kind
    annotation = parameter.annotation
    text = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "")
    text = text.replace(" ", "").removesuffix("|None").rsplit(".", 1)[-1]
    return {"ApplicationContext": CONTEXT, "TracerFactory": TRACER}.get(text)


def _known(annotation: Any) -> Any:
    return None if annotation is inspect.Parameter.empty else annotation
