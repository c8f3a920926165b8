"""Types and values that the tests of the serde share: what people put into a state, and what they should not."""

from __future__ import annotations

import collections
import dataclasses
import enum
import threading
from collections import Counter, OrderedDict, defaultdict, deque
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Annotated, Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, PrivateAttr, RootModel


class Tone(enum.Enum):
    CALM = "calm"
    LOUD = ("loud", 1)
    QUIET = "calm"  # noqa: PIE796  # an alias


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Kind(enum.StrEnum):
    TEXT = "text"


class Rights(enum.Flag):
    READ = 1
    WRITE = 2


class Point(NamedTuple):
    x: int
    y: tuple[int, ...] = ()


Pair = collections.namedtuple("Pair", "left right")


@dataclasses.dataclass
class Draft:
    text: str
    tone: Tone = Tone.CALM
    past: list[Draft | None] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Frozen:
    at: datetime
    tags: frozenset[str] = frozenset()


@dataclasses.dataclass
class Counted:
    """Has an attribute that is no field, and one that no argument sets."""

    words: str
    length: int = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        self.length = len(self.words)
        self._seen = {self.words}


class Message(BaseModel):
    role: Kind = Kind.TEXT
    content: str | bytes
    sent: datetime | None = None


class Chat(BaseModel):
    messages: list[Message] = []
    drafts: dict[str, Annotated[Draft, "kept"]] = {}
    _turns: int = PrivateAttr(default=0)


class Open(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True)
    name: str


class Names(RootModel[list[str]]):
    pass


@dataclasses.dataclass
class Trap:
    """Does something whenever it is made in an ordinary way."""

    value: int

    def __post_init__(self) -> None:
        made.append(self)


made: list[Trap] = []

TYPES: tuple[type, ...] = (*(Tone, Level, Kind, Rights, Point, Pair, Draft, Frozen, Counted, Chat, Open, Names, Trap),)


def _counting() -> Chat:
    chat = Chat(messages=[Message(content=b"hi", sent=datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC))])
    chat.drafts["a"] = Draft("x", Tone.LOUD, [Draft("y"), None])
    chat._turns = 7
    return chat


#: Values that come back as they were.
SAVED: dict[str, Any] = {
    # numbers
    "zero": 0,
    "true": True,
    "large int": 2**53 + 1,
    "int of 5,000 digits": 10**5000,
    "negative int": -(2**70),
    "float": 0.1,
    "float that is whole": 1.0,
    "large float": 1e308,
    "negative zero": -0.0,
    "infinity": float("inf"),
    "negative infinity": float("-inf"),
    "nan": float("nan"),
    "complex": complex(-0.0, float("inf")),
    "decimal": Decimal("1.10"),
    "decimal that is no number": Decimal("-sNaN12"),
    # text
    "empty": "",
    "accents": "é\u0301 \u2028 質問",
    "emoji": "\U0001f600",
    "half of a surrogate pair": "\ud83d",
    "two halves": "\ud83d\ude00",
    "control characters": "a\x00b\x1f\x7f\r\n",
    "bytes": b"\x00\xff",
    "bytearray": bytearray(b"ab"),
    # containers
    "none": None,
    "list": [1, [2, []], {}],
    "tuple": (1, (2, ()), [3]),
    "set": {1, "a", None, (2, 3)},
    "frozenset": frozenset({frozenset({1}), frozenset()}),
    "dict in an order": {"b": 1, "a": 2},
    "keys that would collide": {1: "a", "1": "b", 1.5: "c", None: "d", (1, 2): "e"},
    "key with half of a surrogate pair": {"\ud83d": 1},
    "deque": deque([1, (2,)], maxlen=3),
    "ordered dict": OrderedDict([("b", 1), ("a", (2,))]),
    "default dict": defaultdict(list, {1: [2]}),
    "counter": Counter("abca"),
    "range": range(10, 0, -3),
    # the standard library
    "datetime": datetime(2026, 1, 2, 3, 4, 5, 678),
    "datetime in utc": datetime(1, 1, 1, tzinfo=UTC),
    "datetime at an offset": datetime(2026, 1, 2, tzinfo=timezone(timedelta(hours=-3, seconds=1), "here")),
    "datetime the second time": datetime(2024, 10, 27, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Paris")),
    "date": date(2026, 1, 2),
    "time": time(23, 59, 59, 999_999, tzinfo=UTC, fold=1),
    "timedelta": timedelta(days=-1, microseconds=1),
    "time zone": ZoneInfo("Europe/Paris"),
    "uuid": UUID("12345678-1234-5678-1234-567812345678"),
    "path": Path("a/../b \u00e9"),
    "posix path": PurePosixPath("/a"),
    "windows path": PureWindowsPath("C:/a"),
    # objects
    "enum": Tone.LOUD,
    "enum by an alias": [Tone.QUIET, Tone.CALM],
    "int enum": Level.HIGH,
    "str enum": {"kind": Kind.TEXT},
    "flags": Rights.READ | Rights.WRITE,
    "no flags": Rights(0),
    "named tuple": Point(1, (2, 3)),
    "namedtuple": Pair("a", Point(1)),
    "dataclass": Draft("a", Tone.LOUD, [Draft("b"), None]),
    "frozen dataclass": Frozen(datetime(2026, 1, 2, tzinfo=UTC), frozenset({"a"})),
    "dataclass with more than its fields": Counted("four"),
    "model": _counting(),
    "model with more than its fields": Open(name="a", also={1, 2}),
    "root model": Names(["a"]),
}


def _hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


#: Those that a dict takes as a key.
KEYS: dict[str, Any] = {name: value for name, value in SAVED.items() if _hashable(value)}


class Loud(str):
    __slots__ = ()


class Odd(dict[str, int]):
    pass


class Bare:
    pass


@dataclasses.dataclass
class Unknown:
    value: int = 1


def _cycle() -> list[Any]:
    ring: list[Any] = []
    ring.append({"ring": (ring,)})
    return ring


def _deep() -> list[Any]:
    inner: list[Any] = []
    for _ in range(100_000):
        inner = [inner]
    return inner


def _unset() -> Draft:
    draft = Draft("a")
    del draft.text
    return draft


#: Values that are refused, with what the message says about them.
REFUSED: dict[str, tuple[Any, str]] = {
    "lock": (threading.Lock(), "is a <class '_thread.lock'>, which cannot be saved: keep it out of the state"),
    "function": (len, "is a <class 'builtin_function_or_method'>"),
    "class": (int, "is a <class 'type'>"),
    "exception": (ValueError("no"), "is a <class 'ValueError'>"),
    "generator": ((item for item in ()), "is a <class 'generator'>"),
    "object": (Bare(), "Bare'>, which cannot be saved"),
    "str subclass": (Loud("a"), "turn it into a plain str"),
    "dict subclass": (Odd(a=1), "turn it into a plain dict"),
    "defaultdict of a lambda": (defaultdict(lambda: 1), "is a defaultdict made with <function"),
    "unknown dataclass": (Unknown(), "give it to the serde, as Serde(types=[Unknown])"),
    "unknown key": ({Unknown: 1}, "is a <class 'type'>"),
    "cycle": (_cycle(), "contains itself"),
    "too deep": (_deep(), "nested more than 200 levels"),
    "attribute that is not set": (_unset(), "without a value of 'text'"),
    "memoryview": (memoryview(b"a"), "is a <class 'memoryview'>"),
}
