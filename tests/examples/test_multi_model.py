"""The example that asks three providers says that they are scripted, shows the failing one, and runs all five maps."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

from agentflow.cli import main
from agentflow.llm import limits

RUN = Path(__file__).parents[2] / "examples" / "multi_model" / "run.py"


@pytest.fixture(params=["alone", "demo"])
def said(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> list[str]:
    """What it prints, line by line, in a terminal that is wide enough for every line; started in either way."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("COLUMNS", "2000")
    limits.forget_failures()  # a model that kept failing is not asked for a while
    if request.param == "alone":
        runpy.run_path(str(RUN), run_name="__main__")
    else:
        assert 0 == main(["demo", "multi-model"])
    return capsys.readouterr().out.splitlines()


def test_the_example_compares_and_maps(said: list[str]) -> None:
    assert "The providers are scripted: no key is used, and nothing leaves this machine." == said[0]
    assert "3 prompts x 3 models, 3 failed, $" in "".join(said[1:4])
    table = [line for line in said if line.startswith("│")]
    assert 3 == sum("HTTP 503" in line and "overloaded" in line for line in table)
    verdict = "best first: claude-sonnet-4-5, gpt-4o-mini. claude-sonnet-4-5 says most, and nothing wrong."
    assert 3 == sum(line.strip() == verdict for line in said)
    answered = {name: said[number + 1 :] for number, line in enumerate(said) if (name := line.partition(":")[0])}
    for name, models in {
        "TestMultiplePrompts": ["gpt-4o-mini"] * 3,
        "TestMultipleModels": ["gpt-4o-mini", "claude-sonnet-4-5", "! The call to 'gemini/gemini-2.5-flash' failed"],
        "TestModelsOverPrompts": ["gpt-4o-mini"] * 3 + ["claude-sonnet-4-5"] * 3,
        "TestMultiplePromptsWithSubgraph": ["claude-sonnet-4-5"] * 3,
        "MultipleTaskExample": ["1-gpt: answered, 1-claude: answered, 1-gemini: failed, 2-gpt: answered"],
    }.items():
        lines = answered[name][: (answered[name] + [""]).index("")]
        assert (name, len(models)) == (name, len(lines))
        assert [] == [
            (model, line) for model, line in zip(models, lines, strict=True) if not line[2:].startswith(model)
        ]
    assert 3 == sum("What am I?" in line or "How fast am I?" in line or "Where am I?" in line for line in said)
