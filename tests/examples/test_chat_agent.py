"""The smallest chat agent: its three ways, and its size."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agentflow.testing import ScriptedProvider
from tests.drivers import Driver

FOLDER = Path(__file__).parents[2] / "examples" / "chat_agent"


@pytest.fixture(autouse=True)
def examples_can_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FOLDER.parent))


def test_it_is_under_60_lines() -> None:
    assert len((FOLDER / "chat.py").read_text().splitlines()) < 60


def test_it_is_shown_whole_in_the_readme() -> None:
    readme = (FOLDER.parents[1] / "README.md").read_text(encoding="utf-8")
    assert (FOLDER / "chat.py").read_text(encoding="utf-8") in readme


@pytest.mark.parametrize(
    ("query", "way", "said"),
    [
        ("Why do cats purr?", "generate_text", "You asked: Why do cats purr?"),
        ("Draw a cat", "generate_image", "<title>Draw a cat</title>"),
        ("That one", "ask_for_details", 'What do you mean by "That one"?'),
    ],
)
def test_a_model_decides_how_to_answer(drive: Driver, query: str, way: str, said: str) -> None:
    from chat_agent.chat import application
    from chat_agent.terminal import scripted

    with ScriptedProvider(scripted) as llm:
        app = application()
        action, _, state = drive.run(app, halt_after="@tag:answer", inputs={"query": query})
    assert (way, 2) == (action.name, llm.calls)
    assert said in state["history"][-1]["content"]
    assert way == app.why(1).target


def test_it_remembers_what_was_said(drive: Driver) -> None:
    from chat_agent.chat import application
    from chat_agent.terminal import scripted

    with ScriptedProvider(scripted):
        app = application()
        for query in ("Why do cats purr?", "Draw a cat"):
            drive.run(app, halt_after="@tag:answer", inputs={"query": query})
    assert ["user", "assistant"] * 2 == [said["role"] for said in app.state["history"]]


def test_the_labelled_cases_cover_every_target() -> None:
    cases: list[dict[str, Any]] = [json.loads(line) for line in (FOLDER / "cases.jsonl").read_text().splitlines()]
    assert len(cases) >= 60
    assert {"generate_text", "generate_image", "ask_for_details"} == {case["target"] for case in cases}
    assert len(cases) == len({case["input"] for case in cases})


def test_the_lab_measures_four_deciders_as_the_readme_says() -> None:
    from chat_agent.lab import compared

    reports = compared()
    right = {name: round(reports[name].accuracy * 61) for name in ("rules", "nearness", "model (scripted)")}
    assert {"rules": 36, "nearness": 26, "model (scripted)": 52} == right
    assert 53 == round(reports["rules, then model"].accuracy * 61)
    readme = (FOLDER.parents[1] / "README.md").read_text(encoding="utf-8")
    for figure in ("36/61", "26/61", "52/61", "53/61"):
        assert figure in readme
