"""Codecs of types that users define: enums, dataclasses, pydantic models and named tuples.

An object is rebuilt by setting its attributes, as they were: no `__init__`, validator or `__post_init__` runs, so it
comes back as it was saved and reading has no effects. What must not live here: which types are allowed (`registry.py`).
"""

from __future__ import annotations

import copyreg
import dataclasses
import enum
import functools
import inspect
from collections.abc import Set
from typing import Any

from agentflow.errors import BuildError
from agentflow.persistence.serde.shapes import Codec, Fields, Parts, Trouble, shown


def tag_of(cls: type) -> str:
    """The tag of a type that was given no name: where it is defined. Only compared with other tags, never imported."""
    return f"{cls.__module__}:{cls.__qualname__}"


def is_model_type(cls: type) -> bool:
    """Whether this is a pydantic model; pydantic is not loaded to find out."""
    return hasattr(cls, "__pydantic_validator__") and hasattr(cls, "model_fields")


def is_named_tuple(cls: type) -> bool:
    """Whether this was made by `NamedTuple` or `namedtuple`."""
    return issubclass(cls, tuple) and isinstance(getattr(cls, "_fields", None), tuple)


def is_plain_dataclass(cls: type) -> bool:
    """Whether this dataclass is the whole of its values: it builds on no built-in type and has no `__new__`."""
    return dataclasses.is_dataclass(cls) and cls.__new__ is object.__new__


def codec_for(cls: type, name: str | None = None) -> Codec:
    """The codec of an enum, a dataclass, a pydantic model or a named tuple.

    Args:
        cls: The exact type.
        name: What stands for it in records; where it is defined if None.

    Raises:
        BuildError: It is none of these, so nobody but its author knows how to save it.
    """
    tag = name or tag_of(cls)
    if issubclass(cls, enum.Enum):
        return Codec(tag, cls, functools.partial(_member, cls), functools.partial(_member_back, cls))
    if is_model_type(cls):
        return Codec(tag, cls, _model, functools.partial(_model_back, cls))
    if is_named_tuple(cls):
        return Codec(tag, cls, _named, functools.partial(_named_back, cls))
    if is_plain_dataclass(cls):
        return Codec(tag, cls, _data, functools.partial(_data_back, cls))
    raise BuildError(
        f"{cls!r} is no enum, dataclass, pydantic model or named tuple: say how it is saved with "
        f"register_type({cls.__name__}, encode=..., decode=...)."
    )


def _member(cls: type[enum.Enum], value: enum.Enum) -> Any:
    if cls.__members__.get(value.name) is value:
        return value.name
    if isinstance(value, enum.Flag):  # several flags together have no name
        return value.value
    raise Trouble(f"is {shown(value)}, which is no declared member of its enum and cannot be saved: declare it.")


def _member_back(cls: type[enum.Enum], content: Any) -> enum.Enum:
    if type(content) is int and issubclass(cls, enum.Flag):
        return cls(content)
    member: enum.Enum = cls.__members__[content]
    return member


def _named(value: tuple[Any, ...]) -> Any:
    if getattr(value, "__dict__", None):
        raise Trouble(f"is a {type(value)!r} with attributes of its own, which cannot be saved: use a dataclass.")
    return Fields(zip(type(value)._fields, value, strict=True))  # type: ignore[attr-defined]


def _named_back(cls: Any, content: Any) -> Any:
    _same_names(content, set(cls._fields))
    return tuple.__new__(cls, [content[name] for name in cls._fields])


def _same_names(content: Any, names: set[str]) -> None:
    if type(content) is not dict:
        raise ValueError(f"its content is a {type(content).__name__}")
    if content.keys() != names:
        raise ValueError(f"its fields differ from those saved: {', '.join(sorted(content.keys() ^ names))}")


def _data(value: Any) -> Any:
    names = [field.name for field in dataclasses.fields(value)]
    unset = [name for name in names if not hasattr(value, name)]
    if unset:
        raise Trouble(f"is a {type(value)!r} without a value of {unset[0]!r}, which cannot be saved: set it.")
    held = Fields((name, getattr(value, name)) for name in names)
    extra = _beside(value, set(names))
    return Parts([held, extra]) if extra else held


