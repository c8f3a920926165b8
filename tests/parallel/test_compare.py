"""Prompts are put to models side by side; a failure is a cell, and a judge ranks without knowing whose an answer is."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from agentflow.errors import BuildError, InputError
from agentflow.llm import RetryPolicy
from agentflow.parallel import Cell, Comparison, acompare, compare
from agentflow.testing import Fault, Reply, Request, ScriptedProvider
from tests.drivers import Driver

GPT, CLAUDE, GEMINI = "gpt-4o-mini", "claude-sonnet-4-5", "gemini/gemini-2.5-flash"
ONCE = RetryPolicy(retries=0, reasks=1)


def compared(drive: Driver, *args: Any, **options: Any) -> Comparison:
    verb = compare if drive.colour == "blocking" else acompare
    return drive.wait(verb(*args, **{"policy": ONCE, **options}))


def echo(request: Request) -> str:
    return f"{request.model} on {request.prompt}"


def judging(best_first: list[str], reason: str = "It is right.") -> Any:
    """Answers prompts with themselves, and the judge's question with that ranking."""

    def answer(request: Request) -> str | dict[str, Any]:
        return {"best_first": best_first, "reason": reason} if request.response_schema else echo(request)

    return answer


def test_every_model_answers_every_prompt(drive: Driver) -> None:
    with ScriptedProvider(echo):
        done = compared(drive, ["one", "two"], [GPT, CLAUDE, GEMINI])
    names = ["gpt-4o-mini", "claude-sonnet-4-5", "gemini-2.5-flash"]
    assert [[f"{name} on {prompt}" for name in names] for prompt in ("one", "two")] == [
        [cell.text for cell in row] for row in done.rows
    ]
    assert [("one", GPT), ("two", GEMINI)] == [(cell.prompt, cell.model) for cell in (done[0, 0], done[-1, 2])]
    assert [] == done.failures
    first = done[0, 0]
    assert (True, True, True) == (first.latency > 0, first.input_tokens > 0, first.output_tokens > 0)
    assert pytest.approx(sum(cell.cost or 0 for cell in done.cells)) == done.cost


def test_a_failure_is_a_cell(drive: Driver) -> None:
    def answer(request: Request) -> str | Fault:
        return Fault(status=401, message="who are you?") if request.provider == "anthropic" else echo(request)

    with ScriptedProvider(answer):
        done = compared(drive, ["one", "two"], [GPT, CLAUDE])
    assert [("one", CLAUDE), ("two", CLAUDE)] == [(cell.prompt, cell.model) for cell in done.failures]
    failed = done[0, 1]
    assert ("", True, True) == (failed.text, "who are you?" in str(failed.error), failed.latency > 0)
    assert (True, "gpt-4o-mini on one") == (failed.facts.startswith("failed after "), done[0, 0].text)


def test_an_unknown_model_is_a_cell_too(drive: Driver) -> None:
    with ScriptedProvider(echo):
        done = compared(drive, ["one"], ["nobody-knows-me", GPT])
    assert [True, False] == ["No provider is known" in str(cell.error) for cell in done.cells]


def test_a_mistake_that_is_no_providers_ends_the_comparison(drive: Driver) -> None:
    def refuse(row: int, column: int, cell: Cell) -> None:
        raise ZeroDivisionError("the listener's own")

    with ScriptedProvider(echo) as llm, pytest.raises(ZeroDivisionError, match="the listener's own"):
        compared(drive, ["one", "two"], [GPT], on_cell=refuse, max_concurrency=1)
    assert 1 == llm.calls


@pytest.mark.parametrize(
    ("prompts", "models", "said"),
    [
        ([], [GPT], "no list of prompts"),
        ("one", [GPT], "no list of prompts"),
        (["one"], [], "no list of models"),
        (["one"], GPT, "no list of models"),
        (5, [GPT], "no list of prompts"),
        ([1], [GPT], "compare\\(\\) has 1 among its prompts: each has to be a text"),
        (["one"], [None], "compare\\(\\) has None among its models: each has to be a text"),
        (["one", "one"], [GPT], "one of its prompts twice"),
        (["one"], [GPT, CLAUDE, GPT], "one of its models twice"),
    ],
)
def test_what_cannot_be_compared_is_said_before_anybody_is_asked(
    drive: Driver, prompts: Any, models: Any, said: str
) -> None:
    with ScriptedProvider() as llm, pytest.raises(BuildError, match=said):
        compared(drive, prompts, models)
    assert 0 == llm.calls


def test_an_error_that_is_no_providers_is_no_cell(drive: Driver) -> None:
    with ScriptedProvider() as llm, pytest.raises(InputError, match="No model was named"):
        compared(drive, ["one"], [""])
    assert 0 == llm.calls


def test_no_calls_at_once_are_refused(drive: Driver) -> None:
    with pytest.raises(BuildError, match="max_concurrency=0 runs nothing: give at least 1"):
        compared(drive, ["one"], [GPT], max_concurrency=0)


def test_each_cell_is_told_once_with_its_place(drive: Driver) -> None:
    told: list[tuple[int, int, str]] = []
    with ScriptedProvider(echo):
        done = compared(
            drive,
            ["one", "two"],
            [GPT, CLAUDE],
            max_concurrency=1,
            on_cell=lambda row, column, cell: told.append((row, column, cell.text)),
        )
    assert [(row, column, done[row, column].text) for row in (0, 1) for column in (0, 1)] == told


