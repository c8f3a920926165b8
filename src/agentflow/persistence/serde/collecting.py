"""Which types a declaration mentions: enums, dataclasses, models and named tuples, however deep in its annotations.

What must not live here: codecs, or values.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import typing
from collections.abc import Iterator
from typing import Any

from agentflow.persistence.serde.objects import is_model_type, is_named_tuple, is_plain_dataclass


def types_of(declared: Any) -> set[type]:
    """The types that a value of a declared type may be made of, and that a serde has to be given to rebuild them.

    Args:
        declared: A pydantic model, dataclass, TypedDict, enum or named tuple, or any annotation.

    Example:
        >>> from enum import Enum
        >>> class Tone(Enum):
        ...     CALM = "calm"
        >>> types_of(dict[str, list[Tone | None]]) == {Tone}
        True
    """
    found: set[type] = set()
    seen: dict[int, Any] = {}  # by identity, since not all annotations can be hashed; kept, so that no identity returns
    waiting = [declared]
    while waiting:
        annotation = waiting.pop()
        if id(annotation) in seen:  # a tree holds itself in its annotations
            continue
        seen[id(annotation)] = annotation
        if isinstance(annotation, type) and rebuilt(annotation):
            found.add(annotation)
        waiting.extend(_inside(annotation))
    return found


def rebuilt(cls: type) -> bool:
    """Whether a serde knows how to rebuild this type once it may."""
    if typing.get_origin(cls) is not None:
        return False
    return issubclass(cls, enum.Enum) or is_model_type(cls) or is_plain_dataclass(cls) or is_named_tuple(cls)


def _inside(annotation: Any) -> Iterator[Any]:
    """What an annotation mentions: its arguments, and the fields of a class."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        yield annotation.__origin__  # and not what is written beside it
        return
    yield from getattr(annotation, "__pydantic_generic_metadata__", {}).get("args", ())
    for argument in typing.get_args(annotation):
        yield type(argument) if isinstance(argument, enum.Enum) else argument  # a literal
    if isinstance(origin, type):
        yield origin
    if bound := getattr(annotation, "__bound__", None):
        yield bound
    if hasattr(annotation, "__supertype__"):
        yield annotation.__supertype__
    elif type(annotation).__name__ == "TypeAliasType":
        yield annotation.__value__
    elif isinstance(annotation, type) and not issubclass(annotation, enum.Enum):
        yield from _fields(annotation)


def _fields(cls: type) -> tuple[Any, ...]:
    if is_model_type(cls):
        fields: dict[str, Any] = getattr(cls, "model_fields")  # noqa: B009  # typed for models only
        private = getattr(cls, "__annotations__", {}) if getattr(cls, "__private_attributes__", {}) else {}
        return (*(field.annotation for field in fields.values()), *private.values())
    if not (dataclasses.is_dataclass(cls) or is_named_tuple(cls) or is_typed_dict(cls)):
        return ()
    return tuple(_hints(cls).values())


def is_typed_dict(cls: Any) -> bool:
    """Whether this is a TypedDict, of `typing` or of `typing_extensions`; its values are plain dicts."""
    return isinstance(cls, type) and issubclass(cls, dict) and hasattr(cls, "__required_keys__")


def _hints(cls: type) -> dict[str, Any]:
    try:
        return _resolved(cls)
    except Exception:  # a name under TYPE_CHECKING, or a class inside of a function: take those that can be resolved
        return {
            name: hint
            for base in cls.__mro__
            for key in vars(base).get("__annotations__", {})
            for name, hint in _hint(base, key).items()
        }


@functools.lru_cache(maxsize=512)  # what fails is not kept: the name may be there next time
def _resolved(cls: Any) -> dict[str, Any]:
    return typing.get_type_hints(cls, include_extras=True)


def _hint(cls: type, name: str) -> dict[str, Any]:
    alone = type(cls.__name__, (), {"__annotations__": {name: cls.__annotations__[name]}, "__module__": cls.__module__})
    try:
        return typing.get_type_hints(alone, include_extras=True)
    except Exception:
        return {}
