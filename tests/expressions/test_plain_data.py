"""No method of an object that is not plain data is ever called, and the error names the state key."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from agentflow.errors import EvaluationError
from agentflow.expressions import compile_expression

from .traps import trapped_state, watching


@pytest.mark.parametrize(
    ("source", "key"),
    [
        ("trap", "trap"),
        ("meta", "meta"),
        ("not trap", "trap"),
        ("trap and ok", "trap"),
        ("trap == 1", "trap"),
        ("1 != meta", "meta"),
        ("trap == trap", "trap"),
        ("trap < 3", "trap"),
        ("trap in items", "trap"),
        ("trap in [1, 2]", "trap"),
        ("1 in trap", "trap"),
        ("len(trap)", "trap"),
        ("trap[0]", "trap"),
        ("trap.name", "trap"),
        ("items[trap]", "trap"),
        ("trap + 1", "trap"),
        ("-trap", "trap"),
        ("[trap] == [1]", "trap"),
        ("{trap}", "trap"),
        ("{trap: 1}", "trap"),
        ("any(trap for x in items)", "trap"),
        ("any(x for x in trap)", "trap"),
        ("1 in traps", "traps"),
        ("traps == [1, 2, 3]", "traps"),
        ("[traps] == [[1, 2, 3]]", "traps"),
        ("[1, 2, 3] < traps", "traps"),
        ("traps[0]", "traps"),
        ("any(traps)", "traps"),
        ("sum(traps)", "traps"),
        ("max(traps)", "traps"),
        ("max(traps, traps)", "traps"),
        ("any(x for x in traps)", "traps"),
        ("any(x == 1 for x in traps)", "traps"),
        ("listed == [1, 2]", "listed"),
        ("table.name", "table"),
        ("keyed['age']", "keyed"),
        ("keyed == {'name': 1, 'age': 2}", "keyed"),
        ("nested == {'a': {'b': [{'c': 1}]}}", "nested"),
        ("nested.a.b[0].c", "nested"),
        ("(1, 2) == (1, nested)[0:2] and [nested] in [[nested]]", "nested"),
    ],
)
def test_other_objects_are_refused_by_key(source: str, key: str) -> None:
    expression, state = compile_expression(source), trapped_state()
    with watching() as hits, pytest.raises(EvaluationError) as caught:
        expression.evaluate(state)
    assert [] == hits
    said, _, why = str(caught.value).removeprefix(f"expression {source!r} reads ").partition(", which is or holds a ")
    assert (True, True) == (key in said, why.startswith(("Trap: only plain", "MetaTrap: only plain"))), said


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("trap is None", False),
        ("meta is not None", True),
        ("len(traps)", 3),
        ("traps == []", False),
        ("traps != 3", True),
        ("traps[1]", 1),
        ("len(listed)", 2),
        ("listed[0] == 1", True),
        ("listed and ok", True),
        ("text == 'name'", True),
        ("text in ['name']", True),
        ("'am' in text", True),
        ("text[0]", "n"),
        ("number + 1", 8),
        ("number > 6", True),
        ("'name' in table", True),
        ("table.age", 1),
        ("1 in bag and 'name' in bag", True),
        ("bag == {1, 'name'}", True),
        ("keyed.name", 1),
        ("'name' in keyset", True),
        ("keyset <= {'name', 2, 3}", True),
        ("tupled[(1, 'name')]", 2),
        ("len(nested.a.b)", 1),
    ],
)
def test_what_surrounds_them_still_works_without_touching_them(source: str, expected: object) -> None:
    expression, state = compile_expression(source), trapped_state()
    with watching() as hits:
        result = expression.evaluate(state)
    assert ([], True) == (list(hits), result == expected)


def test_zone_of_a_date_may_not_run_code() -> None:
    class Zone(datetime.tzinfo):
        def utcoffset(self, moment: Any) -> datetime.timedelta:
            raise AssertionError("called")

    moment = datetime.datetime(2024, 1, 1, tzinfo=Zone())
    with pytest.raises(EvaluationError, match="reads 'at', which is or holds a Zone"):
        compile_expression("at > since").evaluate({"at": moment, "since": datetime.datetime(2024, 1, 1)})


def test_container_that_holds_itself_is_refused() -> None:
    loop: list[object] = []
    loop.append(loop)
    with pytest.raises(EvaluationError, match="nested deeper than 40"):
        compile_expression("a == [a]").evaluate({"a": loop})


def test_container_that_unfolds_without_end_is_refused() -> None:
    wide: list[object] = [[]]
    for _ in range(35):
        wide = [wide, wide]
    other = [wide[0], wide[1]]
    with pytest.raises(EvaluationError, match="goes through too much data"):
        compile_expression("a == b").evaluate({"a": wide, "b": other})


@pytest.mark.parametrize(
    "source",
    [
        "any(x < 0 for x in many)",
        "len([x for x in many]) > 3",
        "all(x in many for x in items)",
        "sum(sum(items) for x in items)",
        "all(many == twin for x in items)",
        "any(needle in text for x in items)",
        "all(text < other for x in items)",
        "len([many[1:9000] for x in items])",
        "any([" + "x," * 150 + "] == 1 for x in items)",
        "max(items, items) == 1 or any(min(many, many) == 1 for x in items)",
    ],
)
def test_work_of_one_evaluation_is_limited(source: str) -> None:
    state = {
        "items": list(range(5_000)),
        "many": list(range(11_000)),
        "twin": list(range(11_000)),
        "text": "ab" * 500_000,
        "other": "ab" * 500_000 + "c",
        "needle": "ba" * 200 + "c",
    }
    with pytest.raises(EvaluationError, match="goes through too much data: 10,000 items are the limit"):
        compile_expression(source).evaluate(state)


def test_ten_thousand_items_are_within_the_limit() -> None:
    assert compile_expression("len([x for x in many if x >= 0])").evaluate({"many": list(range(10_000))}) == 10_000


def test_text_that_an_expression_makes_is_limited() -> None:
    with pytest.raises(EvaluationError, match="makes a text of more than 10,000 characters"):
        compile_expression("text[1:]").evaluate({"text": "a" * 10_002})
    assert len(str(compile_expression("text[:10000]").evaluate({"text": "a" * 10_002}))) == 10_000


def test_whole_numbers_are_limited_on_their_way_in_too() -> None:
    with pytest.raises(EvaluationError, match=r"beyond 2\*\*63"):
        compile_expression("n * n").evaluate({"n": 10**5_000})
    assert compile_expression("n > 5").evaluate({"n": 10**5_000}) is True


class Items(list[int]):
    """A list of the user's own kind."""


def test_large_instance_of_a_subclass_is_refused_rather_than_copied() -> None:
    with pytest.raises(EvaluationError, match="reads 'items', an Items of more than 10,000 items. Store a list"):
        compile_expression("not items").evaluate({"items": Items(range(10_001))})
    with pytest.raises(EvaluationError, match="goes through too much data"):
        compile_expression("len(items)").evaluate({"items": Items(range(100_000))})


def test_keys_that_hold_other_objects_are_refused() -> None:
    state = {"table": {(1, Items): 2}, "bag": frozenset([Items])}
    for source in ("table[1]", "1 in table", "1 in bag", "bag == {1}"):
        with pytest.raises(EvaluationError, match="reads '(table|bag)', which is or holds a type"):
            compile_expression(source).evaluate(state)


def test_large_dict_is_looked_through_once_for_all_its_lookups() -> None:
    state = {"table": {str(n): n for n in range(2_000)}, "names": [str(n) for n in range(2_000)]}
    assert compile_expression("sum(table[name] for name in names)").evaluate(state) == 1_999_000
