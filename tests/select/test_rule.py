"""RuleDecider: what matches, and when it abstains."""

from __future__ import annotations

import re
from typing import Any

import pytest

from agentflow.errors import BuildError
from agentflow.select import RuleDecider
from agentflow.select.lab import evaluate
from tests.select.providers import TARGETS, Colour

RULES: Any = {"draw": ["picture", "paint a", re.compile(r"#\d+")], "write": "poem"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a PICTURE of a cat", "draw"),
        ("paint\n a cat", "draw"),
        ("issue #12", "draw"),
        ("a poem", "write"),
        ("pictures", None),
        ("nothing of that", None),
        ("a poem about a picture", None),
        ("a poem about a picture: paint a cat", "draw"),
        ("", None),
    ],
)
def test_the_target_with_most_matches_is_taken(colour: Colour, text: str, expected: str | None) -> None:
    answer = colour.select(RuleDecider(RULES), {"query": text})
    assert expected == (answer and answer.target)


def test_the_reason_names_what_matched() -> None:
    decision = RuleDecider(RULES, name="words").select({"query": "picture #3"}, TARGETS)
    assert ("words", "matched 'picture', '#\\\\d+'") == (decision.decided_by, decision.reason)


def test_an_abstention_says_why(colour: Colour) -> None:
    texts = ["hello", "a poem about a picture"]
    outcomes = evaluate(RuleDecider(RULES), TARGETS, [(text, None) for text in texts]).outcomes
    assert ["no rule matches", "as many rules match for 'draw' as for 'write'"] == [each.reason for each in outcomes]


def test_only_what_it_reads_is_searched() -> None:
    decider = RuleDecider(RULES, reads="query")
    assert None is decider.select({"query": "hello", "other": "poem"}, TARGETS)


@pytest.mark.parametrize("rules", [{}, {"draw": []}, {"draw": [" "]}])
def test_rules_that_cannot_work_are_refused(rules: Any) -> None:
    with pytest.raises(BuildError):
        RuleDecider(rules)


def test_rules_for_something_else_are_a_problem() -> None:
    problems = RuleDecider({"drwa": ["picture"]}).problems("start", TARGETS)
    assert ["Did you mean 'draw'?"] == [str(problem)[-20:] for problem in problems]
