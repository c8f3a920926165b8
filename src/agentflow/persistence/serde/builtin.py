"""What the standard library has and JSON has not: numbers, containers, times, paths, each with its codec.

Every decoder takes hostile content: it raises on whatever its encoder cannot have written, and opens nothing but the
time zone that is named. What must not live here: types that users define (`objects.py`).
"""

from __future__ import annotations

import base64
import uuid
from collections import Counter, OrderedDict, defaultdict, deque
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any
from zoneinfo import ZoneInfo

from agentflow.persistence.serde.shapes import MAX_PLAIN_INT, Codec, Pairs, Parts, Trouble, Unordered, shown
from agentflow.persistence.serde.zones import zone

#: What a defaultdict may make its missing values with; any other factory is code, which is not saved.
FACTORIES: dict[str, Any] = {cls.__name__: cls for cls in (bool, dict, float, int, list, set, str, tuple)}


def checked(value: Any, *kinds: type) -> Any:
    """`value` if it is exactly of one of these types.

    Raises:
        ValueError: It is not, so the encoder did not write it.
    """
    if type(value) not in kinds:
        raise ValueError(f"its content is a {type(value).__name__}")
    return value


def pairs(content: Any) -> list[tuple[Any, Any]]:
    """The keys and values that stand in one flat list.

    Raises:
        ValueError: There is a key without a value, or a key twice.
    """
    flat = checked(content, list)
    if len(flat) % 2:
        raise ValueError("its last key has no value")
    return list(zip(flat[::2], flat[1::2], strict=True))


def _distinct(found: list[tuple[Any, Any]]) -> dict[Any, Any]:
    made = dict(found)
    if len(made) != len(found):
        raise ValueError("it has a key twice")
    return made


def _big(content: Any) -> int:
    value = int(checked(content, str), 16)
    if -MAX_PLAIN_INT <= value <= MAX_PLAIN_INT or hex(value) != content:
        raise ValueError("it is not written as a large integer is")
    return value


def _special(content: Any) -> float:
    return {"nan": float("nan"), "inf": float("inf"), "-inf": float("-inf"), "-0.0": -0.0}[checked(content, str)]


def _bytes(content: Any) -> bytes:
    return base64.b64decode(checked(content, str).encode("ascii"), validate=True)


def _base64(value: bytes | bytearray) -> str:
    return base64.b64encode(value).decode("ascii")


def _unique(content: Any) -> list[Any]:
    items = checked(content, list)
    if len(frozenset(items)) != len(items):
        raise ValueError("it has an item twice")
    return list(items)


def _moment(value: datetime) -> Any:
    if value.fold == 0 and (value.tzinfo is None or value.tzinfo is UTC):
        return value.isoformat()
    return Parts([value.replace(tzinfo=None, fold=0).isoformat(), value.fold, value.tzinfo])


def _moment_back(content: Any) -> datetime:
    if type(content) is str:
        return _fold_of(datetime.fromisoformat(content), 0, _utc_or_none(datetime.fromisoformat(content)))
    text, fold, zoned = checked(content, list)
    return _fold_of(datetime.fromisoformat(checked(text, str)), fold, zoned)


def _utc_or_none(value: datetime) -> tzinfo | None:
    if value.tzinfo not in (None, UTC):
        raise ValueError("its offset is not written as an offset is")
    return value.tzinfo


def _fold_of(value: datetime, fold: Any, zoned: Any) -> datetime:
    if not (zoned is None or isinstance(zoned, tzinfo)):
        raise ValueError("its time zone is none")
    return value.replace(fold=checked(fold, int), tzinfo=zoned)


def _clock(value: time) -> Any:
    return Parts([value.replace(tzinfo=None, fold=0).isoformat(), value.fold, value.tzinfo])


def _clock_back(content: Any) -> time:
    text, fold, zoned = checked(content, list)
    if not (zoned is None or isinstance(zoned, tzinfo)):
        raise ValueError("its time zone is none")
    return time.fromisoformat(checked(text, str)).replace(fold=checked(fold, int), tzinfo=zoned)


def _span_back(content: Any) -> timedelta:
    days, seconds, microseconds = (checked(part, int) for part in checked(content, list))
    return timedelta(days, seconds, microseconds)


def _offset(value: timezone) -> Any:
    offset, *name = value.__getinitargs__()  # type: ignore[attr-defined]  # the one way to see whether it has a name
    return Parts([offset, *name])


