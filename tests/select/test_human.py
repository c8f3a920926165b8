"""A choice that is left to a person: the run halts, says what there is to choose, and goes on from the pick."""

from __future__ import annotations

from typing import Any

import pytest

from agentflow import END, Application, ApplicationBuilder, State, Status, action
from agentflow.errors import BuildError, DecideError
from agentflow.hooks import PostDecideHook
from agentflow.select import Cascade, Decision, HumanDecider, LLMDecider, RuleDecider, Select, Selector, Target
from tests.drivers import Driver
from tests.select.providers import Provider, chosen


@action(reads=[], writes=["draft"])
def draft(state: State) -> State:
    """Write a draft."""
    return state.update(draft="Dear Ada")


@action(reads=["draft"], writes=["sent"])
def send(state: State) -> State:
    """Send it."""
    return state.update(sent=True)


@action(reads=["draft"], writes=["draft"])
def rewrite(state: State) -> State:
    """Write it anew."""
    return state.update(draft=state["draft"] + "!")


def application(decider: Selector, *hooks: Any) -> Application:
    return (
        ApplicationBuilder()
        .with_actions(draft, send, rewrite)
        .with_transitions(("draft", ["send", "rewrite", END], decider), ("rewrite", "review"))
        .with_transitions(("review", ["send", "rewrite"], decider))
        .with_entrypoint("draft")
        .with_hooks(*hooks)
        .build()
    )


class Heard(PostDecideHook):
    def __init__(self) -> None:
        self.targets: list[str] = []

    def post_decide(self, *, decision: Decision, **facts: Any) -> None:
        self.targets.append(decision.target)


def test_the_run_halts_with_the_choices_and_goes_on_from_the_pick(drive: Driver) -> None:
    heard = Heard()
    app = application(HumanDecider("Is this good? {draft}"), heard)
    ran, _, state = drive.run(app)
    pending = app.pending_choice
    assert ("draft", "Dear Ada", Status.halted) == (ran.name, state["draft"], app.status)
    assert ("draft", "Is this good? Dear Ada") == (pending.source, pending.question)
    assert "HumanDecider, leaving 'draft'" == app.halted_by
    assert ["__end__", "rewrite", "send"] == [target.name for target in pending.targets]
    assert "Write it anew." == pending.targets[1].description
    app.choose("rewrite", "too short")
    assert None is app.pending_choice
    ran, _, state = drive.run(app)
    assert ("rewrite", "Dear Ada!", "review") == (ran.name, state["draft"], app.pending_choice.source)
    app.choose(send)
    ran, _, state = drive.run(app)
    assert ("send", True, Status.finished) == (ran.name, state["sent"], app.status)
    assert ["rewrite", "review", "send"] == heard.targets
    assert "'draft' -> 'rewrite', decided by HumanDecider: too short" == str(app.why(1))


def test_while_a_person_has_to_choose_nothing_moves(drive: Driver) -> None:
    app = application(HumanDecider())
    drive.run(app)
    for _ in range(3):
        assert None is drive.next_action(app)
        assert None is drive.step(app)
        assert (None, None) == drive.run(app)[:2]
    assert (0, Status.halted, []) == (app.sequence_id, app.status, app.decisions)


def test_the_last_pick_counts(drive: Driver) -> None:
    app = application(HumanDecider())
    drive.run(app)
    app.choose("rewrite")
    with pytest.raises(DecideError, match="'sned' is none of the choices that leave 'draft'. Did you mean 'send'?"):
        app.choose("sned")
    app.choose("send")
    assert "send" == drive.next_action(app).name


def test_a_person_can_choose_the_end(drive: Driver) -> None:
    app = application(HumanDecider())
    drive.run(app)
    app.choose(END)
    drive.run(app)
    assert (Status.finished, 0) == (app.status, app.sequence_id)


def test_there_must_be_something_to_choose() -> None:
    with pytest.raises(DecideError, match="no choice waits for a person"):
        application(HumanDecider()).choose("send")


def test_a_changed_state_is_asked_about_anew(drive: Driver) -> None:
    app = application(HumanDecider("{draft}"))
    drive.run(app)
    app.choose("send")
    app.update_state(app.state.update(draft="Dear Bob"))
    assert None is drive.next_action(app)
    assert "Dear Bob" == app.pending_choice.question
    app.reset_to_entrypoint()
    assert None is app.pending_choice


def test_a_graph_alone_cannot_wait_for_a_person() -> None:
    app = application(HumanDecider())
    with pytest.raises(DecideError, match="for a person to choose"):
        app.graph.get_next_node("draft", State(), "draft")


