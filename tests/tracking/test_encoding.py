"""Every value can be shown: in its own form where JSON has one, else in short, and never as an error."""

from __future__ import annotations

import datetime
import decimal
import json
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from agentflow import Secret, State
from agentflow.tracking.encoding import LONGEST, Encoder, error_facts

LEARNED: list[str] = []
ENCODER = Encoder(LEARNED.append)


def shown(value: Any) -> Any:
    return json.loads(ENCODER.encode(value))


class Rude:
    def __repr__(self) -> str:
        raise RuntimeError("no")


class Colour(Enum):
    red = "r"


@dataclass
class Point:
    x: int
    hidden: str = field(default="s3cret", repr=False)


class Model:
    def model_dump(self, mode: str) -> dict[str, Any]:
        return {"mode": mode}


class Failing(dict[str, Any]):
    def items(self) -> Any:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    ("value", "form"),
    [
        ({"a": [1, 2.5, None, True, "é"]}, {"a": [1, 2.5, None, True, "é"]}),
        ((1, 2), [1, 2]),
        ({3, 1, 2}, [1, 2, 3]),
        (b"abc", "<3 bytes>"),
        (datetime.date(2024, 1, 2), "2024-01-02"),
        (decimal.Decimal("1.10"), "1.10"),
        (Colour.red, "r"),
        (Point(1), {"x": 1}),
        (State({"a": 1}), {"a": 1}),
        (Model(), {"mode": "json"}),
        (ValueError("bad"), "ValueError: bad"),
        (int, "int"),
        ({(1, 2): 3}, {"(1, 2)": 3}),
        (float("nan"), "nan"),
        ([float("inf")], ["inf"]),
        (Rude(), "<a Rude that cannot be shown>"),
        ([Rude(), 1], ["<a Rude that cannot be shown>", 1]),
        ({"a": Failing(b=1)}, {"a": "{'b': 1}"}),
        ([10**5000], ["<a int that cannot be shown>"]),
    ],
)
def test_each_value_has_a_form(value: Any, form: Any) -> None:
    assert form == shown(value)


def test_a_secret_is_hidden_and_learned() -> None:
    assert {"key": "[redacted]"} == shown({"key": Secret("swordfish")})
    assert "swordfish" in LEARNED


def test_a_value_that_holds_itself_is_shown_to_some_depth() -> None:
    circle: list[Any] = [1]
    circle.append(circle)

    assert 1 == shown(circle)[0]


def test_a_value_deeper_than_python_goes_is_shown_to_some_depth() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]

    assert len(ENCODER.encode(deep)) < 1_000


@pytest.mark.parametrize("value", ["x" * 10**6, ["x" * 1000] * 1000, {str(n): n for n in range(100_000)}])
def test_a_large_value_is_cut_and_says_so(value: Any) -> None:
    text = ENCODER.encode(value)

    assert len(text) <= LONGEST
    assert "more" in text


@given(
    some.recursive(
        some.from_type(type(None)) | some.floats() | some.text() | some.binary() | some.integers(),
        lambda inner: some.lists(inner) | some.dictionaries(some.text() | some.integers(), inner),
    )
)
def test_whatever_it_is_the_text_is_json(value: Any) -> None:
    json.loads(ENCODER.encode(value), parse_constant=lambda name: pytest.fail(name))


def test_the_facts_of_an_error_hold_its_message_and_where_it_came_from() -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        _ = 1 / 0

    facts = error_facts(caught.value)

    assert ("ZeroDivisionError", "division by zero") == (facts["kind"], facts["message"])
    assert "test_encoding.py" in facts["traceback"]


def test_an_error_that_cannot_be_told_is_told_as_that() -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no")

    assert "<a Mute that cannot be shown>" == error_facts(Mute())["message"]
