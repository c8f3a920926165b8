"""What a graph is refused for: every problem's sentence, and all of them at once."""

from __future__ import annotations

from typing import Any

import pytest

from agentflow import END, ApplicationBuilder, Condition, Graph, GraphBuilder, Select, State, action, expr, switch, when
from agentflow.checks import entry_problems, first_reads, reachable, unreachable
from agentflow.errors import BuildError, DuplicateNameError, UnknownNameError, UnknownTargetError
from agentflow.parallel import bind_from_state


def one(*reads: str, writes: Any = ()) -> Any:
    @action(reads=reads, writes=writes)
    def made(state: State) -> State:
        """An action."""
        return state

    return made


def pick(state: State) -> str:
    return "b"


def is_done(state: State) -> bool:
    return True


def problems(*transitions: Any, names: str = "a b c", **actions: Any) -> list[str]:
    builder = GraphBuilder().with_actions(**(dict.fromkeys(names.split(), one()) | actions))
    try:
        builder.with_transitions(*transitions).build()
    except BuildError as error:
        return [str(problem) for problem in error.problems]
    return []


SENTENCES = [
    (
        [("a", "bb")],
        "transition 'a' -> 'bb' names an action that was not added. Did you mean 'b'?",
    ),
    (
        [("x", "a")],
        "transition source 'x' is neither an action nor the target of anything. Known: 'a', 'b', 'c'.",
    ),
    ([(END, "a")], "END is the source of a transition: nothing follows the end of a run."),
    ([("a", "b"), ("a", "c")], "'a' has 2 defaults, to 'b', 'c': keep one, or put a condition on the others."),
    (
        [("a", ["b", "c"], switch("x")), ("a", ["b", "c"], switch("y"))],
        "'a' has 2 selectors, switch('x'), switch('y'): list all targets in one transition.",
    ),
    (
        [("a", "b", when(x=1)), ("a", "c", expr("x == 1"))],
        "'a' -> 'c' can never be taken: x == 1 already leads to 'b'. Remove one of the two.",
    ),
    (
        [("a", "b", when(is_done)), ("a", "c", when(is_done))],
        "'a' -> 'c' can never be taken: is_done already leads to 'b'. Remove one of the two.",
    ),
    (
        [("a", ["b", "c"])],
        "'a' -> ['b', 'c'] has several targets and nothing to choose by: "
        "add switch(...), Select(...) or an LLMDecider().",
    ),
    (
        [("a", ["b", "c"], when(x=1))],
        "'a' -> ['b', 'c'] has several targets and only x == 1: add switch(...), Select(...) or an LLMDecider().",
    ),
    (
        [("a", ["b", "c"], ~when(is_done))],
        "'a' -> ['b', 'c'] has several targets and only ~is_done: add switch(...), Select(...) or an LLMDecider().",
    ),
    ([("a", [])], "the transition from 'a' has no target: name one."),
    ([("a", ["b", "b"], switch("x"))], "'a' -> ['b', 'b'] names a target twice: name each once."),
    (
        [("a", ["b", "c"], Select(pick, fallback="bb"))],
        "the fallback 'bb' of 'a' -> ['b', 'c'] is no target of it. Did you mean 'b'?",
    ),
    (
        [("a", "d"), ("d", ["d", "b"], switch("x"))],
        "the named choice 'd' can lead back to itself without an action: break the circle.",
    ),
    (
        [("a", ["b", "c"], switch("x", {1: "bb"}))],
        "switch('x') leaving 'a' names 'bb', no target of it. Did you mean 'b'?",
    ),
    ([("a",)], "('a',) is no transition: write (source, target) or (source, target, condition)."),
    (["ab"], "'ab' is no transition: write (source, target) or (source, target, condition)."),
    ([("a", 3)], "3 in a transition is no name: write the action's name."),
    (
        [("a", "b", is_done)],
        f"{is_done!r} cannot say when to go to 'b': wrap it: when(fn) for one target, Select(fn) for several.",
    ),
    ([("a", "b", 3)], "3 cannot say when to go to 'b': use when(...)."),
]


@pytest.mark.parametrize(("transitions", "sentence"), SENTENCES)
def test_each_problem_is_one_sentence(transitions: Any, sentence: str) -> None:
    assert [sentence] == problems(*transitions)


@pytest.mark.parametrize(
    ("actions", "sentence"),
    [
        ({"__x": one()}, "'__x' cannot be an action's name: it is empty, or starts with '__' or '@'."),
        ({"@x": one()}, "'@x' cannot be an action's name: it is empty, or starts with '__' or '@'."),
        ({"x": 3}, "3 is no action: pass one made by @action, or an instance of an Action class."),
        ({"x": is_done}, "'is_done' is a plain function: decorate it with @action(reads=[...], writes=[...])."),
        ({"x": Graph}, "'Graph' is a class: add an instance of it, Graph()."),
    ],
)
def test_what_is_no_action_is_refused(actions: Any, sentence: str) -> None:
    assert [sentence] == problems(**actions)


def test_two_actions_of_one_name_are_refused() -> None:
    with pytest.raises(DuplicateNameError) as caught:
        GraphBuilder().with_actions(one(), one()).build()
    assert "2 actions are named 'made': give each its own with .with_name(...)." == str(caught.value)


def test_a_graph_without_actions_is_refused() -> None:
    with pytest.raises(BuildError, match="^there are no actions: add some with .with_actions\\(...\\).$"):
        Graph([])


