"""Fact: a frozen value with named fields, for what `dataclass(frozen=True, slots=True)` is for elsewhere.

`dataclasses` imports `inspect`, and compiles the methods of each class where it is defined: with the facts of the core
that was more than half of what `import agentflow` took. A Fact reads its fields from its annotations, and all facts
share their methods. `dataclasses.fields`, `replace` and `asdict` work on it. What must not live here: any one fact.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NoReturn, Self, TypeVar, dataclass_transform

F = TypeVar("F", bound="Fact")


class _FactType(type):
    """The type of every class of facts: it finds the fields and gives each a slot."""

    _fields: tuple[str, ...]
    _defaults: dict[str, Any]
    _puts: tuple[tuple[str, Any], ...]
    _described: dict[str, Any]
    __match_args__: tuple[str, ...]

    def __new__(
        mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any], *, kw_only: bool = False
    ) -> _FactType:
        parents = [base for base in bases if isinstance(base, _FactType)]
        own = tuple(field for field in namespace.get("__annotations__", ()) if not field.startswith("__"))
        fields = (*(field for parent in parents for field in parent._fields), *own)
        defaults = {field: value for parent in parents for field, value in parent._defaults.items()}
        defaults.update((field, namespace.pop(field)) for field in own if field in namespace)
        namespace |= {"__slots__": own, "__match_args__": () if kw_only else fields}
        made = super().__new__(mcs, name, bases, namespace)
        made._fields, made._defaults, made._described = fields, defaults, {}
        made._puts = tuple((field, getattr(made, field).__set__) for field in fields)  # past the frozen `__setattr__`
        return made

    def __init__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], *, kw_only: bool = False) -> None:
        super().__init__(name, bases, namespace)


class _Described:
    """What a dataclass of the same fields says of itself; found out when somebody first asks."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name: str = name

    def __get__(self, fact: object, cls: _FactType) -> Any:
        if not cls._described:
            cls._described = _description(cls)
        return cls._described[self.name]


@dataclass_transform(frozen_default=True)
class Fact(metaclass=_FactType):
    """A frozen value with named fields; equal to another of its class that has equal ones.

    Fields are annotated in the class body, with a default where there is one; a default is shared, so it must not be
    mutable, and an empty mapping is declared as a Mapping. A subclass made with
    `kw_only=True` takes its fields by name only.

    Example:
        >>> class Point(Fact):
        ...     x: int
        ...     y: int = 0
        >>> Point(1)
        Point(x=1, y=0)
    """

    __dataclass_fields__: Any = _Described("__dataclass_fields__")
    __signature__: Any = _Described("__signature__")

    def __init__(self, *given: Any, **named: Any) -> None:
        cls = type(self)
        if len(given) == len(cls.__match_args__) and not named and given:  # nothing to look up
            for (_, put), value in zip(cls._puts, given, strict=True):
                put(self, value)
        else:
            _fill(self, cls, given, named)
        if cls.__post_init__ is not Fact.__post_init__:
            self.__post_init__()

    def __post_init__(self) -> None:
        """Refuse values that make no sense together; a subclass that has none to refuse leaves this out."""

    def __eq__(self, other: object) -> bool:
        return _values(self) == _values(other) if other.__class__ is self.__class__ else NotImplemented

    def __hash__(self) -> int:
        return hash(_values(self))

    def __repr__(self) -> str:
        shown = ", ".join(f"{field}={getattr(self, field)!r}" for field in type(self)._fields)
        return f"{type(self).__qualname__}({shown})"

    def __setattr__(self, name: str, value: object) -> None:
        _refuse_change(f"cannot assign to field {name!r}")

    def __delattr__(self, name: str) -> None:
        _refuse_change(f"cannot delete field {name!r}")

    def __replace__(self, /, **changes: Any) -> Self:
        return type(self)(**dict(zip(type(self)._fields, _values(self), strict=True)) | changes)

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (type(self), _values(self))


def replace(fact: F, /, **changes: Any) -> F:
    """A copy of a fact with other values in some of its fields."""
    return fact.__replace__(**changes)


def _values(fact: Any) -> tuple[Any, ...]:
    return tuple([getattr(fact, field) for field in type(fact)._fields])


def _restored(cls: type[F], values: tuple[Any, ...]) -> F:
    return cls(**dict(zip(cls._fields, values, strict=True)))


def _fill(fact: Fact, cls: _FactType, given: tuple[Any, ...], named: dict[str, Any]) -> None:
    """Give every field its value or its default."""
    values = cls._defaults | named
    if given:
        _place(cls, given, named, values)
    try:
        for field, put in cls._puts:
            put(fact, values[field])
    except KeyError as missing:
        raise TypeError(f"{cls.__name__}() lacks the field {missing}: give it a value.") from None
    if len(values) != len(cls._puts):
        raise TypeError(f"{cls.__name__}() has no field {_first(values.keys() - set(cls._fields))}: leave it out.")


def _place(cls: _FactType, given: tuple[Any, ...], named: dict[str, Any], values: dict[str, Any]) -> None:
    """Add the fields that were given by position."""
    if len(given) > len(cls.__match_args__):
        raise TypeError(f"{cls.__name__}() takes {len(cls.__match_args__)} fields by position, and got {len(given)}.")
    placed = dict(zip(cls.__match_args__, given, strict=False))
    if placed.keys() & named.keys():
        raise TypeError(f"{cls.__name__}() got the field {_first(placed.keys() & named.keys())} twice.")
    values |= placed


def _first(names: Iterable[str]) -> str:
    return repr(min(names))


def _refuse_change(message: str) -> NoReturn:
    from dataclasses import FrozenInstanceError  # what others raise for the same, so that habits work

    raise FrozenInstanceError(message)


def _description(cls: _FactType) -> dict[str, Any]:
    import dataclasses
    import inspect

    notes: dict[str, Any] = {}
    for kind in reversed(cls.__mro__):
        notes |= {name: note for name, note in vars(kind).get("__annotations__", {}).items() if name in cls._fields}
    given: dict[str, Any] = {name: dataclasses.field() for name in cls._fields}
    for name, value in cls._defaults.items():  # an empty mapping may stand for none, where nobody can change it
        shared = isinstance(value, Mapping)
        given[name] = dataclasses.field(default_factory=dict) if shared else dataclasses.field(default=value)
    fields = [(name, notes[name], given[name]) for name in cls._fields]
    made = dataclasses.make_dataclass(cls.__name__, fields, frozen=True, kw_only=not cls.__match_args__)
    described = {field.name: field for field in dataclasses.fields(made)}
    return {"__dataclass_fields__": described, "__signature__": inspect.signature(made)}
