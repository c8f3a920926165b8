"""Conditions: pure, named, combined with ~ & |, and known to be the same when they are."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from agentflow import Condition, State, default, expr, when
from agentflow.conditions import equal_by_key, holds, literal_when_unknown, same
from agentflow.errors import BuildError, ExpressionError, MissingKeyError, ResultError, UndeclaredKeyError

STATE = State({"mode": "image", "count": 3, "done": False})


def is_done(state: State) -> bool:
    return bool(state["done"])


def is_many(state: State) -> bool:
    return state["count"] > 2


class TestAlgebra:
    @pytest.mark.parametrize(
        ("condition", "name", "expected"),
        [
            (when(mode="image"), "mode == 'image'", True),
            (~when(mode="image"), "~(mode == 'image')", False),
            (when(is_many) & when(is_done), "is_many & is_done", False),
            (when(is_many) | when(is_done), "is_many | is_done", True),
            (~(when(is_many) | expr("count > 5")), "~(is_many | (count > 5))", False),
            (when(mode="image", count=3), "mode == 'image' and count == 3", True),
            (when(mode="image", count=4), "mode == 'image' and count == 4", False),
            (default, "default", True),
            (Condition.lmda(lambda state: state["count"] == 3, ["count"]), "<lambda>", True),
            (Condition.when(count=3), "count == 3", True),
            (Condition.expr("count == 3 and not done"), "count == 3 and not done", True),
            (Condition(["count"], is_many, name="busy"), "busy", True),
        ],
    )
    def test_it_says_its_name_and_holds_or_not(self, condition: Condition, name: str, expected: bool) -> None:
        assert (name, expected, {Condition.KEY: expected}) == (
            condition.name,
            condition.evaluate(STATE),
            condition.run(STATE),
        )
        assert f"condition: {name}" == repr(condition)

    def test_reads_are_those_of_the_parts(self) -> None:
        assert frozenset({"mode", "count"}) == (when(mode="x") & ~expr("count > 1")).reads
        assert None is (when(mode="x") | when(is_done)).reads
        either = Condition(["a"], is_done, optional_keys=["b"]) | Condition(["c"], is_done, optional_keys=["d"])
        assert ({"a", "c"}, {"b", "d"}) == (either.reads, either.optional_reads)

    def test_the_second_part_is_asked_only_if_it_matters(self) -> None:
        missing = when(nothing=1)
        assert False is (when(is_done) & missing).evaluate(STATE)
        assert True is (when(is_many) | missing).evaluate(STATE)

    @pytest.mark.parametrize("combine", [lambda one: one & is_done, lambda one: one | True])
    def test_only_conditions_combine(self, combine: Any) -> None:
        with pytest.raises(
            BuildError, match="cannot be combined with a condition: wrap it, as in when\\(function\\).$"
        ):
            combine(when(mode="x"))


class TestWhen:
    def test_a_key_may_be_called_reads(self) -> None:
        assert True is when(reads="x").evaluate(State({"reads": "x"}))
        assert True is when(a=1, reads="x").evaluate(State({"reads": "x", "a": 1}))

    def test_a_function_may_declare_what_it_reads(self) -> None:
        with pytest.raises(UndeclaredKeyError) as caught:
            when(is_done, reads=["mode"]).evaluate(STATE)
        assert "condition 'is_done' reads 'done' without declaring it: add 'done' to its reads." == str(caught.value)

    @pytest.mark.parametrize("options", [((), {}), ((is_done,), {"mode": "x"})])
    def test_it_takes_one_of_the_two(self, options: Any) -> None:
        with pytest.raises(
            BuildError, match="takes either key=value pairs or one function of the state: give one of the"
        ):
            when(*options[0], **options[1])

    @pytest.mark.parametrize("wrong", ["mode == 'x'", 3, when(a=1)])
    def test_what_is_no_function_is_refused(self, wrong: Any) -> None:
        with pytest.raises(
            BuildError, match="is no function of the state: pass one, or use when\\(key=value\\) or expr"
        ):
            when(wrong)

    def test_an_async_function_is_refused(self) -> None:
        async def later(state: State) -> bool:
            return True

        with pytest.raises(BuildError, match="later' is async, and conditions are pure: use Select\\(...\\) for it.$"):
            when(later)

    def test_a_missing_key_names_the_condition(self) -> None:
        with pytest.raises(MissingKeyError, match="nothing"):
            when(nothing=1).evaluate(STATE)

    def test_an_optional_key_need_not_have_a_value(self) -> None:
        condition = Condition(["done"], lambda state: state.get("extra", 1) == 1, optional_keys=["extra"])
        assert (True, False) == (condition.evaluate(STATE), condition.evaluate(STATE.update(extra=2)))


class TestExpr:
    def test_a_name_nobody_knows_is_a_text(self) -> None:
        for source in ("mode==image", "mode == image"):
            assert True is literal_when_unknown(expr(source), ["mode"]).evaluate(STATE)

    def test_in_combinations_too(self) -> None:
        condition = literal_when_unknown(~expr("mode==image") | (expr("mode==image") & expr("count == 3")), ["mode"])
        assert True is condition.evaluate(STATE)
        assert "(~(mode==image)) | ((mode==image) & (count == 3))" == condition.name
        assert frozenset({"mode", "count"}) == condition.reads

    def test_a_name_somebody_knows_is_a_key(self) -> None:
        condition = expr("mode == other")
        assert condition is literal_when_unknown(condition, ["mode", "other"])
        assert True is condition.evaluate(STATE.update(other="image"))
        combined = ~condition
        assert combined is literal_when_unknown(combined, ["mode", "other"])

    def test_a_value_of_that_key_wins(self) -> None:
        condition = literal_when_unknown(expr("mode == other"), ["mode"])
        assert (False, True) == (condition.evaluate(STATE), condition.evaluate(STATE.update(other="image")))

    def test_constants_are_no_texts(self) -> None:
        for source in ("done == False", "done == None", "done == True"):
            assert None is expr(source).literal

    def test_what_is_not_allowed_fails_when_it_is_made(self) -> None:
        with pytest.raises(ExpressionError):
            expr("mode.upper() == 'X'")


class TestSameness:
    @pytest.mark.parametrize(
        ("one", "other", "expected"),
        [
            (when(a=1), when(a=1), True),
            (when(a=1), expr("a == 1"), True),
            (when(a=1), when(a=2), False),
            (when(a=1), when(is_done), False),
            (when(a=[1]), when(a=[1]), True),
            (when(a=1, b=2), when(a=1, b=2), True),
            (expr("a > 1"), expr("a > 1"), True),
            (expr("a > 1"), expr("a > 2"), False),
            (when(is_done), when(is_done), True),
            (when(is_done), when(is_many), False),
            (when(lambda state: True), when(lambda state: True), False),
            (~when(is_done), ~when(is_done), True),
            (~when(lambda state: True), ~when(lambda state: True), False),
            (when(is_done) & when(a=1), when(is_done) | when(a=1), False),
            (when(is_done), ~when(is_done), False),
            (default, Condition.default, True),
        ],
    )
    def test_it_is_claimed_only_where_it_is_known(self, one: Condition, other: Condition, expected: bool) -> None:
        assert (expected, expected) == (same(one, other), same(other, one))


class TestLookUp:
    def test_equalities_on_one_key_are_an_index(self) -> None:
        assert ("a", {1: 0, "x": 1, None: 2}) == equal_by_key([when(a=1), expr("a == 'x'"), when(a=None), when(a=1)])

    @pytest.mark.parametrize(
        "conditions",
        [[], [when(a=1), when(b=1)], [when(a=1), when(is_done)], [when(a=[1])], [when(a=(1,))]],
        ids=["none", "two keys", "a function", "unhashable", "no plain type"],
    )
    def test_anything_else_is_not(self, conditions: list[Condition]) -> None:
        assert None is equal_by_key(conditions)


def test_a_copy_is_made_of_what_it_was_made_of() -> None:
    for condition in (
        when(mode="image", count=3),
        expr("count > 2"),
        ~when(is_done),
        default,
        Condition(["mode"], is_many),
    ):
        copied = copy.deepcopy(condition)
        assert (condition.name, condition.reads) == (copied.name, copied.reads)
        assert same(condition, copied)
    assert default is copy.copy(default)


def test_holds_takes_a_condition_or_a_function() -> None:
    assert (True, False) == (holds(when(count=3), STATE), holds(is_done, STATE))
    with pytest.raises(ResultError, match="^3 is no condition: pass when"):
        holds(3, STATE)  # type: ignore[arg-type]
