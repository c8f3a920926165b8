"""What no serde has written is refused, with what is wrong about it; classes may gain fields, and lose none."""

from __future__ import annotations

import dataclasses
import enum
import io
import sys
import zoneinfo
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from agentflow.errors import CorruptRecord, SerializationError
from agentflow.persistence.serde import Serde, zones

SERDE = Serde()


@pytest.mark.parametrize(
    ("tag", "content"),
    [
        ("tuple", {"a": 1}),
        ("tuple", None),
        ("set", [1, 1]),
        ("set", [[]]),
        ("frozenset", "ab"),
        ("deque", [1, [1, 2]]),
        ("deque", [None]),
        ("deque", [True, []]),
        ("dict", ["key without a value"]),
        ("dict", ["a", 1, "a", 2]),
        ("dict", [[], 1]),
        ("ordered", {"a": 1}),
        ("counter", [1]),
        ("default", ["eval", []]),
        ("default", ["list", ["a", 1, "a", 2]]),
        ("bytes", "A"),
        ("bytes", "AA==\n"),
        ("bytes", "é"),
        ("bytearray", 1),
        ("int", "0x1"),
        ("int", 7),
        ("int", "-0x0020000000000001"),
        ("int", "20000000000001"),
        ("float", "1.5"),
        ("float", 1.5),
        ("complex", [1, 2]),
        ("complex", [1.0]),
        ("decimal", "one"),
        ("decimal", 1),
        ("range", [0, 1, 0]),
        ("range", [0.0, 1.0, 1.0]),
        ("str", "not base64"),
        ("str", "/w=="),
        ("datetime", "yesterday"),
        ("datetime", "2026-01-01T00:00:00+05:00"),
        ("datetime", ["2026-01-01T00:00:00", 2, None]),
        ("datetime", ["2026-01-01T00:00:00", 0, "UTC"]),
        ("date", "2026-02-30"),
        ("time", ["24:00", 0, None]),
        ("time", ["23:00", 0, "UTC"]),
        ("timedelta", [10**10, 0, 0]),
        ("timedelta", [1.5, 0, 0]),
        ("timezone", ["UTC"]),
        ("timezone", [{"@": "timedelta", "of": [2, 0, 0]}]),
        ("zone", "Nowhere/Here"),
        ("zone", "../../etc/passwd"),
        ("uuid", "12345678123456781234567812345678"),
        ("uuid", ["12345678-1234-5678-1234-567812345678", "certain"]),
        ("path", 1),
    ],
    ids=str,
)
def test_content_that_no_encoder_writes_is_refused(tag: str, content: Any) -> None:
    with pytest.raises(CorruptRecord, match=r"^the saved state\['a'\]\[0\] is no \w+ as one is saved \("):
        SERDE.decode([{"@": tag, "of": content}], "state['a']")


@pytest.mark.parametrize(
    ("plain", "message"),
    [
        ({"@": "tuple"}, "has a tag, and is not written as a tagged value is"),
        ({"@": "tuple", "of": [], "and": 1}, "has a tag, and is not written as a tagged value is"),
        ({"@": ["tuple"], "of": []}, "is tagged ['tuple'], which is no registered type"),
        ({"@": "x" * 1000, "of": []}, f"is tagged '{'x' * 60}...', which is no registered type"),
        ({1: 2}, "has a key that is no text"),
        (float("nan"), "is nan, which no JSON has"),
        ((1, 2), "is (1, 2), which no JSON has"),
        ({10**5000}, "is <set>, which no JSON has"),
    ],
    ids=range(8),
)
def test_what_is_no_tagged_json_is_refused(plain: Any, message: str) -> None:
    with pytest.raises(CorruptRecord) as caught:
        SERDE.decode(plain, "state")

    assert f"state{'[1]' if plain == {1: 2} else ''} {message}" in str(caught.value)


