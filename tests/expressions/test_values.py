"""What an allowed expression evaluates to, and what it says when the values do not fit."""

from __future__ import annotations

import copy
import datetime
import decimal
import enum
import pickle
import uuid
import zoneinfo
from collections import Counter, OrderedDict, namedtuple
from collections.abc import Mapping
from typing import Any

import pytest

from agentflow.errors import EvaluationError, MissingKeyError, UndeclaredKeyError
from agentflow.expressions import Expression, compile_expression

STATE: dict[str, Any] = {
    "mode": "image",
    "count": 3,
    "ratio": 0.5,
    "ok": True,
    "nothing": None,
    "items": [3, 1, 2],
    "empty": [],
    "user": {"name": "ada", "roles": ["admin", "dev"], 7: "seven"},
    "people": [{"name": "ada", "age": 36}, {"name": "bob", "age": 25}],
    "pair": (1, "a"),
    "seen": {1, 2},
    "text": "a long text",
}


def value(source: str, **more: object) -> object:
    return compile_expression(source).evaluate({**STATE, **more})


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("mode", "image"),
        ("'a text'", "a text"),
        ("True", True),
        ("None", None),
        ("-1.5", -1.5),
        ("mode == 'image'", True),
        ("'image' == mode", True),
        ("mode != 'image'", False),
        ("count == 3.0", True),
        ("ok == 1", True),
        ("count == '3'", False),
        ("nothing == None", True),
        ("items == 3", False),
        ("count < 10", True),
        ("10 > count", True),
        ("10 <= count", False),
        ("count >= 3.0", True),
        ("mode < 'j'", True),
        ("ok < 2", True),
        ("1 < count <= 3", True),
        ("1 < count < 3 < 1 // 0", False),
        ("count is None", False),
        ("nothing is None", True),
        ("None is not count", True),
        ("nothing is None is None", True),
        ("mode in ['image', 'text']", True),
        ("mode not in ('text',)", True),
        ("mode in {'image'}", True),
        ("count in [1, -3]", False),
        ("items in [1, 2]", False),
        ("'admin' in user.roles", True),
        ("'name' in user", True),
        ("'long' in text", True),
        ("2 in seen", True),
        ("(1, 'a') == pair", True),
        ("pair in [(1, 'a')]", True),
        ("items == [3, 1, 2]", True),
        ("items < [3, 2]", True),
        ("seen <= {1, 2, 3}", True),
        ("user == {'name': 'ada', 'roles': ['admin', 'dev'], 7: 'seven'}", True),
        ("ok and count", 3),
        ("nothing and count", None),
        ("nothing or empty or mode", "image"),
        ("ok and nothing or mode", "image"),
        ("not ok", False),
        ("not empty", True),
        ("count + 2 * 3 - 1", 8),
        ("7 // 2 + 7 % 4", 6),
        ("count / 2", 1.5),
        ("-count", -3),
        ("ok + ok", 2),
        ("'yes' if count > 2 else 'no'", "yes"),
        ("'yes' if count > 3 else 'no'", "no"),
        ("user.name", "ada"),
        ("user['name']", "ada"),
        ("user[7]", "seven"),
        ("user.roles[-1]", "dev"),
        ("people[0].age", 36),
        ("items[ok]", 1),
        ("text[0]", "a"),
        ("items[1:]", [1, 2]),
        ("items[::-1]", [2, 1, 3]),
        ("text[2:6]", "long"),
        ("pair[:1]", (1,)),
        ("[count, mode]", [3, "image"]),
        ("(count,)", (3,)),
        ("{count, 1}", {3, 1}),
        ("{'n': count, mode: 1}", {"n": 3, "image": 1}),
        ("len(items) + len(text) + len(user) + len(seen)", 19),
        ("min(items)", 1),
        ("max(count, 7, 5)", 7),
        ("max('b', 'a')", "b"),
        ("min([(2, 'b'), (1, 'c')])", (1, "c")),
        ("abs(-count)", 3),
        ("sum(items)", 6),
        ("sum([0.5, 1])", 1.5),
        ("any(empty)", False),
        ("all(empty)", True),
        ("any(items)", True),
        ("any(x > 2 for x in items)", True),
        ("all(x > count for x in items)", False),
        ("any(p.age > 30 and p.name == 'ada' for p in people)", True),
        ("sum(p.age for p in people)", 61),
        ("max(p.age for p in people if p.age < 30)", 25),
        ("min([x * 2 for x in items])", 2),
        ("len([x for x in items if x > 1 if x < 3])", 1),
        ("any(items == 2 for items in items)", True),
        ("any(key == 'name' for key in user)", True),
        ("sum(len(p.name) for p in people) == 6 and any(x == 1 for x in items)", True),
        ("any([x is None for x in [nothing]])", True),
        ("'caf\\u00e9' == 'café'", True),
        ("mode ==\n  'image'", True),
    ],
)
def test_value_is_what_python_says(source: str, expected: object) -> None:
    result = value(source)
    assert (expected, type(expected)) == (result, type(result))


