"""Which values may take part in an expression, and how much work one evaluation may do.

Plain data may: text, numbers, None, the standard library's dates, decimals and UUIDs, and containers of these. A
member of an Enum counts as its value, and an instance of a subclass of a plain type as the plain value inside. Nothing
else is looked into: no method, operator, hash or truth of any other object is ever called, not even through a
container that holds it. Types are recognised by identity, since hashing or comparing a class may run its metaclass.
What must not live here: what the operators do with the values.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from enum import EnumMeta
from types import NoneType
from typing import Any, Final

#: Items that one evaluation may go through in a comprehension.
MAX_ITEMS: Final = 10_000
#: Characters in a text that an expression makes.
MAX_TEXT: Final = 10_000
#: Containers inside containers that are followed; it also ends a container that holds itself.
MAX_NESTING: Final = 40

# What one item costs, gone through in C, in a Python loop, and in a comprehension, where every part of the expression
# costs too. One unit is about 25 ns, so that the whole budget is spent within some 20 ms.
NATIVE: Final = 3
LOOPED: Final = 12
ITERATED: Final = 32
COMPUTED: Final = 6
_OPENED: Final = 3  # items that looking into one more container is worth
_BUDGET: Final = MAX_ITEMS * (ITERATED + LOOPED + 4 * NATIVE)

_SMALL: Final = 12  # items for which setting up a pass in C does not pay
_WORTH_KNOWING: Final = 32  # keys; smaller containers are looked through again rather than remembered


#: Which object it is, without asking it: `id` would do, but tells every audit hook of the process.
identity: Final = object.__hash__


def _ids(*types: type) -> frozenset[int]:
    """Built-in types are never freed, so their ids stay theirs."""
    return frozenset(map(identity, types))


NUMBERS: Final = _ids(int, float, bool)
SCALARS: Final = _ids(str, int, float, bool, NoneType, bytes)
CONTAINERS: Final = _ids(list, tuple, dict, set, frozenset)
EXACT: Final = SCALARS | CONTAINERS

_STANDARD: Final = (
    ("decimal", "Decimal"),
    ("uuid", "UUID"),
    ("datetime", "date"),
    ("datetime", "timedelta"),
)
_TIMED: Final = (("datetime", "datetime"), ("datetime", "time"))
_ZONES: Final = (("datetime", "timezone"), ("zoneinfo", "ZoneInfo"))

_mro_of: Final = type.__dict__["__mro__"].__get__
_name_of: Final = type.__dict__["__name__"].__get__


class Trouble(Exception):
    """Why an evaluation stopped: the rest of a sentence that begins with the expression. It never leaves."""


class Meter:
    """The work that one evaluation may still do, and the item its comprehension is at."""

    __slots__ = ("_items", "_left", "item", "known")

    def __init__(self) -> None:
        self._left = _BUDGET
        self._items = MAX_ITEMS
        self.item: Any = None
        self.known: dict[int, tuple[object, Any]] = {}

    def spend(self, units: int) -> None:
        """Count work that does not depend on what the expression does with an item."""
        self._left -= units
        if self._left < 0:
            raise _too_much()

    def enter(self, item: Any, units: int) -> None:
        """Go on to the next item of a comprehension."""
        self.item = item
        self._items -= 1
        self._left -= units
        if self._items < 0 or self._left < 0:
            raise _too_much()


def type_name(value: object) -> str:
    """The name of a value's type, without asking the value or its metaclass."""
    return str(_name_of(type(value)))


def admit(value: Any, meter: Meter | None, label: str) -> Any:
    """The value if it is plain on the outside, or the plain value it stands for; what it holds is not looked at.

    Raises:
        Trouble: It is not plain.
    """
    kind = type(value)
    if identity(kind) in EXACT or _is_one_of(kind, _STANDARD):
        return value
    if _is_one_of(kind, _TIMED):
        if value.tzinfo is None or _is_one_of(type(value.tzinfo), _ZONES):
            return value
        raise _refused(value.tzinfo, label)
    if any(base is EnumMeta for base in _mro_of(type(kind))):
        return admit(object.__getattribute__(value, "_value_"), meter, label)
    for base in _mro_of(kind):
        if identity(base) in _CONVERT:
            return _converted(base, value, meter, label)
    raise _refused(value, label)


def pure(value: Any, meter: Meter, label: str, depth: int = 0) -> Any:
    """The value if it is plain all the way down, or a plain copy: any operator may then be used on it."""
    if identity(type(value)) in SCALARS:
        return value
    value = admit(value, meter, label)
    kind = type(value)
    if identity(kind) not in CONTAINERS:
        return value
    if depth >= MAX_NESTING:
        raise Trouble(f"looks into {label!r}, which is nested deeper than {MAX_NESTING}. Use when(function).")
    if kind is dict:
        value = plain_keys(value, meter, label, depth)
        if only_scalars(value.values(), meter):
            return value
        meter.spend(LOOPED * (len(value) + _OPENED))
        return {key: pure(item, meter, label, depth + 1) for key, item in value.items()}
    if only_scalars(value, meter):
        return value
    meter.spend(LOOPED * (len(value) + _OPENED))
    return kind([pure(item, meter, label, depth + 1) for item in value])


