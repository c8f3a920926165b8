"""`agentflow eval`: from files to figures and an exit status."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import respx

from agentflow.cli import main

AGENT = '''
"""An agent with a choice."""
from agentflow import Application, ApplicationBuilder, GraphBuilder, State, action, when
from agentflow.select import LLMDecider, RuleDecider, Select


@action(reads=[], writes=["query"])
def listen(state: State, query: str) -> State:
    """Hear what the user wants."""
    return state.update(query=query)


@action(reads=["query"], writes=["answer"])
def draw(state: State) -> State:
    """Draw a picture."""
    return state.update(answer="a picture")


@action(reads=["query"], writes=["answer"])
def write(state: State) -> State:
    """Write a text."""
    return state.update(answer="a text")


rules = RuleDecider({"draw": ["picture"], "write": ["poem"]}, reads=["query"])
always = Select(lambda state: "draw", name="always")


def model_graph():
    decider = LLMDecider(reads=["query"])
    return (
        GraphBuilder()
        .with_actions(listen, draw, write)
        .with_transitions(("listen", ["draw", "write"], decider))
        .build()
    )


def make_always():
    return always


def builder():
    return (
        GraphBuilder()
        .with_actions(listen, draw, write)
        .with_transitions(("listen", ["draw", "write"], rules), ("draw", "listen", when(answer="a picture")))
    )


def factory(app_id, partition_key):
    return ApplicationBuilder().with_graph(graph).with_entrypoint("listen").with_identifiers(app_id=app_id)


graph = builder().build()
application_builder = ApplicationBuilder().with_graph(graph).with_entrypoint("listen")
application = application_builder.build()
number = 7
'''
CASES = """{"input": "a picture", "target": "draw"}
{"input": "a poem", "target": "write"}
{"input": "a song", "target": "write"}
{"input": "paint", "target": "draw"}
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "my_agent.py").write_text(AGENT, encoding="utf-8")
    (tmp_path / "cases.jsonl").write_text(CASES, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    for name in ("my_agent", "_agentflow_my_agent"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize(
    "where",
    [
        "my_agent:graph",
        "my_agent:builder",
        "my_agent:application",
        "my_agent:application_builder",
        "my_agent:factory",
        "my_agent.py:graph",
    ],
)
def test_the_graph_may_be_named_in_many_ways(place: Path, capsys: pytest.CaptureFixture[str], where: str) -> None:
    assert 0 == main(["eval", where, "listen", "cases.jsonl"])
    assert "RuleDecider  50.0 %" in capsys.readouterr().out


def test_others_are_measured_beside_it(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    others = ["--decider", "stub=my_agent:always", "--decider", "made=my_agent:make_always"]
    assert 0 == main(["eval", "my_agent:graph", "listen", "cases.jsonl", "--json", "-", *others])
    reports = json.loads(capsys.readouterr().out)["reports"]
    assert ["RuleDecider", "stub", "made"] == [report["name"] for report in reports]
    assert ["draw"] * 4 == [outcome["chosen"] for outcome in reports[1]["outcomes"]]


@pytest.mark.parametrize("name", ["graph", "model_graph"])
def test_other_models_are_put_to_the_same_choice(place: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    base = "http://localhost:9/v1"
    with respx.mock(assert_all_called=False) as router:
        answer = {"role": "assistant", "content": '{"next_action": "draw", "reason": "", "confidence": null}'}
        body = {
            "id": "1",
            "object": "chat.completion",
            "created": 1,
            "model": "tiny",
            "choices": [{"index": 0, "message": answer}],
        }
        route = router.post(f"{base}/chat/completions").respond(json=body)
        router.post("https://api.openai.com/v1/chat/completions").respond(json=body)
        models = ["--model", "openai/tiny", "--api-base", base]
        assert 0 == main(["eval", f"my_agent:{name}", "listen", "cases.jsonl", "--json", "-", *models])
    reports = json.loads(capsys.readouterr().out)["reports"]
    assert ("openai/tiny", 0.5, 4) == (reports[1]["name"], reports[1]["accuracy"], len(route.calls))


def test_files_are_written(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == main(["eval", "my_agent:graph", "listen", "cases.jsonl", "--json", "a.json", "--html", "a.html"])
    assert 0.5 == json.loads((place / "a.json").read_text())["reports"][0]["accuracy"]
    assert "<h1>Evaluation</h1>" in (place / "a.html").read_text()
    assert "Written: a.json\nWritten: a.html\n" == capsys.readouterr().err


@pytest.mark.parametrize("option", ["--json", "--html"])
def test_a_file_that_cannot_be_written_is_told_before_a_case_is_paid_for(
    place: Path, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    assert 2 == main(["eval", "my_agent:graph", "listen", "cases.jsonl", option, "nowhere/x"])
    said = (
        f"agentflow: cannot write {option} to nowhere/x: give a file that can be written, in a directory that exists.\n"
    )
    assert ("", said) == capsys.readouterr()


@pytest.mark.parametrize(("least", "status"), [("0.5", 0), ("0.51", 1)])
def test_too_little_accuracy_fails(place: Path, least: str, status: int) -> None:
    assert status == main(["eval", "my_agent:graph", "listen", "cases.jsonl", "--min-accuracy", least])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["graph", "listen", "cases.jsonl"], "'graph' is not of the form module:name"),
        (["nothing_here:graph", "listen", "cases.jsonl"], "there is no module 'nothing_here'"),
        (["nothing.py:graph", "listen", "cases.jsonl"], "there is no file 'nothing.py'"),
        (["my_agent:grpah", "listen", "cases.jsonl"], "Did you mean 'graph'?"),
        (["my_agent:number", "listen", "cases.jsonl"], "'my_agent:number' is 7, and no graph"),
        (["my_agent:graph", "lisen", "cases.jsonl"], "Did you mean 'listen'?"),
        (["my_agent:graph", "draw", "cases.jsonl"], "decided by conditions alone"),
        (["my_agent:graph", "listen", "other.jsonl"], "the cases in 'other.jsonl' cannot be read"),
        (["my_agent:graph", "listen", "cases.jsonl", "--decider", "x"], "is not of the form NAME=MODULE:NAME"),
        (["my_agent:graph", "listen", "cases.jsonl", "--decider", "x=my_agent:number"], "is 7, and no selector"),
    ],
)
def test_mistakes_are_told_with_a_remedy(
    place: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert 2 == main(["eval", *arguments])
    assert message in capsys.readouterr().err


def test_a_module_that_lacks_something_itself_says_so(place: Path) -> None:
    (place / "broken_agent.py").write_text("import surely_not_installed", encoding="utf-8")
    with pytest.raises(ModuleNotFoundError, match="surely_not_installed"):
        main(["eval", "broken_agent:graph", "listen", "cases.jsonl"])
