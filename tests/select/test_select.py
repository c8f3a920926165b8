"""Select, and the choice that everything leaving one source is compiled into."""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import Enum
from typing import Any

import pytest

from agentflow import END, Condition, Decision, Select, Selector, State, Target, action, when
from agentflow.errors import AsyncCodeError, BuildError, DecideError, ProviderError, RealCallError, UndeclaredKeyError
from agentflow.runtime import ASYNC, BLOCKING, run_blocking
from agentflow.select import Abstention, PendingChoice
from agentflow.select.choice import Choice, Edges, targets_named
from agentflow.select.selector import as_selector, target_name
from agentflow.usage import Usage
from tests.drivers import Driver

NAMES = ("ask", "draw", "write")
TARGETS = targets_named(NAMES, {"draw": "Draw a picture."})


@action(reads=[], writes=[])
def draw(state: State) -> State:
    return state


class Next(Enum):
    draw = "draw"


@dataclass
class Said:
    next_action: Any
    reason: Any = None
    confidence: Any = None


def chosen(drive: Driver, selector: Selector, state: Any = None, **edges: Any) -> Any:
    choice = Choice(Edges("start", TARGETS, selector=selector, selector_targets=TARGETS, **edges))
    asked = choice.ask(BLOCKING if drive.colour == "blocking" else ASYNC, State(state or {}))
    return run_blocking(asked) if drive.colour == "blocking" else drive.wait(asked)


class TestAnswers:
    @pytest.mark.parametrize(
        "answer",
        [
            "draw",
            draw,
            Next.draw,
            Target("draw"),
            Said("draw"),
            Said(Next.draw),
            Said(draw),
            {"next_action": "draw", "more": 1},
            Decision(target="draw"),
        ],
        ids=["name", "action", "enum", "target", "object", "object of enum", "object of action", "dict", "decision"],
    )
    def test_each_of_these_names_a_target(self, drive: Driver, answer: Any) -> None:
        found = chosen(drive, Select(lambda state: answer, name="pick"))
        assert ("draw", "start", NAMES, "pick") == (found.target, found.source, found.targets, found.decided_by)
        assert found.seconds >= 0
        assert found.fallback is False

    def test_a_reason_and_a_confidence_are_kept(self, drive: Driver) -> None:
        found = chosen(drive, Select(lambda state: Said("draw", "a picture", 1)))
        assert ("a picture", 1.0) == (found.reason, found.confidence)
        found = chosen(drive, Select(lambda state: Said("draw", 7, "sure")))
        assert (None, None) == (found.reason, found.confidence)

    def test_a_decision_keeps_what_it_says(self, drive: Driver) -> None:
        made = Decision(target="draw", decided_by="a model", raw="{}", tokens=3, cost=0.5, source="elsewhere")
        found = chosen(drive, Select(lambda state: made))
        assert ("a model", "{}", 3, 0.5, "start") == (
            found.decided_by,
            found.raw,
            found.tokens,
            found.cost,
            found.source,
        )

    @pytest.mark.parametrize(
        ("answer", "fact"),
        [
            (
                "drwa",
                "it answered 'drwa'. Did you mean 'draw'?",
            ),
            (Said("drwa"), "it answered 'drwa'. Did you mean 'draw'?"),
            (None, "it abstained. Targets: 'ask', 'draw', 'write'."),
            (Said(None), "it abstained. Targets: 'ask', 'draw', 'write'."),
            ({"next_action": None}, "it abstained. Targets: 'ask', 'draw', 'write'."),
            (Abstention("too vague"), "it abstained: too vague. Targets: 'ask', 'draw', 'write'."),
            (True, "it answered True. Targets: 'ask', 'draw', 'write'."),
            ({"action": "draw"}, "it answered {'action': 'draw'}. Targets: 'ask', 'draw', 'write'."),
            (["draw"], "it answered ['draw']. Targets: 'ask', 'draw', 'write'."),
            (END, "it answered '__end__'. Known: 'ask', 'draw', 'write'."),
        ],
    )
    def test_anything_else_is_an_error_that_names_source_answer_and_targets(
        self, drive: Driver, answer: Any, fact: str
    ) -> None:
        with pytest.raises(DecideError) as caught:
            chosen(drive, Select(lambda state: answer, name="pick"))
        assert (
            f"pick leaving 'start' chose no declared target: {fact} Declare a fallback to go on in such a case."
        ) == str(caught.value)
        assert ("start", str(answer), NAMES) == (caught.value.source, caught.value.answer, caught.value.targets)

    @pytest.mark.parametrize("answer", ["drwa", None, True, Abstention("vague")])
    def test_a_fallback_is_taken_instead(self, drive: Driver, answer: Any) -> None:
        found = chosen(drive, Select(lambda state: answer, fallback=draw, name="pick"))
        assert ("draw", True, "pick") == (found.target, found.fallback, found.decided_by)
        assert found.reason.startswith("fallback: it a")

    def test_a_default_edge_is_for_abstaining_only(self, drive: Driver) -> None:
        found = chosen(drive, Select(lambda state: None, name="pick"), default="ask")
        assert ("ask", "default", "pick: it abstained") == (found.target, found.decided_by, found.reason)
        for wrong in ("drwa", True, ["draw"]):
            with pytest.raises(DecideError):
                chosen(drive, Select(lambda state, wrong=wrong: wrong), default="ask")

    def test_a_pending_choice_is_handed_on_with_its_source(self, drive: Driver) -> None:
        pending = PendingChoice(targets=TARGETS, question="which?", asked_by="a person")
        found = chosen(drive, Select(lambda state: pending))
        assert ("start", "which?") == (found.source, found.question)
        assert ("draw", "start", "why not", "a person") == (
            (picked := found.picked("draw", "why not")).target,
            picked.source,
            picked.reason,
            picked.decided_by,
        )
        with pytest.raises(DecideError, match="^'drwa' is none of the choices that leave 'start'. Did you mean 'draw'"):
            found.picked("drwa")