class TestCascade:
    def test_the_cheapest_that_knows_answers(self, drive: Driver, provider: Provider) -> None:
        app = application(Cascade(RuleDecider({"send": ["dear ada"]}), LLMDecider()))
        drive.step(app)
        assert "send" == drive.next_action(app).name
        assert (0, "RuleDecider", "matched 'dear ada'") == (
            provider.calls,
            app.decisions[-1].decided_by,
            app.decisions[-1].reason,
        )

    def test_the_next_is_asked_when_one_abstains(self, drive: Driver, provider: Provider) -> None:
        provider.reply(chosen("rewrite", "short"))
        app = application(Cascade(RuleDecider({"send": ["bob"]}), LLMDecider(), HumanDecider()))
        drive.step(app)
        assert "rewrite" == drive.next_action(app).name
        decision = app.decisions[-1]
        assert ("LLMDecider(gpt-4o-mini)", "short (RuleDecider abstained: no rule matches)") == (
            decision.decided_by,
            decision.reason,
        )
        assert (15, True) == (decision.tokens, decision.cost > 0)

    def test_a_model_is_not_asked_again_while_a_person_thinks(self, drive: Driver, provider: Provider) -> None:
        provider.reply(chosen("none_of_these", "too vague"))
        app = application(Cascade(LLMDecider(allow_abstain=True), HumanDecider()))
        drive.run(app)
        for _ in range(5):
            drive.run(app)
        assert (1, "LLMDecider(gpt-4o-mini) abstained: too vague") == (provider.calls, app.pending_choice.reason)
        app.choose("send")
        drive.run(app)
        assert (1, "HumanDecider", True) == (provider.calls, app.decisions[-1].decided_by, app.state["sent"])

    def test_a_model_that_fails_is_passed_over(self, drive: Driver, provider: Provider) -> None:
        provider.reply(401)
        app = application(Cascade(LLMDecider(), Select(lambda state: "send", name="always")))
        drive.step(app)
        assert "send" == drive.next_action(app).name
        assert "(LLMDecider(gpt-4o-mini) failed)" == app.decisions[-1].reason

    def test_the_failure_of_the_last_is_raised_and_abstaining_is_not(self, drive: Driver, provider: Provider) -> None:
        provider.reply(401)
        app = application(Cascade(RuleDecider({"send": ["bob"]}), LLMDecider()))
        drive.step(app)
        with pytest.raises(DecideError, match="check the API key"):
            drive.next_action(app)
        app = application(Cascade(LLMDecider(), RuleDecider({"send": ["bob"]}), fallback="rewrite"))
        drive.step(app)
        assert "rewrite" == drive.next_action(app).name

    def test_an_undeclared_name_is_an_error(self, drive: Driver) -> None:
        app = application(Cascade(Select(lambda state: "fly")))
        drive.step(app)
        with pytest.raises(DecideError, match="it answered 'fly'"):
            drive.next_action(app)

    def test_what_it_reads_is_what_they_read(self) -> None:
        rules = RuleDecider({"send": ["bob"]}, reads=["draft"])
        assert ("draft", "mood") == Cascade(rules, HumanDecider("{mood} {draft}")).reads
        assert None is Cascade(rules, LLMDecider()).reads

    def test_selectors_that_cannot_work_together_are_refused(self) -> None:
        with pytest.raises(BuildError, match="nobody to ask"):
            Cascade()
        with pytest.raises(BuildError, match="takes selectors"):
            Cascade("send")  # type: ignore[arg-type]
        with pytest.raises(BuildError, match="give the fallback to the Cascade"):
            Cascade(LLMDecider(fallback="send"), HumanDecider())

    def test_the_problems_of_its_parts_are_its_own(self) -> None:
        cascade = Cascade(RuleDecider({"sned": ["bob"]}), LLMDecider())
        assert 2 == len(cascade.problems("draft", [Target("send")]))


@pytest.mark.parametrize("halts", [{"halt_before": ["send"]}, {"halt_after": ["send"]}])
def test_a_run_that_asks_for_more_ends_where_a_person_has_to_choose(drive: Driver, halts: dict[str, Any]) -> None:
    app = application(HumanDecider())
    assert ("draft", Status.halted) == (drive.run(app, **halts)[0].name, app.status)
    assert "draft" == app.pending_choice.source


def test_streaming_ends_there_too(drive: Driver) -> None:
    app = application(HumanDecider())
    assert ["draft"] == [name for name, _ in drive.stream_iterate(app)]
    assert ("draft", Status.halted) == (app.pending_choice.source, app.status)


def test_iterating_ends_there_too_and_goes_on(drive: Driver) -> None:
    app = application(HumanDecider())
    assert ["draft"] == [done[0].name for done in drive.iterate(app)]
    app.choose("send")
    assert ["send"] == [done[0].name for done in drive.iterate(app)]
    assert Status.finished == app.status
