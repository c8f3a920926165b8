"""What the operators and functions of an expression do, on values that were admitted.

Each one keeps Python's meaning on plain data and refuses the rest with a sentence. What must not live here: syntax.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from typing import Any, Final

from agentflow.expressions.plain import (
    CONTAINERS,
    EXACT,
    LOOPED,
    MAX_TEXT,
    NUMBERS,
    Meter,
    Trouble,
    a_type,
    admit,
    elements,
    identity,
    plain_keys,
    pure,
)

#: The largest whole number that arithmetic takes and makes, either way of zero.
MAX_INT: Final = 2**63

#: Two operands and their texts, so that a message can name them.
Labels = tuple[str, str]
Comparison = Callable[[Any, Any, Meter | None, Labels], object]

_SEQUENCES: Final = frozenset((identity(list), identity(tuple), identity(str)))
_LONG: Final = 1_000  # characters of a text from which comparing it counts as work
_SIGNS: Final = {operator.lt: "<", operator.le: "<=", operator.gt: ">", operator.ge: ">="}


def equal(left: Any, right: Any, meter: Meter | None, labels: Labels) -> object:
    """`==`; containers of another kind or length differ without being looked into."""
    kinds = type(left), type(right)
    if identity(kinds[0]) not in CONTAINERS or identity(kinds[1]) not in CONTAINERS:
        if meter is not None and kinds[0] is kinds[1] is str:
            _charge_text(left, right, meter)
        return left == right
    if len(left) != len(right) or (kinds[0] is not kinds[1] and not _are_sets(left, right)):
        return False
    work = metered(meter)
    work.spend(len(left))
    return pure(left, work, labels[0]) == pure(right, work, labels[1])


def not_equal(left: Any, right: Any, meter: Meter | None, labels: Labels) -> object:
    """`!=`."""
    return not equal(left, right, meter, labels)


def ordering(compare: Callable[[Any, Any], Any]) -> Comparison:
    """`<`, `<=`, `>` or `>=` on two numbers, two texts, two dates, two sequences or two sets."""

    def ordered(left: Any, right: Any, meter: Meter | None, labels: Labels) -> object:
        if identity(type(left)) in NUMBERS and identity(type(right)) in NUMBERS:
            return compare(left, right)
        if meter is not None and type(left) is type(right) is str:
            _charge_text(left, right, meter)
        if identity(type(left)) in CONTAINERS and identity(type(right)) in CONTAINERS:
            work = metered(meter)
            left, right = pure(left, work, labels[0]), pure(right, work, labels[1])
        try:
            return compare(left, right)
        except TypeError:
            remedy = "Compare two numbers or two texts."
            if left is None or right is None:
                remedy = f"Check it first: {labels[0] if left is None else labels[1]} is not None and ..."
            raise Trouble(
                f"compares {labels[0]!r} {_SIGNS[compare]} {labels[1]!r}: {a_type(left)} and {a_type(right)} have no"
                f" order. {remedy}"
            ) from None

    return ordered


def contained(item: Any, container: Any, meter: Meter | None, labels: Labels) -> object:
    """`in`."""
    kind = type(container)
    work = metered(meter)
    if kind is str:
        if type(item) is not str:
            raise Trouble(f"looks for {labels[0]!r} in a text: it is {a_type(item)}. Compare it with == instead.")
        work.spend(len(container) // 4 + 1)
        return item in container
    if identity(kind) not in CONTAINERS:
        raise Trouble(f"looks inside {labels[1]!r}, which is {a_type(container)}. Use a list, tuple, dict, set or str.")
    item = pure(item, work, labels[0])
    if kind is list or kind is tuple:
        work.spend(len(container))
        return item in pure(container, work, labels[1])
    return item in plain_keys(container, work, labels[1])


def not_contained(item: Any, container: Any, meter: Meter | None, labels: Labels) -> object:
    """`not in`."""
    return not contained(item, container, meter, labels)


def number(value: Any, label: str) -> Any:
    """The value, which must be a number that arithmetic takes."""
    kind = type(value)
    if kind is float or kind is bool:
        return value
    if kind is not int:
        raise Trouble(f"calculates with {label!r}, which is {a_type(value)}. Use int or float.")
    return bounded(value)


def bounded(value: Any) -> Any:
    """The result of arithmetic, which must not be too large."""
    if type(value) is int and not -MAX_INT <= value <= MAX_INT:
        raise Trouble("calculates with a whole number beyond 2**63. Use a smaller number or a float.")
    return value


def item_of(value: Any, key: Any, meter: Meter, labels: Labels) -> Any:
    """`value[key]` of a list, tuple, str or dict."""
    if type(value) is dict:
        table = plain_keys(value, meter, labels[0])
        key = pure(key, meter, labels[1])
        if key not in table:
            raise Trouble(f"reads {labels[0]!r}, which has no key {key!r:.80}. Check it first with `in`.")
        found = table[key]
    elif identity(type(value)) in _SEQUENCES:
        if type(key) is not int and type(key) is not bool:
            raise Trouble(f"takes an item of {labels[0]!r} with {a_type(key)}. Use a whole number.")
        if not -len(value) <= key < len(value):
            raise Trouble(f"takes item {key} of {labels[0]!r}, which has {len(value)}. Check len() first.")
        found = value[key]
    else:
        raise Trouble(f"takes an item of {labels[0]!r}, which is {a_type(value)}. Use a list, tuple, str or dict.")
    return found if identity(type(found)) in EXACT else admit(found, meter, f"{labels[0]}[{key!r:.40}]")


def slice_of(value: Any, bounds: slice, meter: Meter, label: str) -> Any:
    """`value[start:stop:step]` of a list, tuple or str."""
    if identity(type(value)) not in _SEQUENCES:
        raise Trouble(f"takes a slice of {label!r}, which is {a_type(value)}. Use a list, tuple or str.")
    size = len(range(*bounds.indices(len(value))))
    if type(value) is str and size > MAX_TEXT:
        raise Trouble(f"makes a text of more than {MAX_TEXT:,} characters from {label!r}. Take a shorter slice.")
    meter.spend(size + 1)
    return value[bounds]


def length(value: Any, meter: Meter, label: str) -> object:
    """`len`."""
    if type(value) is str or type(value) is bytes or identity(type(value)) in CONTAINERS:
        return len(value)
    raise Trouble(f"takes the length of {label!r}, which is {a_type(value)}. Use a list, tuple, dict, set or str.")


def absolute(value: Any, meter: Meter, label: str) -> object:
    """`abs`."""
    return bounded(abs(number(value, label)))


def any_of(value: Any, meter: Meter, label: str) -> object:
    """`any`."""
    return any(_each(value, meter, label))


def all_of(value: Any, meter: Meter, label: str) -> object:
    """`all`."""
    return all(_each(value, meter, label))


def total(value: Any, meter: Meter, label: str) -> object:
    """`sum`."""
    items = [number(item, label) for item in _counted(value, meter, label)]
    return bounded(sum(items))


def extreme(pick: Callable[[list[Any]], Any], word: str) -> Callable[[Any, Meter, str], object]:
    """`min` or `max` of a container, a comprehension or several values."""

    def picked(value: Any, meter: Meter, label: str) -> object:
        items = [pure(item, meter, label) for item in _counted(value, meter, label)]  # comparing looks inside
        if not items:
            raise Trouble(f"takes the {word} of {label!r}, which is empty. Check len() first.")
        return pick(items)

    return picked


FUNCTIONS: Final[dict[str, Callable[[Any, Meter, str], object]]] = {
    "len": length,
    "abs": absolute,
    "any": any_of,
    "all": all_of,
    "sum": total,
    "min": extreme(min, "minimum"),
    "max": extreme(max, "maximum"),
}


class Produced:
    """The values that a comprehension makes, which are admitted already."""

    __slots__ = ("values",)

    def __init__(self, values: Iterable[Any]) -> None:
        self.values: Iterable[Any] = values


def metered(meter: Meter | None) -> Meter:
    """The meter of this evaluation, or a fresh one for the only operation that needs it."""
    return Meter() if meter is None else meter


def _each(value: Any, meter: Meter, label: str) -> Iterable[Any]:
    if type(value) is Produced:
        return value.values
    items: Iterable[Any] = elements(value, meter, label)
    return items


def _counted(value: Any, meter: Meter, label: str) -> Iterable[Any]:
    """The same where each item is worked on one by one; a comprehension has paid for its items already."""
    if type(value) is not Produced and identity(type(value)) in CONTAINERS:
        meter.spend(LOOPED * len(value))
    return _each(value, meter, label)


def _are_sets(left: object, right: object) -> bool:
    sets = (set, frozenset)
    return type(left) in sets and type(right) in sets


def _charge_text(left: str, right: str, meter: Meter) -> None:
    shared = min(len(left), len(right))
    if shared > _LONG:
        meter.spend(shared // 32)