class TestAsking:
    def test_a_function_may_take_the_targets_sorted_by_name(self, drive: Driver) -> None:
        seen: list[Any] = []

        def pick(state: State, targets: Any) -> str:
            seen.append(targets)
            return "draw"

        chosen(drive, Select(pick))
        assert [(Target("ask"), Target("draw", "Draw a picture."), Target("write"))] == seen

    def test_an_async_one_is_awaited(self, drive: Driver) -> None:
        async def pick(state: State) -> str:
            return "draw"

        if drive.colour == "async":
            assert "draw" == chosen(drive, Select(pick)).target

    def test_it_sees_what_it_declares_to_read(self, drive: Driver) -> None:
        pick = Select(lambda state: state["mode"], reads="mode")
        assert "draw" == chosen(drive, pick, {"mode": "draw", "secret": 1}).target
        assert "draw" == chosen(drive, Select(lambda state: state["mode"]), {"mode": "draw"}).target
        with pytest.raises(UndeclaredKeyError, match="^selector nosy reads 'secret' without declaring it"):
            chosen(drive, Select(lambda state: state["secret"], reads=["mode"], name="nosy"), {"secret": 1})

    def test_conditions_come_before_it_and_cost_no_asking(self, drive: Driver) -> None:
        asked: list[int] = []
        selector = Select(lambda state: asked.append(1) or "draw")
        conditions = ((when(mode="w"), "write"),)
        found = chosen(drive, selector, {"mode": "w"}, conditions=conditions)
        assert ("write", "condition", "mode == 'w'", []) == (found.target, found.decided_by, found.reason, asked)
        assert ("draw", [1]) == (chosen(drive, selector, {"mode": "x"}, conditions=conditions).target, asked)

    @pytest.mark.parametrize("error", [DecideError("no"), ProviderError("down")])
    def test_a_failure_goes_to_the_fallback_or_is_raised(self, drive: Driver, error: Exception) -> None:
        def fail(state: State) -> str:
            raise error

        found = chosen(drive, Select(fail, fallback="ask"))
        assert ("ask", True, f"fallback: {error}") == (found.target, found.fallback, found.reason)
        with pytest.raises(type(error)):
            chosen(drive, Select(fail))
        assert "start" == getattr(error, "source", "start")

    @pytest.mark.parametrize("error", [RealCallError("forbidden"), KeyError("bug")])
    def test_no_fallback_hides_a_mistake(self, drive: Driver, error: Exception) -> None:
        def fail(state: State) -> str:
            raise error

        with pytest.raises(type(error)):
            chosen(drive, Select(fail, fallback="ask"))

    def test_what_models_used_is_counted_unless_the_decision_says_so(self) -> None:
        used = (Usage(input_tokens=2, output_tokens=1, cost=0.5), Usage(input_tokens=4, cost=0.25))
        counted = Choice.with_usage(Decision(target="draw"), used)
        assert (7, 0.75) == (counted.tokens, counted.cost)
        told = Decision(target="draw", tokens=1)
        assert (told, told) == (Choice.with_usage(told, used), Choice.with_usage(told, ()))


