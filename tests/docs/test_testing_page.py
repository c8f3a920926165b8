"""The page on testing is a test module: pytest runs it as it stands, and its table is what pytest shows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import agentflow.llm
from agentflow.testing import ScriptedProvider, branches, conformance, forcing, paths, recording
from agentflow.testing.conformance import PersisterSuite, SelectorSuite

#: What is first loaded inside of a run would be unloaded after it.
LOADED = (branches, conformance, forcing, paths, recording)
PAGE = (Path(__file__).parents[2] / "docs" / "testing.md").read_text(encoding="utf-8")
QUIET = """
[pytest]
filterwarnings = ignore
asyncio_default_fixture_loop_scope = function
addopts = --disable-plugin-autoload -p pytest_asyncio.plugin -p agentflow.testing.plugin
"""
pytest_plugins = ["pytester"]


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_the_page_passes_as_a_test_module(pytester: pytest.Pytester) -> None:
    pytester.makeini(QUIET)
    code = "\n\n".join(blocks("python"))
    pytester.path.joinpath("test_page.py").write_text(code, encoding="utf-8")
    with ScriptedProvider() as llm:  # stands for the real provider, which is asked once
        llm.reply("Paris.")
        agentflow.llm.complete("gpt-4o-mini", "so that the client is loaded")
        llm.reply("Paris.")
        pytester.runpytest_inprocess("--agentflow-record", "-k", "capital").assert_outcomes(passed=1, deselected=None)
    assert ["test_the_capital_of_france.json"] == [path.name for path in pytester.path.glob("cassettes/**/*.json")]

    result = pytester.runpytest_inprocess("--agentflow-branches")

    suites = sum(name.startswith("test_") for suite in (SelectorSuite, PersisterSuite) for name in dir(suite))
    result.assert_outcomes(passed=len(re.findall(r"^def test_", code, re.MULTILINE)) + suites)
    result.stdout.fnmatch_lines(blocks("text")[0].splitlines())
