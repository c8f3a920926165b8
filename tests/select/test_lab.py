"""The router lab: figures that can be checked by hand, and reports that can be read."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest
import respx

from agentflow import switch
from agentflow.errors import BuildError, InputError, MissingExtraError, MissingKeyError
from agentflow.llm import backend
from agentflow.select import (
    Cascade,
    Decision,
    Example,
    HumanDecider,
    LLMDecider,
    MemoryCache,
    RuleDecider,
    Select,
    Selector,
    Target,
)
from agentflow.select.lab import Comparison, Report, aevaluate, evaluate, read_cases
from tests.select.providers import CHAT, TARGETS, Colour, Provider, chat_body, chosen

CASES: list[Any] = [
    ("a picture of a cat", "draw"),
    ("a picture of a poem", "write"),
    ("a poem", "write"),
    ("paint something", "draw"),
    Example("nothing at all", None),
    ({"query": "what <b>picture</b>?"}, "ask", "it is a question"),
]
RULES = RuleDecider({"draw": ["picture"], "write": ["poem"]}, reads=["query"])


def measure(colour: Colour, *args: Any, **options: Any) -> Any:
    return colour.wait(lambda: evaluate(*args, **options), lambda: aevaluate(*args, **options))


@pytest.fixture
def report() -> Report:
    return evaluate(RULES, TARGETS, CASES)


class TestFigures:
    def test_every_case_has_its_outcome_in_order(self, colour: Colour) -> None:
        report = measure(colour, RULES, TARGETS, CASES, concurrency=3)
        assert ["draw", None, "write", None, None, "draw"] == [outcome.chosen for outcome in report.outcomes]
        assert [True, False, True, False, True, False] == [outcome.is_right for outcome in report.outcomes]
        assert ("RuleDecider", 0.5, 3, 0) == (report.name, report.accuracy, report.abstentions, report.errors)

    def test_precision_and_recall_are_those_of_the_book(self, report: Report) -> None:
        scores = {name: (s.precision, s.recall, s.cases, s.chosen) for name, s in report.scores.items()}
        assert {"ask": (None, 0.0, 1, 0), "draw": (0.5, 0.5, 2, 2), "write": (1.0, 0.5, 2, 1)} == scores

    def test_the_matrix_counts_every_case_once(self, report: Report) -> None:
        expected = {
            "(none)": {"(none)": 1},
            "ask": {"draw": 1},
            "draw": {"(none)": 1, "draw": 1},
            "write": {"(none)": 1, "write": 1},
        }
        assert expected == report.confusion

    def test_tokens_cost_and_time_are_measured(self, colour: Colour, provider: Provider) -> None:
        provider.reply(chosen("draw", "a picture", 0.7))
        report = measure(colour, LLMDecider(), TARGETS, CASES[:2])
        assert (30, True, True) == (report.usage.total_tokens, report.usage.cost > 0, report.seconds > 0)
        assert (15, "a picture", 0.7) == (
            report.outcomes[0].usage.total_tokens,
            report.outcomes[0].reason,
            report.outcomes[0].confidence,
        )
        median, slowest = report.latency
        assert 0 < median <= slowest

    def test_errors_are_outcomes_and_fallbacks_are_answers(self, colour: Colour, provider: Provider) -> None:
        provider.reply(401)
        both = {"bare": LLMDecider(), "safe": LLMDecider(fallback="draw")}
        compared = measure(colour, both, TARGETS, CASES[:2])
        assert [(2, 0.0), (0, 0.5)] == [(report.errors, report.accuracy) for report in compared]
        assert ({"draw": {"(error)": 1}, "write": {"(error)": 1}}, "draw") == (
            compared["bare"].confusion,
            compared["safe"].outcomes[0].chosen,
        )
        assert compared["safe"].outcomes[0].fallback
        assert "check the API key" in compared["bare"].outcomes[0].error

    def test_a_name_that_is_no_target_is_an_error(self) -> None:
        report = evaluate(Select(lambda state: "fly"), TARGETS, CASES[:1])
        assert "it answered 'fly', which is no target" == report.outcomes[0].error

    def test_what_is_left_to_a_person_counts_as_abstaining(self) -> None:
        report = evaluate(HumanDecider(), TARGETS, CASES[:1])
        assert (1, "HumanDecider") == (report.abstentions, report.outcomes[0].decided_by)

    @pytest.mark.parametrize(
        "selector",
        [
            Select(lambda state: "draw", name="plain"),
            Select(lambda state: Decision(target="draw", decided_by="plain")),
            switch("query", {"a picture of a cat": "draw"}),
        ],
    )
    def test_any_selector_can_be_measured(self, selector: Selector) -> None:
        assert 1.0 == evaluate(selector, TARGETS, CASES[:1]).accuracy

    def test_several_are_measured_side_by_side(self, colour: Colour) -> None:
        compared = measure(colour, {"rules": RULES, "always": Select(lambda state: "write")}, TARGETS, CASES)
        assert isinstance(compared, Comparison)
        assert (2, ["rules", "always"], "rules") == (len(compared), [r.name for r in compared], compared.best.name)
        with pytest.raises(KeyError):
            compared["nobody"]

    def test_nothing_is_divided_by_nothing(self) -> None:
        empty = Report("empty", (), ())
        assert (0.0, (0.0, 0.0), ()) == (empty.accuracy, empty.latency, empty.misses)


class TestRendering:
    def test_the_table_shows_the_figures_and_the_misses(self, report: Report) -> None:
        table = report.table()
        assert "RuleDecider  50.0 %    3/6    3          0       0       -" in table
        assert "write   100.0 %    50.0 %  2      1" in table
        assert "3 misses" in table
        assert "paint something       draw   (none)  no rule matches" in table
        assert "what <b>picture</b>?  ask    draw    matched 'picture'" in table

    def test_where_all_is_right_there_are_no_misses_to_show(self) -> None:
        report = evaluate(Select(lambda state: "draw", name="always"), TARGETS, [("a cat", "draw")])
        assert not any("miss" in made for made in (report.table(), report.html()))

    def test_many_misses_are_cut_short_in_the_table_only(self) -> None:
        report = evaluate(Select(lambda state: "ask"), TARGETS, [(f"case {n} {'x' * 100}", "draw") for n in range(30)])
        assert "... and 10 more" in report.table()
        assert 20 == sum(line.startswith("case ") and "…" in line for line in report.table().splitlines()[10:])
        assert "case 29 " in report.html()
        one = evaluate(Select(lambda state: "ask"), TARGETS, [("case", "draw")])
        assert "1 miss\n" in one.table()

    def test_the_page_loads_and_runs_nothing(self, report: Report) -> None:
        page = report.html()
        assert "what &lt;b&gt;picture&lt;/b&gt;?" in page
        assert not any(word in page.lower() for word in ("<script", "src=", "http:", "https:", "<b>", "@import"))

    def test_json_holds_everything(self, report: Report) -> None:
        [plain] = json.loads(report.json())["reports"]
        assert (0.5, 6, report.confusion) == (plain["accuracy"], len(plain["outcomes"]), plain["confusion"])
        assert {"precision": 0.5, "recall": 0.5, "cases": 2, "chosen": 2} == plain["scores"]["draw"]

    def test_a_comparison_renders_all_of_them(self, provider: Provider) -> None:
        provider.reply(chosen("draw"))
        compared = evaluate({"rules": RULES, "model": LLMDecider()}, TARGETS, CASES)
        assert 2 == len(json.loads(compared.json())["reports"])
        assert all("model" in made and "rules" in made for made in (compared.table(), compared.html()))
        assert "$0.0000" in compared.table()


class TestAsking:
    def test_progress_is_told(self, colour: Colour) -> None:
        told: list[tuple[int, int]] = []
        measure(
            colour, {"a": RULES, "b": RULES}, TARGETS, CASES, progress=lambda done, total: told.append((done, total))
        )
        assert [(number, 12) for number in range(1, 13)] == told

    def test_a_progress_bar_leaves_the_output_alone(self, colour: Colour, capsys: pytest.CaptureFixture[str]) -> None:
        measure(colour, RULES, TARGETS, CASES, progress=True)
        assert "" == capsys.readouterr().out

    def test_a_progress_bar_needs_its_extra(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "rich.console", None)
        with pytest.raises(MissingExtraError, match=r"A progress bar needs the 'cli' extra"):
            evaluate(RULES, TARGETS, CASES, progress=True)

    def test_a_bug_in_a_selector_is_raised_with_the_case(self, colour: Colour) -> None:
        def buggy(state: Any) -> str:
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError) as caught:
            measure(colour, Select(buggy), TARGETS, CASES)
        assert "on the case 'a picture of a cat'" in caught.value.__notes__[0]

    @pytest.mark.parametrize(
        ("cases", "options", "message"),
        [
            ([], {}, "there are no cases"),
            ([("x", "drwa")], {}, "Did you mean 'draw'?"),
            ([("x", "draw")], {"concurrency": 0}, "would put no case at all"),
        ],
    )
    def test_what_cannot_be_measured_is_refused(self, cases: Any, options: Any, message: str) -> None:
        with pytest.raises(InputError, match=message.replace("?", r"\?")):
            evaluate(RULES, TARGETS, cases, **options)

    def test_what_cannot_choose_is_refused(self) -> None:
        with pytest.raises(BuildError, match="measures selectors"):
            evaluate("draw", TARGETS, CASES)  # type: ignore[call-overload]
        with pytest.raises(BuildError, match="non-empty docstring"):
            evaluate(LLMDecider(), [Target("draw")], CASES)
        with pytest.raises(BuildError, match="is no example"):
            evaluate(RULES, TARGETS, ["draw"])  # type: ignore[list-item]
        with pytest.raises(BuildError, match="is no example"):
            evaluate(RULES, TARGETS, [("draw", object())])

    def test_a_text_is_the_value_of_the_key_that_is_read(self) -> None:
        reads_other = RuleDecider({"draw": ["picture"]}, reads=["other"])
        reads_two = RuleDecider({"draw": ["picture"]}, reads=["other", "query"])
        assert 1.0 == evaluate(reads_other, TARGETS, CASES[:1]).accuracy
        with pytest.raises(MissingKeyError):
            evaluate(reads_two, TARGETS, CASES[:1], key="other")

    def test_as_many_cases_are_under_way_as_asked_for(self, colour: Colour, http: respx.MockRouter) -> None:
        under_way, all_there = 0, asyncio.Event()

        async def answer_when_all_are_there(request: httpx.Request) -> httpx.Response:
            nonlocal under_way
            under_way += 1
            if under_way == 50:
                all_there.set()
            async with asyncio.timeout(20):
                await all_there.wait()
            return httpx.Response(200, json=chat_body(chosen("draw")))

        http.post(CHAT).mock(side_effect=answer_when_all_are_there)
        cases = [(f"case {number}", "draw") for number in range(50)]
        report = measure(colour, Cascade(RULES, LLMDecider()), TARGETS, cases, concurrency=50)
        assert (1.0, 50) == (report.accuracy, under_way)

    def test_blocking_selectors_are_asked_in_threads(self) -> None:
        together = threading.Barrier(4)

        def choose(state: Any) -> str:
            together.wait(timeout=20)
            return "draw"

        assert 1.0 == evaluate(Select(choose), TARGETS, [("a cat", "draw")] * 8, concurrency=4).accuracy

    def test_who_decides_in_a_way_of_its_own_is_asked_in_threads(self) -> None:
        together = threading.Barrier(4)

        class Own(RuleDecider):
            async def decide(self, runtime: Any, state: Any, targets: Any) -> Any:
                together.wait(timeout=20)
                return await super().decide(runtime, state, targets)

        own = Own({"draw": ["cat"]})
        assert (True, False, False) == (RULES.never_blocks, own.never_blocks, Cascade(own, RULES).never_blocks)
        assert 1.0 == evaluate(own, TARGETS, [("a cat", "draw")] * 8, concurrency=4).accuracy

    def test_a_blocking_measurement_nests_in_a_running_event_loop(self, provider: Provider) -> None:
        provider.reply(chosen("draw"))
        told: list[int] = []

        async def within_a_loop() -> Report:
            return evaluate(LLMDecider(), TARGETS, CASES[:2], progress=lambda done, total: told.append(done))

        assert (0.5, [1, 2]) == (asyncio.run(within_a_loop()).accuracy, told)

    def test_no_client_is_left_behind(self, provider: Provider) -> None:
        provider.reply(chosen("draw"))
        decider = LLMDecider()
        decider.select({"query": "a cat"}, TARGETS)  # the blocking client is kept
        kept = backend.load().in_memory_llm_clients_cache.cache_dict
        before = set(kept)
        evaluate(decider, TARGETS, CASES[:2])
        assert before == set(kept)

    def test_a_cache_makes_a_second_measurement_free(self, provider: Provider) -> None:
        provider.reply(chosen("draw"))
        decider = LLMDecider(cache=MemoryCache())
        reports = [evaluate(decider, TARGETS, CASES, concurrency=1) for _ in range(2)]
        assert [90, 0] == [report.usage.total_tokens for report in reports]


class TestReadingCases:
    def test_each_line_is_a_case(self, tmp_path: Path) -> None:
        path = tmp_path / "cases.jsonl"
        lines = [
            '{"input": "a cat", "target": "draw", "reason": "a picture"}',
            "",
            '{"state": {"query": "?"}, "target": null}',
        ]
        path.write_text("\n".join(lines), encoding="utf-8")
        assert (Example("a cat", "draw", "a picture"), Example({"query": "?"}, None)) == read_cases(path)

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "holds no case"),
            ("{", "cases.jsonl:1 is no JSON"),
            ("\n[]", "cases.jsonl:2 is no object"),
            ('{"input": "x"}', "is no case"),
            ('{"input": 3, "target": "draw"}', "is no case"),
            ('{"input": "x", "target": 3}', "is no case"),
        ],
    )
    def test_a_bad_line_is_named(self, tmp_path: Path, text: str, message: str) -> None:
        path = tmp_path / "cases.jsonl"
        path.write_text(text, encoding="utf-8")
        with pytest.raises(InputError, match=message):
            read_cases(path)

    def test_a_missing_file_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="cannot be read"):
            read_cases(tmp_path / "nothing.jsonl")