@pytest.mark.parametrize(
    ("source", "reads"),
    [
        ("count < 10", {"count"}),
        ("1 < 2", set()),
        ("user.name == mode", {"user", "mode"}),
        ("any(x > limit for x in items)", {"limit", "items"}),
        ("any(items == 2 for items in items)", {"items"}),
        ("x and any(x for x in items)", {"x", "items"}),
        ("len > 3 and len(text) > 3", {"len", "text"}),
    ],
)
def test_reads_are_the_state_keys_it_names(source: str, reads: set[str]) -> None:
    assert frozenset(reads) == compile_expression(source).reads


@pytest.mark.parametrize(
    ("source", "equality"),
    [
        ("mode == 'image'", ("mode", "image")),
        (" 'image' == mode ", ("mode", "image")),
        ("(mode) == ('image')", ("mode", "image")),
        ("count == -1", ("count", -1)),
        ("ok == True", ("ok", True)),
        ("x == None", ("x", None)),
        ("mode != 'image'", None),
        ("mode == other", None),
        ("mode == 'a' or mode == 'b'", None),
        ("user.name == 'ada'", None),
        ("1 == 1", None),
        ("a == 1 == 1", None),
        ("items == [1]", None),
    ],
)
def test_equality_is_known_when_it_is_all_there_is(source: str, equality: tuple[str, object] | None) -> None:
    assert equality == compile_expression(source).equality


@pytest.mark.parametrize("source", ["gone", "gone == 1", "gone < 1", "1 == gone", "gone is None", "count > 1 and gone"])
def test_missing_key_names_key_and_expression(source: str) -> None:
    with pytest.raises(MissingKeyError) as caught:
        value(source)
    assert (
        f"expression {source!r} reads the state key 'gone', which has no value. Give it one in the first state or write"
        " it in an earlier action."
    ) == str(caught.value)


def test_missing_key_behind_a_short_circuit_is_not_read() -> None:
    assert value("nothing is not None and gone > 3") is False


@pytest.mark.parametrize("source", ["secret", "secret == 1", "secret is None"])
def test_error_of_the_state_itself_is_kept(source: str) -> None:
    class Guarded(Mapping[str, object]):
        def __getitem__(self, key: str) -> object:
            raise UndeclaredKeyError(f"{key} is not declared")

        def __iter__(self) -> Any:
            return iter(())

        def __len__(self) -> int:
            return 0

    with pytest.raises(UndeclaredKeyError, match="secret is not declared"):
        compile_expression(source).evaluate(Guarded())


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("mode < 3", "'mode' < '3': a str and an int have no order. Compare two numbers or two texts."),
        ("3 < mode", "'mode' > '3'"),
        ("nothing < 3", "None and an int have no order. Check it first: nothing is not None and ..."),
        ("count < 3 < nothing or count >= nothing", "Check it first: nothing is not None and ..."),
        ("items < 3", "a list and an int have no order"),
        ("user < user", "a dict and a dict have no order"),
        ("mode + 1", "calculates with 'mode', which is a str. Use int or float."),
        ("count + nothing", "calculates with 'nothing', which is None."),
        ("items * 2", "calculates with 'items', which is a list"),
        ("-mode", "calculates with 'mode'"),
        ("count / 0", "divides by '0', which is 0."),
        ("count % (count - 3)", "divides by 'count - 3', which is 0."),
        ("user.age", "reads 'user', which has no key 'age'. Check it first with `in`."),
        ("mode.name", "reads 'name' of 'mode', which is a str: a dot reads a key of a dict."),
        ("items[9]", "takes item 9 of 'items', which has 3. Check len() first."),
        ("items[mode]", "takes an item of 'items' with a str. Use a whole number."),
        ("count[0]", "takes an item of 'count', which is an int."),
        ("user[items]", "unhashable"),
        ("count[1:]", "takes a slice of 'count', which is an int."),
        ("items[mode:]", "slice indices"),
        ("items[::0]", "slice step cannot be zero"),
        ("{items}", "unhashable"),
        ("items in {1}", "looks for 'items' in a set, and a list is in none."),
        ("items in seen", "unhashable"),
        ("1 in text", "looks for '1' in a text: it is an int."),
        ("1 in count", "looks inside 'count', which is an int."),
        ("len(count)", "takes the length of 'count', which is an int."),
        ("abs(mode)", "calculates with 'mode'"),
        ("sum(text)", "calculates with 'text', which is a str"),
        ("min(empty)", "takes the minimum of 'empty', which is empty."),
        ("max(x for x in items if x > 9)", "takes the maximum"),
        ("max(count, mode)", "not supported between"),
        ("any(count)", "goes through 'count', which is an int."),
        ("any(x for x in count)", "goes through 'count', which is an int."),
        ("9223372036854775808 + 1", "a whole number beyond 2**63"),
        ("9223372036854775807 * 3", "a whole number beyond 2**63"),
        ("sum([9223372036854775807, 9])", "a whole number beyond 2**63"),
    ],
)
def test_values_that_do_not_fit_are_a_typed_error(source: str, said: str) -> None:
    with pytest.raises(EvaluationError) as caught:
        value(source)
    assert [True, True] == [
        str(caught.value).startswith(f"expression {source!r} "),
        said in str(caught.value),
    ], str(caught.value)