def test_all_problems_are_told_at_once_and_each_has_its_kind() -> None:
    builder = (
        GraphBuilder().with_actions(a=one(), b=one()).with_transitions(("a", "bb"), ("x", "a"), ("b", "a"), ("b", "b"))
    )
    with pytest.raises(BuildError) as caught:
        builder.build()
    assert str(caught.value).startswith("this graph has 3 problems:\n  1. transition source 'x' is neither")
    assert [UnknownNameError, UnknownTargetError, BuildError] == [type(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("verify", "wrong"),
    [
        (lambda: None, "takes no state"),
        (lambda state, context: None, "needs 'context', which is no input of it"),
        (lambda state, *, recipient: None, "needs 'recipient', which is no input of it"),
    ],
)
def test_a_verify_that_cannot_be_called_is_refused_before_it_is_needed(verify: Any, wrong: str) -> None:
    @action(reads=[], writes=[], kind="at_most_once", verify=verify)
    def send(state: State, to: str) -> State:
        return state

    sentence = f"verify= of action 'send' {wrong}: write `def verify(state)`, with inputs of the action after it."
    assert [sentence] == problems(names="", send=send)


@pytest.mark.parametrize(
    "verify", [lambda state: None, lambda state, to: None, lambda state, __context, more=1, **rest: None]
)
def test_a_verify_may_take_the_inputs_and_the_context(verify: Any) -> None:
    @action(reads=[], writes=[], kind="at_most_once", verify=verify)
    def send(state: State, to: str = "") -> State:
        return state

    assert [] == problems(names="", send=send)


def test_a_verify_may_take_what_is_bound_or_comes_from_the_state() -> None:
    @action(reads=[], writes=[], kind="at_most_once", verify=lambda state, to, by: None)
    def send(state: State, to: str, by: str) -> State:
        return state

    assert [] == problems(names="", send=bind_from_state(send.bind(to="ada@example.com"), by="sender"))


class TestWhatIsNoProblem:
    @pytest.mark.parametrize(
        "transitions",
        [
            [("a", "b", when(lambda state: True)), ("a", "c", when(lambda state: False))],
            [("a", "b", ~when(lambda state: True)), ("a", "c", ~when(lambda state: False))],
            [("a", "b", Condition(["x"], pick, name="n")), ("a", "c", Condition(["x"], is_done, name="n"))],
            [("a", "b", when(x=1)), ("a", "c", when(x=2)), ("a", "a")],
            [("a", "b"), ("a", "c", when(x=1))],
            [("a", ["b", "c"], Condition(["x"], pick))],
            [(("a", "b"), "c"), ("c", END)],
            [("a", "d"), ("d", "e"), ("e", ["b", "c"], switch("x")), ("b", "d")],
            [("a", {"b", "c"}, Select(pick, fallback="c"))],
        ],
    )
    def test_it_builds(self, transitions: Any) -> None:
        assert [] == problems(*transitions)


class TestReach:
    graph = (
        GraphBuilder()
        .with_actions(a=one("x", writes=["y"]), b=one("y", "z"), c=one("lost"), d=one())
        .with_transitions(("a", "n"), ("n", ["b", "d"], switch("mode")), ("b", "a"), ("b", END, when(w=1)))
        .build()
    )

    def test_everything_a_run_may_come_to(self) -> None:
        assert {"a", "b", "d", "n"} == reachable(self.graph.transitions, "a") == self.graph.reachable_from("a")

    def test_what_it_cannot_come_to_is_a_problem(self) -> None:
        found = unreachable(self.graph.actions, self.graph.transitions, "a")
        assert ["action 'c' cannot be reached from 'a': add a transition to it or leave it out."] == list(
            map(str, found)
        )

    def test_keys_that_are_read_before_anything_can_have_written_them(self) -> None:
        expected = {
            "x": "action 'a'",
            "mode": "the choice leaving 'n' (switch('mode'))",
            "w": "the choice leaving 'b' (w == 1)",
            "z": "action 'b'",
        }
        assert expected == self.graph.first_reads("a")
        assert self.graph.first_reads("a") is self.graph.first_reads("a")
        assert "y" not in self.graph.first_reads("b")  # a run may come back to it with a value

    def test_each_is_a_problem_that_names_its_reader(self) -> None:
        actions = {made.name: made for made in self.graph.actions}
        found = entry_problems(actions, self.graph.transitions, "a", ["x", "mode", "zz"])
        assert [
            "action 'b' reads 'z' before anything can have written it: give it a first value with .with_state(z=...). "
            "Did you mean 'zz'?",
            "the choice leaving 'b' (w == 1) reads 'w' before anything can have written it: "
            "give it a first value with .with_state(w=...).",
        ] == sorted(map(str, found))

    def test_a_text_in_an_expression_is_no_key_even_in_combinations(self) -> None:
        made = one(writes=["mode"])
        transitions = [("a", "b", expr("mode==image")), ("a", "c", ~expr("mode==text") & expr("mode==song"))]
        graph = GraphBuilder().with_actions(a=made, b=one(), c=one()).with_transitions(*transitions).build()
        assert {} == first_reads({each.name: each for each in graph.actions}, graph.transitions, "a")

    def test_an_optional_key_of_a_choosing_condition_need_not_be_written(self) -> None:
        chooser = Condition([], lambda state: state.get("hint", "b"), optional_keys=["hint"])
        app = (
            ApplicationBuilder()
            .with_actions(a=one(), b=one(), c=one())
            .with_transitions(("a", ["b", "c"], chooser))
            .with_entrypoint("a")
            .build()
        )
        app.step()
        following = app.get_next_action()
        assert following is not None
        assert "b" == following.name
