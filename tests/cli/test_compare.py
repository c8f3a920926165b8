"""`agentflow compare`: mistakes are one sentence before anybody is asked; failures of providers are cells."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from agentflow.cli import main
from agentflow.testing import Fault, Request, ScriptedProvider

GPT, CLAUDE = "gpt-4o-mini", "claude-sonnet-4-5"


class Terminal(io.StringIO):
    """Standard output that is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    path = tmp_path / "prompts.txt"
    path.write_text("# questions\n\none\n  two  \n", encoding="utf-8")
    return path


def echo(request: Request) -> str:
    return f"{request.model} on {request.prompt}"


def down(request: Request) -> Fault:
    return Fault(status=401, message="who are you?")


def test_plain_text_goes_where_there_is_no_terminal(prompts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with ScriptedProvider(echo) as llm:
        assert 0 == main(["compare", str(prompts), "-m", GPT, "--model", CLAUDE])
    out, err = capsys.readouterr()
    lines = [line for line in out.splitlines() if line and " tokens, " not in line]
    assert lines == [
        "## one", "gpt-4o-mini on one", "claude-sonnet-4-5 on one",
        "## two", "gpt-4o-mini on two", "claude-sonnet-4-5 on two",
    ]  # fmt: skip
    assert ["[1/4]", "[2/4]", "[3/4]", "[4/4]"] == [line.split()[0] for line in err.splitlines()]
    assert 4 == llm.calls


def test_plain_text_goes_where_rich_is_not_installed(prompts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setattr("agentflow.cli.live.find_spec", lambda name: None)
    with ScriptedProvider(echo):
        assert 0 == main(["compare", str(prompts), "-m", GPT])
    assert terminal.getvalue().startswith("## one\n\ngpt-4o-mini (")


def test_a_terminal_gets_a_table_that_fills(prompts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("TERM", "xterm")

    def one_fails(request: Request) -> str | Fault:
        return down(request) if request.prompt == "two" else echo(request)

    with ScriptedProvider(one_fails):
        assert 0 == main(["compare", str(prompts), "-m", GPT, "--concurrency", "1"])
    text = terminal.getvalue()
    places = [text.index(said) for said in ("0 of 2 have come", "1 of 2 have come", "2 of 2 have come", "on one")]
    assert sorted(places) == places
    assert text.index("who are you?") > places[1]
    assert "2 prompts x 1 model, 1 failed" in text


def test_failures_are_cells_unless_nothing_else_came(prompts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with ScriptedProvider(lambda request: down(request) if request.provider == "anthropic" else echo(request)):
        assert 0 == main(["compare", str(prompts), "-m", GPT, "-m", CLAUDE])
    assert "who are you?" in capsys.readouterr().out
    with ScriptedProvider(down):
        assert 1 == main(["compare", str(prompts), "-m", GPT, "-m", CLAUDE])


def test_options_reach_the_models(prompts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--system", "Be brief.", "--api-base", "https://models.example.com/v1", "--max-tokens", "9"]
    with ScriptedProvider(echo) as llm:
        assert 0 == main(["compare", str(prompts), "-m", "openai/mine", *options])
    assert {("mine", 9, "Be brief.")} == {
        (request.model, request.raw["max_tokens"], request.messages[0]["content"]) for request in llm.requests
    }


def test_a_judge_has_its_say(prompts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def answer(request: Request) -> str | dict[str, object]:
        ranked = {"best_first": ["answer 2", "answer 1"], "reason": "Answer 2 is shorter."}
        return ranked if request.response_schema else echo(request)

    with ScriptedProvider(answer):
        assert 0 == main(["compare", str(prompts), "-m", GPT, "-m", CLAUDE, "--judge", "gpt-4o"])
    assert f"one\nbest first: {CLAUDE}, {GPT}. {CLAUDE} is shorter.\n" in capsys.readouterr().out


def test_the_comparison_is_written_in_every_form_asked_for(prompts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = {form: prompts.with_name(f"out.{form}") for form in ("markdown", "json", "html")}
    options = [part for form, path in files.items() for part in (f"--{form}", str(path))]
    with ScriptedProvider(echo):
        assert 0 == main(["compare", str(prompts), "-m", GPT, *options])
    assert files["markdown"].read_text(encoding="utf-8").startswith("| prompt | gpt-4o-mini |\n")
    assert ["one", "two"] == json.loads(files["json"].read_text(encoding="utf-8"))["prompts"]
    assert files["html"].read_text(encoding="utf-8").startswith("<!doctype html>")


def test_prompts_come_from_standard_input(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("one\n# two\n"))
    with ScriptedProvider(echo) as llm:
        assert 0 == main(["compare", "-", "-m", GPT])
    assert ["one"] == [request.prompt for request in llm.requests]


def mistake(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What is said about a mistake: one line, and nobody was asked anything."""
    with ScriptedProvider() as llm:
        assert 2 == main(["compare", *arguments])
    out, err = capsys.readouterr()
    assert ("", 1, 0) == (out, len(err.splitlines()), llm.calls)
    return err.strip()


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    absent = str(tmp_path / "absent.txt")
    assert mistake(capsys, absent, "-m", GPT).startswith(f"agentflow: cannot read {absent}: No such file")
    assert mistake(capsys, str(tmp_path), "-m", GPT).startswith(f"agentflow: cannot read {tmp_path}: ")
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9\n")
    assert "latin.txt is not UTF-8 text" in mistake(capsys, str(tmp_path / "latin.txt"), "-m", GPT)


def test_a_file_without_prompts_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    empty = tmp_path / "empty.txt"
    empty.write_text("\n# nothing\n")
    assert f"agentflow: {empty} has no prompts: write one a line." == mistake(capsys, str(empty), "-m", GPT)
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    assert "agentflow: standard input has no prompts: write one a line." == mistake(capsys, "-", "-m", GPT)


def test_a_prompt_twice_is_found_by_its_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "twice.txt"
    path.write_text("one\n\ntwo\none\n")
    assert f"{path} has the same prompt in lines 1 and 4: keep one" in mistake(capsys, str(path), "-m", GPT)


def test_no_model_is_a_mistake(prompts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "agentflow: no model was named: say which with -m, such as -m gpt-4o-mini." == mistake(capsys, str(prompts))


def test_a_model_twice_is_a_mistake(prompts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "one of its models twice" in mistake(capsys, str(prompts), "-m", GPT, "-m", GPT)


@pytest.mark.parametrize("option", ["--max-tokens", "--concurrency"])
def test_numbers_that_let_nothing_through_are_mistakes(
    prompts: Path, option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert f"agentflow: {option} 0 lets nothing through: give at least 1." == mistake(
        capsys, str(prompts), "-m", GPT, option, "0"
    )


def test_where_nothing_can_be_written_nobody_is_asked(prompts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for place in (prompts.parent, prompts.parent / "absent" / "out.json"):
        said = mistake(capsys, str(prompts), "-m", GPT, "--json", str(place))
        assert (
            f"agentflow: cannot write --json to {place}: give a file that can be written, in a directory that exists."
            == said
        )


def test_answers_are_shown_even_if_they_cannot_be_written(prompts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def and_then_the_place_is_gone(request: Request) -> str:
        target.mkdir(exist_ok=True)
        return echo(request)

    target = prompts.with_name("out.json")
    with ScriptedProvider(and_then_the_place_is_gone):
        assert 2 == main(["compare", str(prompts), "-m", GPT, "--json", str(target)])
    out, err = capsys.readouterr()
    assert ("gpt-4o-mini on two" in out, "the answers stand above" in err) == (True, True)