class TestOrder:
    def test_shuffled_targets_change_nothing(self) -> None:
        dice = random.Random(1)
        for _ in range(20):
            names = list(NAMES)
            dice.shuffle(names)
            assert TARGETS == targets_named(names, {"draw": "Draw a picture."})

    def test_conditions_are_tried_in_written_order_and_the_default_last(self) -> None:
        conditions = ((when(a=1), "ask"), (when(lambda state: True), "draw"))
        choice = Choice(Edges("start", TARGETS, conditions, default="write"))
        assert ["ask", "draw"] == [getattr(choice.pick(State({"a": a})), "target", None) for a in (1, 2)]
        only = Choice(Edges("start", TARGETS, conditions[:1], default="write"))
        found = only.pick(State({"a": 2}))
        assert found is not None
        assert ("write", "default", "nothing else matched") == (found.target, found.decided_by, found.reason)

    def test_without_a_match_or_a_default_it_is_the_end(self) -> None:
        found = Choice(Edges("start", TARGETS, ((when(a=1), "ask"),))).pick(State({"a": 2}))
        assert found is not None
        assert (END, "no match") == (found.target, found.decided_by)
        assert "'start' -> the end, decided by no match: no condition holds, and there is no default" == str(found)


class TestMaking:
    @pytest.mark.parametrize("wrong", ["draw", 3, None])
    def test_a_function_is_needed(self, wrong: Any) -> None:
        with pytest.raises(BuildError, match="takes a function of the state, not .*: pass one that returns a name.$"):
            Select(wrong)

    @pytest.mark.parametrize(
        "wrong",
        [
            lambda: "draw",
            lambda state, targets, more: "draw",
            lambda state, *, targets: "draw",
            lambda *, state: "draw",
        ],
    )
    def test_a_function_that_cannot_be_called_with_state_and_targets_is_refused(self, wrong: Any) -> None:
        with pytest.raises(
            BuildError, match=r"cannot call '.*<lambda>', which must take \(state\) or \(state, targets\)"
        ):
            Select(wrong)

    @pytest.mark.parametrize(
        "right",
        [
            lambda state: "draw",
            lambda state, targets: "draw",
            lambda *given: "draw",
            lambda state, targets=(), more=1, *, last=2, **rest: "draw",
        ],
    )
    def test_what_it_need_not_be_given_does_not_matter(self, drive: Driver, right: Any) -> None:
        assert "draw" == chosen(drive, Select(right)).target

    def test_a_blocking_run_names_the_async_function_and_not_the_selector(self) -> None:
        async def pick_one(state: State) -> str:
            return "draw"

        asked = Choice(Edges("start", TARGETS, selector=Select(pick_one), selector_targets=TARGETS))
        with pytest.raises(AsyncCodeError, match="pick_one' is async: use the async verb"):
            run_blocking(asked.ask(BLOCKING, State({})))

    def test_a_subclass_may_choose_otherwise(self, drive: Driver) -> None:
        class Second(Select):
            def select(self, state: State, targets: Any) -> Any:
                return targets[1]

        assert "draw" == chosen(drive, Second(lambda state: "ask")).target

    def test_an_object_with_select_is_a_selector(self) -> None:
        class Own:
            reads = ["mode"]
            fallback = "ask"

            def select(self, state: State, targets: Any) -> str:
                return "draw"

        made = as_selector(Own())
        assert isinstance(made, Select)
        assert ("Own", ("mode",), "ask") == (made.name, made.reads, made.fallback)
        assert "draw" == made.select(State(), ())
        assert made is as_selector(made)
        assert None is as_selector(when(a=1))

    def test_a_subclass_needs_select(self, drive: Driver) -> None:
        class Own(Selector):
            pass

        with pytest.raises(BuildError, match="^selector Own defines no select\\(\\): write "):
            chosen(drive, Own())
        assert [] == Own().problems("start", TARGETS)

    def test_a_decision_reads_as_a_sentence(self) -> None:
        made = Decision(target="draw", source="ask", decided_by="a model", reason="a picture", confidence=0.5)
        assert "'ask' -> 'draw', decided by a model (confidence 0.50): a picture" == str(made)

    def test_what_names_nothing_has_no_name(self) -> None:
        assert [None] * 4 == [target_name(answer) for answer in (None, 3, Said(None), Condition)]
