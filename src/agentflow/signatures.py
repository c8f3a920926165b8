"""What a user's function declares it takes, read once when it is decorated or its class is made.

Users' overrides are called with the parameters they declare; everything that needs a signature asks here. A plain
function is read from its code object, because loading `inspect` costs every program more than most of the core does.
What must not live here: calling anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import FunctionType, MethodType
from typing import Any, Final, NamedTuple

from agentflow.errors import BuildError
from agentflow.facts import Fact
from agentflow.runtime import name_of

#: Parameters the engine fills in by name; inside a class body Python mangles them to `_Class__context`.
CONTEXT, TRACER = "__context", "__tracer"
#: How a parameter may be given, numbered as the kinds of `inspect` are.
POSITIONAL_ONLY, POSITIONAL_OR_KEYWORD, VAR_POSITIONAL, KEYWORD_ONLY, VAR_KEYWORD = range(5)
#: What stands for a default or an annotation that is not there.
ABSENT: Final = object()
#: The flags of a code object, as `inspect` documents them.
_VARARGS, _VARKEYWORDS, _COROUTINE, _ASYNC_GENERATOR = 0x04, 0x08, 0x80, 0x200


class Declared(NamedTuple):
    """One parameter of a function; `default` and `annotation` are `ABSENT` where there is none."""

    name: str
    kind: int
    default: Any
    annotation: Any


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


def declared(fn: Callable[..., Any]) -> list[Declared]:
    """The parameters of `fn` as `inspect.signature` tells them: without `self` where it is bound."""
    function = _function(fn)
    if function is not None:
        found = _from_code(function)
        has_self = function is not fn and found and found[0].kind != VAR_POSITIONAL
        return found[1:] if has_self else found
    import inspect

    absent = inspect.Parameter.empty
    return [
        Declared(
            name, int(each.kind), *(ABSENT if fact is absent else fact for fact in (each.default, each.annotation))
        )
        for name, each in inspect.signature(fn).parameters.items()
    ]


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
    for position, parameter in enumerate(declared(fn)):
        if parameter.kind in (VAR_POSITIONAL, VAR_KEYWORD) or position < skip:
            continue
        if parameter.kind == POSITIONAL_ONLY:
            raise BuildError(f"'{name_of(fn)}' takes {parameter.name!r} by position only: inputs are passed by name.")
        kind = _filled_by_engine(parameter)
        if kind is not None:
            special[kind] = parameter.name
        elif parameter.name not in taken:
            (required if parameter.default is ABSENT else optional).append(parameter.name)
            annotations[parameter.name] = None if parameter.annotation is ABSENT else parameter.annotation
            if parameter.default is not ABSENT:
                defaults[parameter.name] = parameter.default
    return Parameters(
        tuple(required), tuple(optional), special.get(CONTEXT), special.get(TRACER), annotations, defaults
    )


def accepted(fn: Callable[..., Any]) -> frozenset[str] | None:
    """The names `fn` can be called with by keyword, or None when it takes any (`**kwargs`)."""
    parameters = declared(fn)
    if any(parameter.kind == VAR_KEYWORD for parameter in parameters):
        return None
    return frozenset(parameter.name for parameter in parameters)


def positional_count(fn: Callable[..., Any]) -> int:
    """How many arguments `fn` can be given by position (a bound method does not count its `self`)."""
    kinds = [parameter.kind for parameter in declared(fn)]
    if VAR_POSITIONAL in kinds:
        return 99
    return sum(kind in (POSITIONAL_ONLY, POSITIONAL_OR_KEYWORD) for kind in kinds)


def is_async(fn: Callable[..., Any]) -> bool:
    """Whether calling `fn` gives something that must be awaited or iterated asynchronously."""
    function = _function(fn)
    if function is not None:
        return bool(function.__code__.co_flags & (_COROUTINE | _ASYNC_GENERATOR))
    import inspect

    target = inspect.unwrap(fn)
    target = getattr(target, "func", target)  # functools.partial
    call = getattr(type(target), "__call__", None)  # noqa: B004  # whether it is async is asked, not whether it is there
    return any(
        inspect.iscoroutinefunction(candidate) or inspect.isasyncgenfunction(candidate) for candidate in (target, call)
    )


def is_plain(fn: Callable[..., Any]) -> bool:
    """Whether `is_async` is sure of what calling `fn` gives: a value, or what must be awaited; nothing wraps it."""
    function = _function(fn)
    return function is not None and not function.__code__.co_flags & _ASYNC_GENERATOR


def docstring(text: str | None) -> str:
    """A docstring without the indentation of the code it stands in, as `inspect.cleandoc` gives it; "" for none."""
    first, *rest = (text or "").expandtabs().split("\n")
    margin = min((len(line) - len(line.lstrip()) for line in rest if line.strip()), default=0)
    return "\n".join((first.lstrip(), *(line[margin:] for line in rest))).strip("\n")


def names(declared: str | Iterable[str]) -> tuple[str, ...]:
    """Declared names as a tuple; a bare string is one name, never its letters."""
    return (declared,) if isinstance(declared, str) else tuple(declared)


def _function(fn: Callable[..., Any]) -> FunctionType | None:
    """The function behind `fn`, where that is just what its code says: nothing wraps it, signs for it or marks it."""
    function = fn.__func__ if fn.__class__ is MethodType else fn
    return function if function.__class__ is FunctionType and not vars(function) else None


def _from_code(function: FunctionType) -> list[Declared]:
    code, notes = function.__code__, function.__annotations__
    only, positional, values = code.co_posonlyargcount, code.co_argcount, function.__defaults__ or ()
    kinds = [POSITIONAL_ONLY] * only + [POSITIONAL_OR_KEYWORD] * (positional - only)
    kinds += [KEYWORD_ONLY] * code.co_kwonlyargcount
    kinds += [VAR_POSITIONAL] * bool(code.co_flags & _VARARGS) + [VAR_KEYWORD] * bool(code.co_flags & _VARKEYWORDS)
    given = dict(zip(code.co_varnames[positional - len(values) : positional], values, strict=True))
    given |= function.__kwdefaults__ or {}
    found = [
        Declared(name, kind, given.get(name, ABSENT), notes.get(name, ABSENT))
        for name, kind in zip(code.co_varnames, kinds, strict=False)  # its local variables come after its parameters
    ]
    return sorted(found, key=lambda parameter: parameter.kind)  # code has `*args` last, where it was not written


def _filled_by_engine(parameter: Declared) -> str | None:
    for kind in (CONTEXT, TRACER):
        if parameter.name == kind or (parameter.name.startswith("_") and parameter.name.endswith(kind)):
            return kind
    annotation = parameter.annotation
    text = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "")
    text = text.replace(" ", "").removesuffix("|None").rsplit(".", 1)[-1]
    return {"ApplicationContext": CONTEXT, "TracerFactory": TRACER}.get(text)