def test_cells_are_told_as_they_come(drive: Driver) -> None:
    """The second answer is held back until the first was told: no cell waits for the others."""
    told: list[str] = []

    def answer(request: Request) -> str:
        if request.prompt == "two":
            assert ["one"] == told
        return "yes"

    with ScriptedProvider(answer):
        compared(
            drive, ["one", "two"], [GPT], max_concurrency=1, on_cell=lambda row, column, cell: told.append(cell.prompt)
        )
    assert ["one", "two"] == told


def test_options_go_to_all_and_those_of_a_model_to_it_alone(drive: Driver) -> None:
    with ScriptedProvider(echo) as llm:
        compared(drive, ["one"], [GPT, CLAUDE], system="Be brief.", options_for={CLAUDE: {"max_tokens": 7}})
    sent = {request.model: request for request in llm.requests}
    assert {"gpt-4o-mini": None, "claude-sonnet-4-5": 7} == {
        name: request.raw.get("max_tokens") if name != GPT else request.raw.get("max_completion_tokens")
        for name, request in sent.items()
    }
    assert [True, True] == ["Be brief." in request.text for request in sent.values()]


def test_a_judge_ranks_the_answers_of_each_prompt(drive: Driver) -> None:
    with ScriptedProvider(judging(["answer 2", "answer 1"], "Answer 2 is right, answer 9 is not there.")) as llm:
        done = compared(drive, ["one", "two"], [GPT, CLAUDE], judge="gpt-4o")
    assert [(CLAUDE, GPT)] * 2 == [verdict.ranking for verdict in done.verdicts]
    assert f"{CLAUDE} is right, answer 9 is not there." == done.verdicts[0].reason
    paid = [each.cost for each in (*done.cells, *done.verdicts)]
    assert (6, pytest.approx(sum(filter(None, paid)))) == (len(list(filter(None, paid))), done.cost)
    questions = [request for request in llm.requests if request.model == "gpt-4o"]
    asked = next(request.prompt for request in questions if "## Prompt\none" in request.prompt)
    assert (2, True) == (len(questions), "### answer 1\ngpt-4o-mini on one" in asked)


def test_a_judge_gets_the_address_but_not_the_part_that_others_play(drive: Driver) -> None:
    with ScriptedProvider(judging(["answer 1", "answer 2"])) as llm:
        compared(
            drive,
            ["one"],
            ["openai/a", "openai/b"],
            judge="openai/judge",
            api_base="https://models.example.com/v1",
            system="Be a pirate.",
            max_tokens=3,
            options_for={"openai/judge": {"max_tokens": 99}},
        )
    judge = next(request for request in llm.requests if request.model == "judge")
    assert (99, False, 0.0) == (judge.raw["max_tokens"], "pirate" in judge.text, judge.raw["temperature"])


def test_a_judge_that_leaves_an_answer_out_is_asked_again(drive: Driver) -> None:
    rankings = [["answer 1", "answer 1"], ["answer 2", "answer 1"]]

    def answer(request: Request) -> str | dict[str, Any]:
        if request.response_schema is None:
            return echo(request)
        return {"best_first": rankings.pop(0), "reason": "so"}

    with ScriptedProvider(answer) as llm:
        done = compared(drive, ["one"], [GPT, CLAUDE], judge="gpt-4o")
    assert (CLAUDE, GPT) == done.verdicts[0].ranking
    assert "name each of these exactly once: answer 1, answer 2" in llm.requests[-1].text


def test_a_judge_that_fails_leaves_the_answers(drive: Driver) -> None:
    def answer(request: Request) -> str | Fault:
        return Fault(status=400, message="not me") if request.response_schema else echo(request)

    with ScriptedProvider(answer):
        done = compared(drive, ["one"], [GPT, CLAUDE], judge="gpt-4o")
    assert ((), True) == (done.verdicts[0].ranking, done.verdicts[0].reason.startswith("The judge failed: "))
    assert "gpt-4o-mini on one" == done[0, 0].text


def test_a_judge_is_not_asked_about_fewer_than_two_answers(drive: Driver) -> None:
    def answer(request: Request) -> str | Fault:
        return echo(request) if (request.provider, request.prompt) == ("openai", "one") else Fault(status=403)

    with ScriptedProvider(answer) as llm:
        done = compared(drive, ["one", "two"], [GPT, CLAUDE], judge="gpt-4o")
    assert [(GPT,), ()] == [verdict.ranking for verdict in done.verdicts]
    assert {"There was nothing to compare."} == {verdict.reason for verdict in done.verdicts}
    assert 4 == llm.calls


def test_a_judge_sees_every_answer_however_many(drive: Driver) -> None:
    models = [f"openai/m{number}" for number in range(30)]
    order = [f"answer {number}" for number in range(30, 0, -1)]
    with ScriptedProvider(judging(order)):
        done = compared(drive, ["one"], models, judge="openai/judge", api_base="https://models.example.com/v1")
    assert tuple(reversed(models)) == done.verdicts[0].ranking


def test_a_running_loop_is_not_held_up() -> None:
    async def both() -> list[Comparison]:
        return await asyncio.gather(acompare(["one"], [GPT]), acompare(["two"], [GPT]))

    with ScriptedProvider(lambda request: Reply(request.prompt)):
        done = asyncio.run(both())
    assert ["one", "two"] == [each[0, 0].text for each in done]
