"""Graph and Transition: what may be asked of a graph without running it."""

from __future__ import annotations

import copy

import pytest

from agentflow import END, Graph, GraphBuilder, Select, State, action, expr, switch, when
from agentflow.errors import BuildError, DecideError, UnknownNameError
from agentflow.graph import Transition
from agentflow.select import HumanDecider


@action(reads=[], writes=[], tags=["io", "slow"])
def ask(state: State, question: str, hint: str = "") -> State:
    """Ask."""
    return state


@action(reads=["mode"], writes=["mode"], tags=["slow"])
def draw(state: State) -> State:
    """Draw."""
    return state


def graph() -> Graph:
    return (
        GraphBuilder()
        .with_actions(ask, draw, write=draw)
        .with_transitions(
            ("ask", "decide"),
            ("decide", ["draw", "write"], switch("mode")),
            ("draw", END, when(mode="done")),
            ("draw", "ask"),
            ("write", "ask", expr("mode==again")),
        )
        .build()
    )


class TestNextAction:
    @pytest.mark.parametrize(
        ("prior", "mode", "expected"),
        [
            (None, "draw", "ask"),
            ("ask", "draw", "draw"),
            ("ask", "write", "write"),
            ("draw", "done", None),
            ("draw", "other", "ask"),
            ("write", "again", "ask"),
            ("write", "other", None),
        ],
    )
    def test_it_follows_from_the_state(self, prior: str | None, mode: str, expected: str | None) -> None:
        found = graph().get_next_node(prior, State({"mode": mode}), "ask")
        assert expected == (found and found.name)

    def test_the_entrypoint_may_be_a_named_choice(self) -> None:
        found = graph().get_next_node(None, State({"mode": "write"}), "decide")
        assert found is not None
        assert "write" == found.name

    def test_an_action_that_leads_nowhere_is_the_end(self) -> None:
        assert None is Graph.of_one(ask).get_next_node("ask", State(), "ask")

    def test_what_a_person_chooses_cannot_be_asked_of_a_graph(self) -> None:
        made = GraphBuilder().with_actions(ask, draw).with_transitions(("ask", ["ask", "draw"], HumanDecider())).build()
        with pytest.raises(DecideError, match="^what follows 'ask' is for a person to choose: run an application"):
            made.get_next_node("ask", State(), "ask")


class TestAsking:
    def test_actions_by_name(self) -> None:
        made = graph()
        assert ("write", True, False) == (
            made.get_action("write").name,
            made.has_action("ask"),
            made.has_action("decide"),
        )
        with pytest.raises(UnknownNameError) as caught:
            made.get_action("wirte")
        assert "this graph has no action 'wirte': add it. Did you mean 'write'?" == str(caught.value)

    def test_actions_by_tag(self) -> None:
        assert ["ask", "draw", "write"] == [each.name for each in graph().get_actions_by_tag("slow")]
        with pytest.raises(UnknownNameError) as caught:
            graph().get_actions_by_tag("sloww")
        assert "no action is tagged 'sloww': tag one. Did you mean 'slow'?" == str(caught.value)

    def test_the_inputs_anybody_takes(self) -> None:
        assert {"question", "hint"} == graph().input_names

    def test_whether_a_transition_is_a_choice(self) -> None:
        assert [False, True, False, False, False] == [each.is_choice for each in graph().transitions]

    def test_it_names_itself_and_draws_itself_in_a_notebook(self) -> None:
        made = graph()
        assert "<graph of 3 actions>" == repr(made)
        assert {"text/vnd.mermaid": made.visualize(), "text/plain": repr(made)} == made._repr_mimebundle_()


class TestMaking:
    def test_graphs_can_be_merged(self) -> None:
        first = GraphBuilder().with_actions(ask).build()
        merged = GraphBuilder().with_graph(first).with_actions(draw).with_transitions(("ask", "draw")).build()
        assert ["ask", "draw"] == [each.name for each in merged.actions]
        assert (Transition("ask", ("draw",)),) == merged.transitions
        with pytest.raises(BuildError, match="2 actions are named 'ask'"):
            GraphBuilder().with_graph(first).with_graph(first).build()

    def test_actions_may_stand_for_their_names_in_transitions(self) -> None:
        made = (
            GraphBuilder()
            .with_actions(ask, draw)
            .with_transitions(([ask], draw), (draw, {ask}, when(mode="x")))
            .build()
        )
        assert [("ask", ("draw",)), ("draw", ("ask",))] == [(each.source, each.targets) for each in made.transitions]

    def test_many_sources_are_many_transitions(self) -> None:
        made = GraphBuilder().with_actions(a=ask, b=ask, c=ask).with_transitions((["a", "b"], "c"), ("c", END)).build()
        assert [("a", ("c",)), ("b", ("c",)), ("c", (END,))] == [
            (each.source, each.targets) for each in made.transitions
        ]

    def test_a_class_action_needs_a_name(self) -> None:
        from agentflow.actions import Result

        with pytest.raises(BuildError) as caught:
            GraphBuilder().with_actions(Result("mode")).build()
        assert "an action of class 'Result' was added without a name: write with_actions(name=Result())." == str(
            caught.value
        )
        assert "last" == GraphBuilder().with_actions(Result("mode").with_name("last")).build().actions[0].name

    def test_a_selector_is_told_its_targets_and_what_they_do(self) -> None:
        seen: list[str] = []

        def pick(state: State, targets: list[object]) -> str:
            seen.extend(map(str, targets))
            return END

        made = GraphBuilder().with_actions(ask, draw).with_transitions(("ask", [END, "draw"], Select(pick))).build()
        assert None is made.get_next_node("ask", State(), "ask")
        assert [
            "Target(name='__end__', description='Finish: nothing more is to be done.')",
            "Target(name='draw', description='Draw.')",
        ] == seen

    def test_a_copy_decides_the_same(self) -> None:
        copied = copy.deepcopy(graph())
        found = copied.get_next_node("ask", State({"mode": "write"}), "ask")
        assert found is not None
        assert "write" == found.name