def _beside(value: Any, names: set[str]) -> dict[str, Any]:
    """The attributes that are set and are no fields, as `__post_init__` leaves them."""
    # `__orig_class__` and its like belong to the typing machinery, not to the value.
    held = {name: item for name, item in getattr(value, "__dict__", {}).items() if not name.startswith("__")}
    extra = {name: item for name, item in held.items() if name not in names}
    for name in copyreg._slotnames(type(value)):  # type: ignore[attr-defined]  # what copying uses; handles private names
        if name not in names and hasattr(value, name):
            extra[name] = getattr(value, name)
    return extra


def _data_back(cls: Any, content: Any) -> Any:
    held, extra = content if type(content) is list else (content, {})
    fields = {field.name: field for field in dataclasses.fields(cls)}
    _drifted(held, set(fields))
    value = object.__new__(cls)
    for name, field in fields.items():
        object.__setattr__(value, name, held[name] if name in held else _default(field))
    for name in extra:
        if name.startswith("__"):
            raise ValueError(f"it sets {name}")
        object.__setattr__(value, name, extra[name])
    return value


def _drifted(held: Any, names: Set[str]) -> None:
    if type(held) is not dict:
        raise ValueError(f"its content is a {type(held).__name__}")
    if not held.keys() <= names:
        raise ValueError(f"it has no field {', '.join(sorted(held.keys() - names))}")


def _default(field: Any) -> Any:
    if field.default is not dataclasses.MISSING:
        return field.default
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    raise ValueError(f"its field {field.name} was not saved and has no default")


def _model(value: Any) -> Any:
    kind, held = type(value), vars(value)
    names = kind.model_fields.keys()
    if held.keys() != names:
        _complete(kind, held, names)
        held = {name: held[name] for name in names}
    private = {name: item for name, item in (value.__pydantic_private__ or {}).items() if _is_set(item)}
    parts = Parts([Fields(held), sorted(value.__pydantic_fields_set__)])
    if value.__pydantic_extra__ is not None or private:
        parts.extend([value.__pydantic_extra__, private])
    return parts


def _complete(kind: type, held: dict[str, Any], names: Set[str]) -> None:
    """See that what is held and no field can be left out, and that no field is missing."""
    beside = [name for name in held if name not in names and not _is_derived(kind, name)]
    if beside:
        raise Trouble(f"is a {kind!r} with {beside[0]!r}, which is no field of it and cannot be saved: declare it.")
    unset = [name for name in names if name not in held]
    if unset:
        raise Trouble(f"is a {kind!r} without a value of {unset[0]!r}, which cannot be saved: set it.")


def _is_derived(cls: type, name: str) -> bool:
    """Whether an attribute can be left out: it is computed again when it is asked for, or belongs to `typing`."""
    return isinstance(inspect.getattr_static(cls, name, None), functools.cached_property) or name.startswith("__")


def _is_set(item: object) -> bool:
    return type(item).__name__ != "PydanticUndefinedType"


def _model_back(cls: Any, content: Any) -> Any:
    held, given, extra, private = content if len(content) == 4 else (*content, None, {})
    fields = cls.model_fields
    _drifted(held, fields.keys())
    if not ((type(extra) is dict and cls.model_config.get("extra") == "allow") or extra is None):
        raise ValueError("it has fields beside those it declares")
    value = cls.__new__(cls)
    if held.keys() != fields.keys():
        held = {name: held[name] if name in held else _model_default(cls, name) for name in fields}
    object.__setattr__(value, "__dict__", held)
    object.__setattr__(value, "__pydantic_fields_set__", set(given))
    hidden = _private_back(cls.__private_attributes__, private)
    if (
        extra is not None or hidden is not None or not cls.__pydantic_root_model__
    ):  # root models have None in their class
        object.__setattr__(value, "__pydantic_extra__", extra)
        object.__setattr__(value, "__pydantic_private__", hidden)
    return value


def _private_back(declared: Any, saved: dict[str, Any]) -> dict[str, Any] | None:
    if not saved.keys() <= declared.keys():
        raise ValueError(f"it has no private attribute {', '.join(sorted(saved.keys() - declared.keys()))}")
    if not declared:
        return None
    added = {name: declared[name].get_default() for name in declared.keys() - saved.keys()}
    return {**saved, **{name: item for name, item in added.items() if _is_set(item)}}


def _model_default(cls: Any, name: str) -> Any:
    field = cls.model_fields[name]
    if field.is_required():
        raise ValueError(f"its field {name} was not saved and has no default")
    return field.get_default(call_default_factory=True, validated_data={})
