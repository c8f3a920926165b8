"""switch: three forms, one look-up."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, StrEnum
from typing import Any

import pytest

from agentflow import State, switch, when
from agentflow.conditions import Condition
from agentflow.errors import BuildError, DecideError, MissingKeyError
from agentflow.select.choice import Choice, Edges, targets_named
from agentflow.select.selector import Decision, Selector, Target
from agentflow.state import over


class Mode(StrEnum):
    draw = "draw"


class Color(Enum):
    red = 1


class Counting:
    """A value that counts how often it is compared."""

    def __init__(self, text: str) -> None:
        self.text, self.compared = text, 0

    def __eq__(self, other: object) -> bool:
        self.compared += 1
        return self.text == other

    __hash__ = None  # type: ignore[assignment]


class Loose(Counting):
    """A case that is equal to texts with another hash."""

    def __hash__(self) -> int:
        return 7


def choice(selector: Selector, *names: str, **edges: Any) -> Choice:
    targets = targets_named(names, {})
    everything = targets_named([*names, *([edges["default"]] if "default" in edges else [])], {})
    return Choice(Edges("start", everything, selector=selector, selector_targets=targets, **edges))


def picked(selector: Selector, state: dict[str, Any], *names: str, **edges: Any) -> Decision:
    made = choice(selector, *names, **edges)
    assert made.pure
    found = made.pick(State(state))
    assert found is not None
    asked = selector.select(State(state), targets_named(names, {}))
    assert found.target == (asked or selector.fallback or edges.get("default"))
    return found


class TestForms:
    def test_the_value_is_the_name(self) -> None:
        found = picked(switch("mode"), {"mode": "draw"}, "write", "draw")
        assert (
            Decision(
                target="draw",
                source="start",
                targets=("draw", "write"),
                decided_by="switch('mode')",
                reason="mode == 'draw'",
            )
            == found
        )

    @pytest.mark.parametrize("value", ["img", 3, None, True, ("a",), Color.red])
    def test_a_case_leads_to_its_target(self, value: Any) -> None:
        selector = switch("mode", {value: "draw", "other": "write"})
        assert "draw" == picked(selector, {"mode": value}, "draw", "write").target

    def test_a_value_that_cannot_be_looked_up_matches_no_case(self) -> None:
        assert "write" == picked(switch("mode", {"x": "draw"}, default="write"), {"mode": [1]}, "draw", "write").target

    @pytest.mark.parametrize(
        "template", ["mode=={{action.name}}", "mode == '{{action.name}}'", 'mode == "{{ action.name }}"']
    )
    def test_a_template_is_filled_with_each_name(self, template: str) -> None:
        for name in ("draw", "it's", 'a "b"', "mode"):
            assert name == picked(switch(template), {"mode": name}, "write", name).target

    def test_a_template_may_say_more_than_equality(self) -> None:
        selector = switch("{{action.name}} in modes and ready")
        assert {"modes", "ready"} == set(selector.reads or ())
        assert "draw" == picked(selector, {"modes": ["draw"], "ready": True}, "draw", "write").target

    def test_a_key_may_have_any_name(self) -> None:
        assert "draw" == picked(switch("reads"), {"reads": "draw"}, "draw", "write").target

    def test_actions_may_stand_for_their_names(self) -> None:
        target = Target("draw")
        assert "draw" == picked(switch("mode", {"x": target}), {"mode": "x"}, "draw").target
        assert "draw" == picked(switch("mode", {"x": "y"}, default=target), {"mode": "z"}, "draw", "y").target

    @pytest.mark.parametrize(
        ("make", "message"),
        [
            (lambda: switch("a.b"), "switch('a.b') is neither a state key nor a template: "),
            (lambda: switch("a == {{action.name}}", {"x": "y"}), "looks up a state key: give the key's name, or leave"),
        ],
    )
    def test_other_forms_are_refused(self, make: Callable[[], Any], message: str) -> None:
        with pytest.raises(BuildError) as caught:
            make()
        assert message in str(caught.value)
        assert "{{{{" not in str(caught.value)


class TestNothingMatches:
    def test_the_default_is_taken(self) -> None:
        found = picked(switch("mode", default="write"), {"mode": "sing"}, "draw", "write")
        assert ("write", "nothing matched, its default", False) == (found.target, found.reason, found.fallback)

    def test_a_default_edge_is_taken(self) -> None:
        found = picked(switch("mode"), {"mode": "sing"}, "draw", default="other")
        assert ("other", "switch('mode'): mode is 'sing', which names no target") == (found.target, found.reason)

    def test_without_either_it_is_an_error(self) -> None:
        with pytest.raises(DecideError) as caught:
            picked(switch("mode"), {"mode": "sing"}, "draw", "write")
        assert (
            "switch('mode') leaving 'start' chose no declared target: mode is 'sing', which names no target. "
            "Targets: 'draw', 'write'. Declare a fallback to go on in such a case."
        ) == str(caught.value)
        assert ("start", ("draw", "write")) == (caught.value.source, caught.value.targets)

    def test_a_key_without_a_value_is_an_error(self) -> None:
        with pytest.raises(MissingKeyError):
            choice(switch("mode"), "draw").pick(State())


class TestProblems:
    @pytest.mark.parametrize("selector", [switch("mode", {"x": "drwa"}), switch("mode", default="drwa")])
    def test_a_name_that_is_no_target_is_named(self, selector: Selector) -> None:
        assert ["switch('mode') leaving 'start' names 'drwa', no target of it. Did you mean 'draw'?"] == [
            str(problem) for problem in selector.problems("start", [Target("draw")])
        ]

    def test_names_that_are_targets_are_none(self) -> None:
        assert [] == switch("mode", {"x": "draw"}, default="draw").problems("start", [Target("draw")])


class TestOneLookUp:
    NAMES = tuple(f"target_{number}" for number in range(1_000))

    @pytest.mark.parametrize(
        "selector",
        [
            switch("mode"),
            switch("mode=={{action.name}}"),
            switch("mode", {name: name for name in NAMES}, default="target_0"),
        ],
        ids=["name", "template", "cases"],
    )
    def test_a_thousand_targets_cost_one(self, selector: Selector) -> None:
        made = choice(selector, *self.NAMES)
        values = CountedValues({"mode": "target_999"})
        found = made.pick(over(values))
        assert found is not None
        assert "target_999" == found.target
        assert 1 == values.reads

    def test_conditions_on_one_key_too(self) -> None:
        conditions = tuple((when(mode=name), name) for name in self.NAMES)
        made = Choice(Edges("start", targets_named(self.NAMES, {}), conditions))
        values = CountedValues({"mode": "target_999"})
        found = made.pick(over(values))
        assert found is not None
        assert ("target_999", 1) == (found.target, values.reads)

    def test_a_value_of_another_type_is_compared(self) -> None:
        value = Counting("target_2")
        found = choice(switch("mode"), *self.NAMES[:3]).pick(State({"mode": value}))
        assert found is not None
        assert ("target_2", 3) == (found.target, value.compared)
        assert "draw" == picked(switch("mode"), {"mode": Mode.draw}, "draw", "write").target

    def test_a_case_of_another_type_is_compared(self) -> None:
        case = Loose("x")
        found = choice(switch("mode", {case: "draw"}), "draw").pick(State({"mode": "x"}))
        assert found is not None
        assert ("draw", 1) == (found.target, case.compared)

    def test_the_first_of_equal_conditions_wins(self) -> None:
        conditions: tuple[tuple[Condition, str], ...] = ((when(n=1), "a"), (when(n=True), "b"), (when(n=1.0), "c"))
        made = Choice(Edges("start", targets_named("abc", {}), conditions))
        assert ["a", "a", "a"] == [
            decision.target for value in (1, True, 1.0) if (decision := made.pick(State({"n": value})))
        ]


class CountedValues(dict[str, Any]):
    """The values of a state, which count how often one is read, by whatever way."""

    reads = 0

    def __getitem__(self, key: str) -> Any:
        self.reads += 1
        return super().__getitem__(key)

    def get(self, key: str, default: Any = None) -> Any:
        self.reads += 1
        return super().get(key, default)