def on_a_full_stack(call: Callable[[], Any]) -> None:
    """Make a call from ever deeper in the stack, until it fails."""

    def deeper(levels: int) -> None:
        if levels:
            deeper(levels - 1)
        else:
            call()

    for levels in range(sys.getrecursionlimit()):
        deeper(levels)


def test_a_reader_whose_stack_is_used_up_says_so() -> None:
    with pytest.raises(CorruptRecord, match="nested too deeply to be read"):
        on_a_full_stack(lambda: SERDE.decode([[[[[[[[1]]]]]]]], "state"))


def test_a_writer_whose_stack_is_used_up_says_so() -> None:
    with pytest.raises(SerializationError, match="nested too deeply to be saved"):
        on_a_full_stack(lambda: SERDE.encode([[[[[[[[1]]]]]]]], "state"))


@pytest.mark.parametrize(
    "text", ["", "[1", "nul", "NaN", "1" * 5000, "[" * 100_000, '"\ud800', "\ufeff1"], ids=range(8)
)
def test_text_that_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(CorruptRecord, match=r"the saved state\['a'\] is"):
        SERDE.loads(text, "state['a']")


@pytest.mark.parametrize("text", [b"1", None, 1, [1]], ids=repr)
def test_what_is_no_text_is_refused(text: Any) -> None:
    with pytest.raises(CorruptRecord, match=r"the saved state is a \w+, no text"):
        SERDE.loads(text, "state")


def test_time_zones_come_from_a_package_where_the_system_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zoneinfo, "TZPATH", ())
    monkeypatch.setattr(zoneinfo, "available_timezones", lambda: {"Europe/Paris"})
    zones._packaged.cache_clear()

    assert "Europe/Paris" == SERDE.decode({"@": "zone", "of": "Europe/Paris"}, "state").key
    with pytest.raises(CorruptRecord, match="no time zone of its name"):
        SERDE.decode({"@": "zone", "of": "Europe/Berlin"}, "state")
    zones._packaged.cache_clear()


def _enum(**members: Any) -> type:
    return enum.Enum("Tone", members, module="shop", qualname="Tone")


def _flag(**members: Any) -> type:
    return enum.Flag("Right", members, module="shop", qualname="Right")


def _data(fields: list[Any]) -> type:
    made = dataclasses.make_dataclass("Draft", fields)
    made.__module__ = "shop"  # Python 3.12 sets the module of the caller, whatever the namespace says
    return made


def _named(fields: list[Any]) -> type:
    made: Any = NamedTuple("Spot", fields)
    made.__module__, made.__qualname__ = "shop", "Spot"
    return made  # type: ignore[no-any-return]


def _model(extra: str = "ignore", **annotated: Any) -> type:
    body = {name: default for name, (_, default) in annotated.items() if default is not ...}
    return type(BaseModel)(
        "Chat",
        (BaseModel,),
        {
            "__module__": "shop",
            "__qualname__": "Chat",
            "__annotations__": {name: kind for name, (kind, _) in annotated.items()},
            "model_config": ConfigDict(extra=extra),  # type: ignore[typeddict-item]
            **body,
        },
    )


def moved(value: Any, cls: type) -> Any:
    """The value of a class as it was, read with the class as it is now."""
    return Serde([cls]).loads(Serde([type(value)]).dumps(value, "state"), "state")


def test_new_fields_get_their_defaults() -> None:
    tags = ("tags", list, dataclasses.field(default_factory=list))
    old, new = _data([("text", str)]), _data([("text", str), ("n", int, 3), tags])
    assert new("a", 3, []) == moved(old("a"), new)

    before = _model(text=(str, ...))
    after = _model(text=(str, ...), n=(int, 3), tags=(list, Field(default_factory=list)), _turns=(int, PrivateAttr(7)))
    chat = moved(before(text="a"), after)
    assert {"text": "a", "n": 3, "tags": []} == vars(chat)
    assert 7 == chat._turns


