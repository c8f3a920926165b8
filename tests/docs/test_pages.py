"""The code of the pages runs from top to bottom and prints what they say it prints."""

from __future__ import annotations

import contextlib
import io
import re
import sys
import types
from pathlib import Path

import pytest

from agentflow.persistence.serde import registry
from agentflow.testing import Fault, Request, ScriptedProvider

DOCS = Path(__file__).parents[2] / "docs"
BLOCK = re.compile(r"^```(\w+)( untested)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PAGES = ("parallel.md", "persistence.md", "serialization.md", "serving.md", "tracking.md")


def answer(request: Request) -> str | Fault:
    return Fault(status=400, message="no") if request.prompt == "fail" else f"{request.model} on {request.prompt}"


@pytest.mark.parametrize("name", PAGES)
def test_the_code_of_a_page_prints_what_it_says(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    page = (DOCS / name).read_text(encoding="utf-8")
    module = types.ModuleType("page")
    names = vars(module)
    monkeypatch.setitem(sys.modules, "page", module)  # a dataclass looks its module up
    monkeypatch.chdir(tmp_path)  # where a page keeps its files
    monkeypatch.setattr(registry, "_registered", {**registry._registered})
    printed, run = "", 0
    with ScriptedProvider(answer):
        for language, untested, text in BLOCK.findall(page):
            if language == "text":
                assert (text, printed) == (printed, text)
            if language != "python" or untested:
                continue
            line = page[: page.index(text)].count("\n")
            with contextlib.redirect_stdout(io.StringIO()) as out:
                exec(compile("\n" * line + text, name, "exec"), names)  # so that an error names the page's line
            printed, run = out.getvalue(), run + 1
    assert run == page.count("```python\n")
    assert run == page.count("```text\n")


def test_code_that_is_not_run_is_at_least_python() -> None:
    for name in PAGES:
        for language, _, text in BLOCK.findall((DOCS / name).read_text(encoding="utf-8")):
            if language == "python":
                compile(text, name, "exec")