def plain_keys(value: Any, meter: Meter, label: str, depth: int = 0) -> Any:
    """A dict, set or frozenset that may be asked for a key: every key it has is plain."""
    known = meter.known.get(identity(value))
    if known is not None and known[0] is value:
        return known[1]
    plain = value
    if not only_scalars(value, meter):
        meter.spend(LOOPED * len(value))
        if type(value) is dict:
            plain = {pure(key, meter, label, depth + 1): item for key, item in value.items()}
        else:
            plain = type(value)([pure(key, meter, label, depth + 1) for key in value])
    if len(plain) >= _WORTH_KNOWING:
        meter.known[identity(value)] = (value, plain)  # the reference keeps the id from being used again
    return plain


def only_scalars(items: Any, meter: Meter) -> bool:
    """Whether every item of a plain container is an exact scalar; a large one is gone through in C."""
    size = len(items)
    meter.spend(NATIVE * size + 1)
    if size <= _SMALL:
        for item in items:  # noqa: SIM110  `all` would cost a generator
            if identity(type(item)) not in SCALARS:
                return False
        return True
    return frozenset(map(identity, map(type, items))) <= SCALARS


def elements(value: Any, meter: Meter, label: str) -> Any:
    """What a plain container holds, each admitted, to be gone through once."""
    if type(value) is str:
        meter.spend(len(value))
        return value
    if identity(type(value)) not in CONTAINERS:
        raise Trouble(f"goes through {label!r}, which is {a_type(value)}. Use a list, tuple, dict, set or str.")
    if only_scalars(value, meter):
        return value
    meter.spend(LOOPED * len(value))
    return [item if identity(type(item)) in EXACT else admit(item, meter, f"{label}[...]") for item in value]


def a_type(value: object) -> str:
    """A value's type with its article, for a message."""
    name = type_name(value)
    return "None" if value is None else f"{'an' if name[:1] in 'aeiouAEIOU' else 'a'} {name}"


def _is_one_of(kind: type, names: tuple[tuple[str, str], ...]) -> bool:
    """Whether `kind` is one of these types; a module that is not loaded has no values."""
    return any(kind is getattr(sys.modules.get(module), name, None) for module, name in names)


def _too_much() -> Trouble:
    return Trouble(
        f"goes through too much data: {MAX_ITEMS:,} items are the limit, fewer when each takes much work. Use"
        " when(function), or keep the result in the state."
    )


def _refused(value: object, label: str) -> Trouble:
    return Trouble(
        f"reads {label!r}, which is or holds {a_type(value)}: only plain data (text, numbers, None, dates, lists,"
        f" dicts, sets) may enter. Store plain data, or use when(function); `is None` works on anything."
    )


def _converted(base: type, value: Any, meter: Meter | None, label: str) -> Any:
    """The plain value inside an instance of a subclass, taken out with the base type's own methods."""
    sized = base is not int and base is not float
    size = base.__len__(value) if sized else 1  # type: ignore[attr-defined]
    if meter is not None:
        meter.spend(size * (NATIVE if base is str else LOOPED))
    elif size > MAX_ITEMS and base is not str:
        raise Trouble(f"reads {label!r}, {a_type(value)} of more than {MAX_ITEMS:,} items. Store a {base.__name__}.")
    return _CONVERT[identity(base)](value, Meter() if meter is None else meter, label)


def _dict_inside(value: Any, meter: Meter, label: str) -> dict[Any, Any]:
    return {pure(key, meter, label): item for key, item in dict.items(value)}


def _set_inside(value: Any, meter: Meter, label: str) -> set[Any]:
    return {pure(item, meter, label) for item in set.__iter__(value)}


def _frozenset_inside(value: Any, meter: Meter, label: str) -> frozenset[Any]:
    return frozenset(pure(item, meter, label) for item in frozenset.__iter__(value))


_CONVERT: Final[dict[int, Callable[[Any, Meter, str], Any]]] = {
    identity(str): lambda value, meter, label: str.__str__(value),
    identity(int): lambda value, meter, label: int.__int__(value),
    identity(float): lambda value, meter, label: float.__float__(value),
    identity(list): lambda value, meter, label: list.copy(value),
    identity(tuple): lambda value, meter, label: tuple.__getitem__(value, slice(None)),
    identity(dict): _dict_inside,
    identity(set): _set_inside,
    identity(frozenset): _frozenset_inside,
}
