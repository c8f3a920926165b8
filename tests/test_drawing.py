"""Graphs as pictures: boxes, diamonds and arrows; subgraphs closed, or drawn out in frames to a depth."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from agentflow import END, ApplicationBuilder, Graph, GraphBuilder, Select, State, action, when
from agentflow.errors import BuildError, MissingExtraError
from agentflow.parallel import RunnableGraph, subgraph


@action(reads=["text"], writes=["text"])
def step(state: State, tone: str, length: int = 3) -> State:
    return state


@action(reads=["text"], writes=["text"])
def plain(state: State) -> State:
    return state


def pick(state: State) -> str:
    return "left"


def graph_of(*names: str, transitions: list[Any] | None = None, **given: Any) -> Graph:
    builder = GraphBuilder().with_actions(**(dict.fromkeys(names, plain) | given))
    return builder.with_transitions(*(transitions or [])).build()


INNER = graph_of("read", "sum_up", transitions=[("read", "sum_up")])


def opened(runnable: RunnableGraph | None = None, *more: Any) -> Graph:
    """first -> work -> last, where `work` runs a graph."""
    work = subgraph(runnable or RunnableGraph(INNER, "read", "sum_up"), inputs=["text"], outputs=["text"], name="work")
    transitions = [("first", "work"), ("work", "last"), *more]
    return graph_of("first", "last", work=work, transitions=transitions)


def arrows(mermaid: str) -> set[str]:
    """Its arrows between the texts of the shapes, such as "first -> last"."""
    texts = dict(re.findall(r'^ *(n\d+)[\[{(/]+"(.*?)"', mermaid, re.MULTILINE))
    found = re.findall(r"^ *(n\d+) -\.?->(?:\|\"(.*?)\"\|)? (n\d+)$", mermaid, re.MULTILINE)
    return {f"{texts[start]} -{label}> {texts[end]}" for start, label, end in found}


def frames(mermaid: str) -> dict[str, list[str]]:
    """The texts of the shapes directly in each frame; "" stands for the whole picture."""
    found: dict[str, list[str]] = {"": []}
    stack = [""]
    for line in mermaid.splitlines()[1:]:
        if opening := re.match(r' *subgraph f\d+\["(.*)"\]$', line):
            stack.append(opening[1])
            found[opening[1]] = []
        elif line.strip() == "end":
            stack.pop()
        elif shape := re.match(r' *n\d+[\[{(/]+"(.*?)"', line):
            found[stack[-1]].append(shape[1])
    assert [""] == stack
    return found


def test_actions_are_boxes_with_their_inputs_beside_them() -> None:
    drawn = graph_of(go=step).visualize()
    assert 'flowchart TD\n    n0["go"]\n    n1[/"tone<br/>length?"/]\n    n1 -.-> n0\n' == drawn


def test_what_is_read_and_written_is_in_the_boxes_that_want_it() -> None:
    assert 'n0["go<br/>reads text<br/>writes text"]' in graph_of("go").visualize(include_state=True)


def test_conditions_stand_on_the_arrows_unless_they_are_not_wanted() -> None:
    graph = graph_of("a", "b", "c", transitions=[("a", "b", when(text="x")), ("a", "c")])
    assert {"a -text == 'x'> b", "a -> c"} == arrows(graph.visualize())
    assert {"a -> b", "a -> c"} == arrows(graph.visualize(include_conditions=False))


def test_a_choice_is_a_diamond_with_its_fallback_marked() -> None:
    chooser = Select(pick, reads=["text"], fallback="c")
    drawn = graph_of("a", "b", "c", transitions=[("a", ["b", "c"], chooser)]).visualize()
    assert '{"Select(pick)"}' in drawn
    assert {"a -> Select(pick)", "Select(pick) -> b", "Select(pick) -fallback> c"} == arrows(drawn)


def test_a_named_choice_is_its_own_diamond() -> None:
    chooser = Select(pick, reads=["text"])
    drawn = graph_of("a", "b", "c", transitions=[("a", "ask"), ("ask", ["b", "c"], chooser)]).visualize()
    assert {"a -> ask<br/>Select(pick)", "ask<br/>Select(pick) -> b", "ask<br/>Select(pick) -> c"} == arrows(drawn)


def test_the_end_is_drawn_where_it_is_a_target() -> None:
    assert '(["end"])' in graph_of("a", transitions=[("a", END)]).visualize()


def test_text_cannot_break_out_of_a_shape() -> None:
    graph = graph_of(**{'a"];<b>\\': plain})
    assert 'n0["a#34;]#59;#60;b#62;#92;"]' in graph.visualize()
    assert '"a\\"];<b>\\\\" [label="a\\"];<b>\\\\"' in graph.visualize(engine="graphviz")


def test_subgraphs_stay_closed_unless_it_is_asked_for() -> None:
    assert opened().visualize(depth=0) == opened().visualize()
    assert {"": ["first", "last", "work"]} == frames(opened().visualize())


def test_a_subgraph_is_drawn_out_in_a_frame() -> None:
    drawn = opened().visualize(depth=1)
    assert {"": ["first", "last"], "work": ["read", "sum_up"]} == frames(drawn)
    assert {"first -> read", "read -> sum_up", "sum_up -> last"} == arrows(drawn)


def test_an_arrow_leaves_from_wherever_the_subgraph_may_end() -> None:
    two_ends = graph_of("read", "skim", "study", transitions=[("read", "skim", when(text="")), ("read", "study")])
    for runnable in (RunnableGraph(two_ends, "read", ["skim", "study"]), RunnableGraph(two_ends, "read")):
        drawn = opened(runnable, ("last", "work", when(text="again"))).visualize(depth=1)
        outer = {arrow for arrow in arrows(drawn) if "last" in arrow}
        assert {"skim -> last", "study -> last", "last -text == 'again'> read"} == outer


def test_a_subgraph_that_ends_at_the_end_is_left_from_there() -> None:
    loop = graph_of("read", transitions=[("read", END, when(text="")), ("read", "read")])
    drawn = opened(RunnableGraph(loop, "read")).visualize(depth=1)
    assert {"first -> read", "read -text == ''> end", "read -> read", "end -> last"} == arrows(drawn)


def test_a_subgraph_without_an_end_is_left_from_its_entrypoint() -> None:
    loop = graph_of("read", "think", transitions=[("read", "think"), ("think", "read")])
    assert "read -> last" in arrows(opened(RunnableGraph(loop, "read")).visualize(depth=1))


def test_a_choice_after_a_subgraph_is_left_through_its_diamond() -> None:
    chooser = Select(pick, reads=["text"])
    work = subgraph(INNER, "read", "sum_up", outputs=["text"], name="work")
    drawn = graph_of("b", "c", work=work, transitions=[("work", ["b", "c"], chooser)]).visualize(depth=1)
    assert {"read -> sum_up", "sum_up -> Select(pick)", "Select(pick) -> b", "Select(pick) -> c"} == arrows(drawn)


def nested_twice() -> Graph:
    middle = graph_of("before", deep=subgraph(INNER, "read", "sum_up", name="deep"), transitions=[("before", "deep")])
    return opened(RunnableGraph(middle, "before", "deep"))


@pytest.mark.parametrize(
    ("depth", "shapes", "between"),
    [
        (0, {"": ["first", "last", "work"]}, {"first -> work", "work -> last"}),
        (1, {"": ["first", "last"], "work": ["before", "deep"]}, {"before -> deep", "deep -> last"}),
        (
            2,
            {"": ["first", "last"], "work": ["before"], "deep": ["read", "sum_up"]},
            {"before -> read", "sum_up -> last"},
        ),
    ],
)
def test_the_depth_says_how_many_levels_are_drawn_out(
    depth: int, shapes: dict[str, list[str]], between: set[str]
) -> None:
    drawn = nested_twice().visualize(depth=depth)
    assert shapes == {frame: sorted(texts) for frame, texts in frames(drawn).items()}
    assert between <= arrows(drawn)


def test_what_is_entered_by_a_subgraph_is_entered_at_its_innermost_action() -> None:
    middle = graph_of("after", deep=subgraph(INNER, "read", "sum_up", name="deep"), transitions=[("deep", "after")])
    drawn = opened(RunnableGraph(middle, "deep", "after")).visualize(depth=9)
    assert {"first -> read", "read -> sum_up", "sum_up -> after", "after -> last"} == arrows(drawn)


def test_the_same_graph_in_two_places_is_drawn_twice() -> None:
    one, two = (subgraph(INNER, "read", "sum_up", name=name) for name in ("one", "two"))
    drawn = graph_of(one=one, two=two, transitions=[("one", "two")]).visualize(depth=1)
    assert {"": [], "one": ["read", "sum_up"], "two": ["read", "sum_up"]} == frames(drawn)
    assert 3 == len(re.findall(r"-->", drawn))


def test_graphviz_frames_are_clusters() -> None:
    dot = nested_twice().visualize(engine="graphviz", depth=2, rankdir="LR")
    assert ['"cluster work"', '"cluster work / deep"'] == re.findall(r'subgraph (".*?") \{', dot)
    assert dot.index('"cluster work"') < dot.index('"work / before" [') < dot.index('"cluster work / deep"')
    assert '"work / before" -> "work / deep / read" [label=""];' in dot
    assert (dot.count("{"), True) == (dot.count("}"), '    rankdir="LR";' in dot)


def test_a_depth_below_zero_is_refused() -> None:
    with pytest.raises(BuildError, match="depth=-1 cannot be drawn: use 0"):
        opened().visualize(depth=-1)


def test_an_option_that_there_is_not_is_refused() -> None:
    nope: Any = 1
    with pytest.raises(BuildError, match=r"nope=1 is no option of visualize\(\): for an attribute of graphviz"):
        opened().visualize(nope=nope)


def test_an_application_draws_its_graph() -> None:
    app = ApplicationBuilder().with_graph(opened()).with_entrypoint("first").with_state(text="").build()
    assert opened().visualize(depth=1) == app.visualize(depth=1)


@pytest.mark.parametrize(
    ("name", "begins"), [("a.mmd", "flowchart TD"), ("a.md", "```mermaid\n"), ("a.dot", "digraph"), ("a.gv", "digraph")]
)
def test_the_ending_of_a_file_says_what_is_written(tmp_path: Path, name: str, begins: str) -> None:
    opened().visualize(str(tmp_path / name), depth=1)
    assert (tmp_path / name).read_text(encoding="utf-8").startswith(begins)


def test_the_dot_file_is_written_beside_the_picture(tmp_path: Path) -> None:
    opened().visualize(str(tmp_path / "a.mmd"), write_dot=True)
    assert (tmp_path / "a.dot").read_text(encoding="utf-8") == opened().visualize(engine="graphviz")


class Graphviz(ModuleType):
    """The graphviz library, as far as it is used here."""

    class ExecutableNotFound(Exception):
        pass

    def __init__(self, installed: bool = True) -> None:
        super().__init__("graphviz")
        self.viewed: list[str] = []

        class Source:
            def __init__(self, dot: str) -> None:
                self.dot = dot

            def pipe(self, format: str) -> bytes:
                if not installed:
                    raise Graphviz.ExecutableNotFound
                return f"{format} of {self.dot}".encode()

        self.Source, self.view = Source, self.viewed.append


def test_pictures_are_made_by_graphviz(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graphviz = Graphviz()
    monkeypatch.setitem(sys.modules, "graphviz", graphviz)
    dot = opened().visualize(str(tmp_path / "a.svg"), engine="graphviz", depth=1)
    assert f"svg of {dot}".encode() == (tmp_path / "a.svg").read_bytes()
    opened().visualize(str(tmp_path / "a.png"), view=True)
    assert [str(tmp_path / "a.png")] == graphviz.viewed


def test_a_picture_says_what_has_to_be_installed_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "graphviz", None)
    with pytest.raises(MissingExtraError, match="'viz' extra"):
        opened().visualize(str(tmp_path / "a.svg"))
    monkeypatch.setitem(sys.modules, "graphviz", Graphviz(installed=False))
    with pytest.raises(BuildError, match="graphviz's 'dot' program is not on the PATH"):
        opened().visualize(str(tmp_path / "a.svg"))


def test_what_cannot_be_drawn_is_said(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="engine='crayon' cannot draw"):
        opened().visualize(engine="crayon")
    with pytest.raises(BuildError, match=r"cannot draw to 'a.txt': end its name in"):
        opened().visualize(str(tmp_path / "a.txt"))