class Color(enum.Enum):
    RED = "red"
    ODD = object()


class Level(enum.IntEnum):
    HIGH = 3


class Mode(enum.StrEnum):
    IMAGE = "image"


Point = namedtuple("Point", "x y")
UTC = datetime.UTC


@pytest.mark.parametrize(
    ("source", "held", "expected"),
    [
        ("v == 'red'", Color.RED, True),
        ("v in ['red']", Color.RED, True),
        ("v == 'image'", Mode.IMAGE, True),
        ("v >= 3", Level.HIGH, True),
        ("'red' in v", [Color.RED], True),
        ("v['red']", {Color.RED: 5}, 5),
        ("v == w", Color.RED, True),
        ("v.a > 1", Counter({"a": 2}), True),
        ("v.a == 1", OrderedDict(a=1), True),
        ("v == (1, 2)", Point(1, 2), True),
        ("v[0]", Point(1, 2), 1),
        ("v > w", decimal.Decimal("1.5"), True),
        ("v < 2", decimal.Decimal("1.5"), True),
        ("v == w", uuid.UUID(int=5), False),
        ("v > w", datetime.date(2024, 1, 1), True),
        ("v > w", datetime.datetime(2024, 1, 1, tzinfo=UTC), True),
        ("v > w", datetime.datetime(2024, 1, 1, tzinfo=zoneinfo.ZoneInfo("UTC")), True),
        ("v > w", datetime.timedelta(1), True),
        ("v == w", b"raw", True),
    ],
)
def test_standard_values_enums_and_subclasses_count_as_plain(source: str, held: Any, expected: object) -> None:
    others = {
        datetime.date: datetime.date(2023, 1, 1),
        datetime.datetime: datetime.datetime(2023, 1, 1, tzinfo=UTC),
        datetime.timedelta: datetime.timedelta(0),
        decimal.Decimal: decimal.Decimal("0.1"),
        bytes: b"raw",
        Color: "red",
    }
    assert expected == value(source, v=held, w=others.get(type(held)))


def test_long_texts_of_the_state_may_be_searched() -> None:
    assert value("'needle' in text", text="x" * 200_000 + "needle") is True


def test_large_collections_of_the_state_may_be_measured_searched_and_sliced() -> None:
    assert value("len(items) == 50000 and 49999 in items and items[-2:] == [49998, 49999]", items=list(range(50_000)))


@pytest.mark.parametrize("twin", [copy.deepcopy, lambda expression: pickle.loads(pickle.dumps(expression))])
def test_expression_survives_copying_and_another_process(twin: Any) -> None:
    expression: Expression = twin(compile_expression("count < 10"))
    assert (compile_expression("count < 10"), True) == (expression, expression.evaluate({"count": 3}))