@pytest.mark.parametrize(
    ("value", "cls", "message"),
    [
        (_data([("a", int), ("b", int)])(1, 2), _data([("a", int)]), "it has no field b"),
        (_data([("a", int)])(1), _data([("a", int), ("b", int)]), "its field b was not saved and has no default"),
        (_model(a=(int, 1), b=(int, 2))(), _model(a=(int, 1)), "it has no field b"),
        (_model(a=(int, 1))(), _model(a=(int, 1), b=(int, ...)), "its field b was not saved and has no default"),
        (_model("allow", a=(int, 1))(b=2), _model(a=(int, 1)), "it has fields beside those it declares"),
        (_model(_a=(int, PrivateAttr(1)))(), _model(_b=(int, PrivateAttr(1))), "it has no private attribute _a"),
        (_named([("a", int)])(1), _named([("a", int), ("b", int)]), "its fields differ from those saved: b"),
        (_enum(A=1, B=2).B, _enum(A=1), "KeyError: 'B'"),
        (_flag(A=1, B=2)(3), _flag(A=1), "ValueError"),
    ],
    ids=str,
)
def test_what_the_class_no_longer_fits_is_refused(value: Any, cls: type, message: str) -> None:
    with pytest.raises(CorruptRecord) as caught:
        moved(value, cls)

    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("cls", "content"),
    [
        (_data([("a", int)]), 1),
        (_data([("a", int)]), [{"a": 1}, {"__class__": 1}]),
        (_data([("a", int)]), [{"a": 1}, {"__dict__": {}}]),
        (_data([("a", int)]), [{"a": 1}]),
        (_named([("a", int)]), [1]),
        (_enum(A=1), 1),
        (_enum(A=1), "name"),
        (_enum(A=1), []),
        (_flag(A=1), True),
        (_model(a=(int, 1)), {"a": 1}),
        (_model(a=(int, 1)), [[], [], None, {}]),
        (_model(a=(int, 1)), [{"a": 1}, 1, None, {}]),
        (_model(a=(int, 1)), [{"a": 1}, [], None, []]),
    ],
    ids=str,
)
def test_content_that_no_object_has_is_refused(cls: type, content: Any) -> None:
    with pytest.raises(CorruptRecord, match="as one is saved"):
        Serde([cls]).decode({"@": f"shop:{cls.__name__}", "of": content}, "state")


def test_an_undeclared_member_of_an_enum_is_refused() -> None:
    class Open(enum.Enum):
        A = 1

        @classmethod
        def _missing_(cls, value: object) -> Any:
            member = object.__new__(cls)
            member._name_, member._value_ = "?", value
            return member

    with pytest.raises(SerializationError, match=r"which is no declared member of its enum"):
        Serde([Open]).encode(Open(2), "state")


def test_a_named_tuple_with_attributes_is_refused() -> None:
    class Spot(NamedTuple("Spot", [("x", int)])):
        pass

    spot = Spot(1)
    spot.more = 2  # type: ignore[attr-defined]

    with pytest.raises(SerializationError, match="with attributes of its own"):
        Serde([Spot]).encode(spot, "state")


def test_a_model_without_a_value_of_a_field_is_refused() -> None:
    cls: Any = _model(text=(str, ...))

    with pytest.raises(SerializationError, match=r"without a value of 'text'"):
        Serde([cls]).encode(cls.model_construct(), "state")


def test_a_time_zone_from_a_file_is_refused() -> None:
    # The shortest file of RFC 8536: version 1, one type of local time, no transitions.
    counts = b"".join(count.to_bytes(4) for count in (0, 0, 0, 0, 1, 4))
    zone = zoneinfo.ZoneInfo.from_file(io.BytesIO(b"TZif" + bytes(16) + counts + bytes(6) + b"UTC\0"))

    with pytest.raises(SerializationError, match="a time zone read from a file"):
        SERDE.encode(zone, "state")