def _zone_key(value: ZoneInfo) -> str:
    if value.key is None:
        raise Trouble("is a time zone read from a file, which cannot be saved: use ZoneInfo(name).")
    return value.key


def _uuid(value: uuid.UUID) -> Any:
    return str(value) if value.is_safe is uuid.SafeUUID.unknown else Parts([str(value), value.is_safe.name])


def _uuid_back(content: Any) -> uuid.UUID:
    text, safe = (content, "unknown") if type(content) is str else checked(content, list)
    value = uuid.UUID(checked(text, str), is_safe=uuid.SafeUUID[safe])
    if str(value) != text:
        raise ValueError("it is not written as a UUID is")
    return value


def _complex_back(content: Any) -> complex:
    real, imaginary = (checked(part, float) for part in checked(content, list))
    return complex(real, imaginary)


def _factory(value: defaultdict[Any, Any]) -> Any:
    factory = value.default_factory
    if factory is not None and factory not in FACTORIES.values():
        raise Trouble(
            f"is a defaultdict made with {shown(factory)}, which cannot be saved: use one of "
            f"{', '.join(sorted(FACTORIES))}, or a dict."
        )
    return Parts([factory and factory.__name__, Pairs(value)])


def _factory_back(content: Any) -> defaultdict[Any, Any]:
    name, found = checked(content, list)
    return defaultdict(None if name is None else FACTORIES[name], _distinct(pairs(found)))


def _deque_back(content: Any) -> deque[Any]:
    most, items = checked(content, list)
    if len(checked(items, list)) > (len(items) if most is None else checked(most, int)):
        raise ValueError("it has more items than it holds")
    return deque(items, most)


CODECS: tuple[Codec, ...] = (
    Codec("tuple", tuple, list, lambda content: tuple(checked(content, list))),
    Codec("set", set, Unordered, lambda content: set(_unique(content))),
    Codec("frozenset", frozenset, Unordered, lambda content: frozenset(_unique(content))),
    Codec("deque", deque, lambda value: Parts([value.maxlen, list(value)]), _deque_back),
    Codec("ordered", OrderedDict, Pairs, lambda content: OrderedDict(_distinct(pairs(content)))),
    Codec("default", defaultdict, _factory, _factory_back),
    Codec("counter", Counter, Pairs, lambda content: Counter(_distinct(pairs(content)))),
    Codec("bytes", bytes, _base64, _bytes),
    Codec("bytearray", bytearray, _base64, lambda content: bytearray(_bytes(content))),
    Codec("complex", complex, lambda value: Parts([value.real, value.imag]), _complex_back),
    Codec("decimal", Decimal, str, lambda content: Decimal(checked(content, str))),
    Codec(
        "range",
        range,
        lambda value: Parts([value.start, value.stop, value.step]),
        lambda content: range(*(checked(part, int) for part in checked(content, list))),
    ),
    Codec("datetime", datetime, _moment, _moment_back),
    Codec("date", date, date.isoformat, lambda content: date.fromisoformat(checked(content, str))),
    Codec("time", time, _clock, _clock_back),
    Codec("timedelta", timedelta, lambda value: Parts([value.days, value.seconds, value.microseconds]), _span_back),
    Codec("timezone", timezone, _offset, lambda content: timezone(*checked(content, list))),
    Codec("zone", ZoneInfo, _zone_key, lambda content: zone(checked(content, str))),
    Codec("uuid", uuid.UUID, _uuid, _uuid_back),
    Codec("path", type(Path()), str, lambda content: Path(checked(content, str))),
    Codec("posixpath", PurePosixPath, str, lambda content: PurePosixPath(checked(content, str))),
    Codec("windowspath", PureWindowsPath, str, lambda content: PureWindowsPath(checked(content, str))),
)

#: The types that need no codec of anybody's.
KNOWN: frozenset[type] = frozenset({codec.cls for codec in CODECS} | {str, int, float, bool, dict, list, type(None)})

#: Tags that the writer makes itself; nothing has a codec for them, since the values have plain types.
PLAIN: tuple[Codec, ...] = (
    Codec("int", int, hex, _big),
    Codec("float", float, repr, _special),
    Codec("str", str, str, lambda content: _bytes(content).decode("utf-8", "surrogatepass")),
    Codec("dict", dict, Pairs, lambda content: _distinct(pairs(content))),
)
