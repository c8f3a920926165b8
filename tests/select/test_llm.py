"""LLMDecider: what it asks, what it makes of the answers, and that only a declared target is ever taken."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest

from agentflow import END, ApplicationBuilder, LLMDecider, State, action
from agentflow.errors import BuildError, DecideError, UnknownTargetError
from agentflow.llm import RetryPolicy
from agentflow.select import Example, Target
from tests.drivers import Driver
from tests.select.providers import ASK, DRAW, TARGETS, WRITE, Colour, Provider, chosen

QUICK = RetryPolicy(backoff=0.001, max_backoff=0.002, retries=1)


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


def application(decider: LLMDecider, *after: Any) -> Any:
    return (
        ApplicationBuilder()
        .with_actions(listen, draw, write)
        .with_transitions(("listen", ["draw", "write"], decider), *after)
        .with_entrypoint("listen")
        .build()
    )


class TestInAnApplication:
    def test_the_models_choice_is_taken_and_recorded(self, drive: Driver, provider: Provider) -> None:
        provider.reply(chosen("draw", "it says picture", 0.9))
        app = application(LLMDecider(reads=["query"]))
        ran, _, state = drive.run(app, halt_after=["draw", "write"], inputs={"query": "a picture of a cat"})
        decision = app.decisions[-1]
        assert ("draw", "a picture") == (ran.name, state["answer"])
        assert ("listen", ("draw", "write"), "draw") == (decision.source, decision.targets, decision.target)
        assert ("it says picture", 0.9) == (decision.reason, decision.confidence)
        assert ("LLMDecider(gpt-4o-mini)", 15, True) == (decision.decided_by, decision.tokens, decision.cost > 0)
        assert chosen("draw", "it says picture", 0.9) == decision.raw
        assert decision == app.why(1)

    def test_a_choice_costs_one_call_however_often_it_is_asked_for(self, drive: Driver, provider: Provider) -> None:
        provider.reply(chosen("write"))
        app = application(LLMDecider())
        drive.step(app, inputs={"query": "a poem"})
        names = {drive.next_action(app).name for _ in range(5)}
        drive.step(app)
        assert ({"write"}, 1, 15) == (names, provider.calls, app.usage.total_tokens)

    def test_a_model_that_never_answers_leads_to_the_fallback(self, drive: Driver, provider: Provider) -> None:
        provider.reply("certainly!")
        app = application(LLMDecider(fallback=write, reasks=1))
        drive.step(app, inputs={"query": "a poem"})
        assert "write" == drive.next_action(app).name
        assert (True, 2) == (app.decisions[-1].fallback, provider.calls)

    def test_without_a_fallback_it_is_an_error_that_can_be_retried(self, drive: Driver, provider: Provider) -> None:
        provider.reply(chosen("fly"), chosen("fly"), chosen("fly"), chosen("draw"))
        app = application(LLMDecider())
        drive.step(app, inputs={"query": "a poem"})
        with pytest.raises(DecideError, match=r"could not choose among 'draw', 'write'.* Declare a fallback") as caught:
            drive.next_action(app)
        assert ("listen", ("draw", "write")) == (caught.value.source, caught.value.targets)
        assert "draw" == drive.next_action(app).name

    def test_a_provider_that_fails_for_good_leads_to_the_fallback(self, drive: Driver, provider: Provider) -> None:
        provider.reply(401)
        app = application(LLMDecider(fallback="draw", policy=QUICK))
        drive.step(app, inputs={"query": "a poem"})
        assert "draw" == drive.next_action(app).name
        assert "auth" not in str(app.decisions[-1].raw)
        assert "check the API key" in str(app.decisions[-1].reason)

    def test_an_abstention_takes_the_default_edge(self, drive: Driver, provider: Provider) -> None:
        provider.reply(chosen("none_of_these", "too vague"))
        app = application(LLMDecider(allow_abstain=True), ("listen", END))
        drive.step(app, inputs={"query": "hm"})
        assert None is drive.next_action(app)
        assert "LLMDecider(gpt-4o-mini): it abstained: too vague" == app.decisions[-1].reason
        assert 15 == app.decisions[-1].tokens

    def test_the_end_can_be_chosen(self, drive: Driver, provider: Provider) -> None:
        provider.reply(chosen("__end__"))
        app = (
            ApplicationBuilder()
            .with_actions(listen, draw)
            .with_transitions(("listen", ["draw", END], LLMDecider()))
            .with_entrypoint("listen")
            .build()
        )
        drive.step(app, inputs={"query": "bye"})
        assert None is drive.next_action(app)

    def test_targets_without_a_docstring_are_reported_at_build(self) -> None:
        @action(reads=[], writes=[])
        def silent(state: State) -> State:
            return state

        def build(decider: LLMDecider) -> None:
            builder = ApplicationBuilder().with_actions(listen, draw, silent)
            builder.with_transitions(("listen", ["draw", "silent"], decider)).with_entrypoint("listen").build()

        with pytest.raises(ValueError, match="LLMDecider: silent needs to have a non-empty docstring") as caught:
            build(LLMDecider())
        assert "descriptions={'silent': '...'}" in str(caught.value)
        build(LLMDecider(descriptions={"silent": "Say nothing."}))


class TestThePrompt:
    def test_shows_the_menu_in_the_prompt_and_in_the_schema(self, colour: Colour, provider: Provider) -> None:
        provider.reply(chosen("draw"))
        colour.select(LLMDecider(), {"query": "a cat"})
        request = provider.requests[0]
        menu = "AVAILABLE ACTIONS\n\nask\nAsk the user for details.\n\ndraw\nDraw a picture for the user.\n\nwrite\n"
        schema = request["response_format"]["json_schema"]["schema"]["properties"]["next_action"]
        assert menu in request["messages"][0]["content"]
        assert schema["description"].startswith(menu)
        assert ["ask", "draw", "write"] == schema["enum"]
        assert request["response_format"]["json_schema"]["strict"] is True
        assert {"role": "user", "content": "a cat"} == request["messages"][-1]
        assert ("gpt-4o-mini", 0.0, 1000) == (request["model"], request["temperature"], request["max_tokens"])

    def test_does_not_depend_on_the_written_order_of_the_targets(self, provider: Provider) -> None:
        provider.reply(chosen("draw"))
        for targets in (TARGETS, TARGETS[::-1], (DRAW, ASK, WRITE)):
            LLMDecider().select({"query": "a cat", "mood": "good"}, targets)
        first, *others = provider.requests
        assert [first, first] == others

    def test_shows_only_what_it_reads(self, colour: Colour, provider: Provider) -> None:
        provider.reply(chosen("draw"))
        colour.select(LLMDecider(reads=["query"]), {"query": "a cat", "secret": "hunter2"})
        assert "hunter2" not in json.dumps(provider.requests)

    def test_shows_every_plain_value_by_default(self, provider: Provider) -> None:
        provider.reply(chosen("draw"))
        LLMDecider().select({"query": "a cat\nin a hat", "turn": 3, "lock": object(), "__inner": 1}, TARGETS)
        assert "query:\na cat\nin a hat\nturn: 3" == provider.requests[0]["messages"][-1]["content"]

    def test_a_template_says_what_is_read(self, provider: Provider) -> None:
        provider.reply(chosen("draw"))
        decider = LLMDecider(template="The user, {name}, wants: {query} {{sic}}", system="Be quick.")
        decider.select({"query": "{name}", "name": "Ada", "other": 1}, TARGETS)
        messages = provider.requests[0]["messages"]
        assert ("name", "query") == decider.reads
        assert "The user, Ada, wants: {name} {sic}" == messages[-1]["content"]
        assert messages[0]["content"].startswith("Be quick.\n\nAVAILABLE ACTIONS")

    def test_examples_are_shown_the_way_the_real_situation_is(self, provider: Provider) -> None:
        provider.reply(chosen("draw"))
        examples = [("a poem", "write"), Example({"query": "a cat"}, "draw", "a picture"), ({"query": "?"}, None)]
        LLMDecider(reads=["query"], examples=examples, allow_abstain=True).select({"query": "a dog"}, TARGETS)
        assert [
            {"role": "user", "content": "a poem"},
            {"role": "assistant", "content": '{"next_action": "write"}'},
            {"role": "user", "content": "a cat"},
            {"role": "assistant", "content": '{"next_action": "draw", "reason": "a picture"}'},
            {"role": "user", "content": "?"},
            {"role": "assistant", "content": '{"next_action": "none_of_these"}'},
            {"role": "user", "content": "a dog"},
        ] == provider.requests[0]["messages"][1:]

    def test_history_shows_the_last_messages_of_the_conversation(self, provider: Provider) -> None:
        provider.reply(chosen("draw"))
        chat = [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "hi"}, "and now?"]
        decider = LLMDecider(reads=["query"], history="chat", window=2)
        decider.select({"query": "draw it", "chat": chat}, TARGETS)
        decider.select({"query": "draw it"}, TARGETS)
        contents = [request["messages"][-1]["content"] for request in provider.requests]
        assert ["Conversation so far:\nassistant: hi\nand now?\n\ndraw it", "draw it"] == contents

    def test_an_empty_state_is_said_to_be_empty(self, provider: Provider) -> None:
        provider.reply(chosen("draw"))
        LLMDecider().select({}, TARGETS)
        assert "(nothing is known)" == provider.requests[0]["messages"][-1]["content"]

    def test_values_that_cannot_be_sent_are_shown_as_well_as_can_be(self, provider: Provider) -> None:
        provider.reply(chosen("draw"))
        deep: list[Any] = []
        for _ in range(100_000):
            deep = [deep]
        loop: dict[Any, Any] = {}
        loop["self"] = loop
        odd = {"a": "half \ud83d", "b": loop, "c": deep, "d": {(1, 2): 3}, "e": {4}, "f": DRAW}
        LLMDecider(reads=sorted(odd)).select(odd, TARGETS)
        content = provider.requests[0]["messages"][-1]["content"]
        assert [
            "a: half ?",
            "b: {'self': {...}}",
            "c: [[[[[[[...]]]]]]]",
            "d: {(1, 2): 3}",
            'e: "{4}"',
            "f: \"Target(name='draw', description='Draw a picture for the user.')\"",
        ] == content.splitlines()

    def test_a_huge_state_is_cut_in_the_middle(self, provider: Provider) -> None:
        provider.reply(chosen("draw"))
        LLMDecider().select({f"part{number}": "x" * 50_000 + "end" for number in range(10)}, TARGETS)
        content = provider.requests[0]["messages"][-1]["content"]
        assert (True, True, True) == (len(content) < 25_000, content.endswith("end"), "left out" in content)


class TestTheAnswer:
    @pytest.mark.parametrize(
        "bad",
        [
            "",
            "draw",
            "[]",
            "null",
            '{"next_action": ["draw"]}',
            '{"next_action": null}',
            chosen("DRAW"),
            chosen("drаw"),
        ],
    )
    def test_an_unusable_answer_is_asked_again(self, colour: Colour, provider: Provider, bad: str) -> None:
        provider.reply(bad, chosen("draw"))
        decision = colour.select(LLMDecider(), {"query": "a cat"})
        assert ("draw", 2, 30) == (decision.target, provider.calls, decision.tokens)

    @pytest.mark.parametrize(
        ("extra", "reason", "confidence"),
        [
            ({}, None, None),
            ({"reason": None, "confidence": "very"}, None, None),
            ({"reason": "x", "confidence": 95}, "x", None),
        ],
    )
    def test_a_good_choice_with_bad_trimmings_is_kept(
        self, provider: Provider, extra: dict[str, Any], reason: str | None, confidence: float | None
    ) -> None:
        provider.reply(json.dumps({"next_action": "draw", **extra}))
        decision = LLMDecider().select({"query": "a cat"}, TARGETS)
        assert (reason, confidence, 1) == (decision.reason, decision.confidence, provider.calls)

    def test_an_unsure_model_counts_as_abstaining(self, colour: Colour, provider: Provider) -> None:
        provider.reply(chosen("draw", confidence=0.4), chosen("draw", confidence=0.6), chosen("draw"))
        decider = LLMDecider(min_confidence=0.5)
        answers = [colour.select(decider, {"query": "a cat"}) for _ in range(3)]
        assert [None, "draw", "draw"] == [answer and answer.target for answer in answers]

    def test_the_next_model_is_asked_when_one_fails(self, colour: Colour, provider: Provider) -> None:
        provider.reply(lambda asked: chosen("draw") if asked["model"] == "gpt-4o" else "nonsense")
        decision = colour.select(LLMDecider(fallback_models=["gpt-4o"], reasks=0), {"query": "a cat"})
        assert ("draw", ["gpt-4o-mini", "gpt-4o"]) == (decision.target, [r["model"] for r in provider.requests])

    def test_the_same_decider_can_ask_another_model(self, colour: Colour, provider: Provider) -> None:
        provider.reply(chosen("draw"))
        decider = LLMDecider(reads=["query"], template="Wanted: {query}", temperature=0.3)
        other = decider.with_model("gpt-4o", temperature=0.1, system="Be brief.")
        decisions = [colour.select(each, {"query": "a cat"}) for each in (decider, other)]
        assert ["LLMDecider(gpt-4o-mini)", "LLMDecider(gpt-4o)"] == [decision.decided_by for decision in decisions]
        assert [("gpt-4o-mini", 0.3), ("gpt-4o", 0.1)] == [(r["model"], r["temperature"]) for r in provider.requests]
        assert {"Wanted: a cat"} == {request["messages"][-1]["content"] for request in provider.requests}
        assert provider.requests[1]["messages"][0]["content"].startswith("Be brief.")


class TestVotes:
    def test_most_answers_win(self, colour: Colour, provider: Provider) -> None:
        provider.reply(chosen("draw", "a", 0.2), chosen("write", "b", 0.9), chosen("draw", "c", 0.8))
        decision = colour.select(LLMDecider(votes=3), {"query": "a cat"})
        assert ("draw", "2 of 3 votes: c", 45) == (decision.target, decision.reason, decision.tokens)
        assert 2 / 3 == pytest.approx(decision.confidence)
        assert {0.7} == {request["temperature"] for request in provider.requests}

    @pytest.mark.parametrize(("allow_abstain", "expected"), [(True, None), (False, "write")])
    def test_a_tie_is_an_abstention_or_goes_to_the_surer_side(
        self, colour: Colour, provider: Provider, allow_abstain: bool, expected: str | None
    ) -> None:
        provider.reply(chosen("draw", "", 0.2), chosen("write", "", 0.9))
        decision = colour.select(LLMDecider(votes=2, allow_abstain=allow_abstain), {"query": "a cat"})
        assert expected == (decision and decision.target)

    def test_every_vote_is_paid_for(self, drive: Driver, provider: Provider) -> None:
        provider.reply(chosen("draw"))
        app = application(LLMDecider(votes=3))
        drive.step(app, inputs={"query": "a cat"})
        assert "draw" == drive.next_action(app).name
        assert (45, 45, 3) == (app.usage.total_tokens, app.decisions[-1].tokens, app.usage.attempts)

    def test_a_vote_that_fails_does_not_lose_the_others(self, colour: Colour, provider: Provider) -> None:
        provider.reply("nonsense", chosen("draw"), chosen("draw"))
        decision = colour.select(LLMDecider(votes=3, reasks=0), {"query": "a cat"})
        assert ("draw", "2 of 2 votes") == (decision.target, decision.reason)

    def test_an_error_when_all_fail(self, colour: Colour, provider: Provider) -> None:
        provider.reply("nonsense")
        with pytest.raises(DecideError):
            colour.select(LLMDecider(votes=2, reasks=0), {"query": "a cat"})


class TestBuilding:
    @pytest.mark.parametrize(
        "options",
        [
            {"votes": 0},
            {"window": -1},
            {"reasks": -1},
            {"min_confidence": 1.5},
            {"template": "{a.b}"},
            {"template": "{"},
        ],
    )
    def test_parameters_out_of_range_are_refused(self, options: dict[str, Any]) -> None:
        with pytest.raises(BuildError):
            LLMDecider(**options)

    def test_examples_must_fit_the_decider(self) -> None:
        with pytest.raises(BuildError, match="pass allow_abstain=True"):
            LLMDecider(examples=[("?", None)])
        with pytest.raises(BuildError, match="has no value for 'name'"):
            LLMDecider(template="{name}: {query}", examples=[({"query": "?"}, "draw")])

    def test_names_that_are_no_targets_are_problems(self) -> None:
        decider = LLMDecider(descriptions={"drwa": "Draw."}, examples=[("a cat", "drow")])
        problems = decider.problems("start", TARGETS)
        assert [UnknownTargetError] * 2 == [type(problem) for problem in problems]
        assert "Did you mean 'draw'?" in str(problems[0])

    def test_a_target_named_like_the_abstention_is_a_problem(self) -> None:
        problems = LLMDecider(allow_abstain=True).problems("start", [DRAW, Target("none_of_these", "x")])
        assert ["LLMDecider: 2 targets are named 'none_of_these': name each once."] == [str(each) for each in problems]

    def test_it_can_be_sent_to_another_process(self, provider: Provider) -> None:
        provider.reply(chosen("draw"))
        decider = LLMDecider()
        decider.select({"query": "a cat"}, TARGETS)
        copied = pickle.loads(pickle.dumps(decider))
        assert "draw" == copied.select({"query": "a cat"}, TARGETS).target


def test_an_option_that_is_misspelt_is_refused() -> None:
    with pytest.raises(
        BuildError, match=r"no option 'tmperature': .*extra=\{'tmperature': .*Did you mean 'temperature'"
    ):
        LLMDecider(tmperature=1)  # type: ignore[call-arg]
    with pytest.raises(BuildError, match="no option 'vots'.*Did you mean 'votes'"):
        LLMDecider(vots=3)  # type: ignore[call-arg]
    with pytest.raises(BuildError, match="no option 'max_token': .*Did you mean 'max_tokens'"):
        LLMDecider().with_model("gpt-4o", max_token=5)  # type: ignore[call-arg]


def test_options_of_single_providers_stay() -> None:
    decider = LLMDecider(seed=1, top_p=0.5, vertex_project="mine", extra={"bogus": 5})  # type: ignore[call-arg]
    assert (1, 0.5, "mine", {"bogus": 5}) == tuple(
        decider.options.get(name) for name in ("seed", "top_p", "vertex_project", "extra")
    )
