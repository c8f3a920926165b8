"""A run halts with its state intact when its budget is used up, and says which limit it was."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from agentflow import ApplicationBuilder, Budget, State, Status, action, streaming_action
from agentflow.errors import BuildError
from agentflow.parallel import MapStates, RunnableGraph
from agentflow.select import Decider
from agentflow.usage import Usage, record
from tests.drivers import Driver


@action(reads=["turns"], writes=["turns"])
def ask(state: State) -> State:
    record(Usage("model", "provider", 60, 40, cost=0.01))
    return state.update(turns=state["turns"] + 1)


def endless(made: Any = ask) -> Any:
    return (
        ApplicationBuilder()
        .with_actions(ask=made)
        .with_transitions(("ask", "ask"))
        .with_entrypoint("ask")
        .with_state(turns=0)
        .build()
    )


@pytest.mark.parametrize(
    ("budget", "turns", "reason"),
    [
        (Budget(steps=3), 3, "the budget of 3 steps: 3 were used"),
        (Budget(tokens=250), 3, "the budget of 250 tokens: 300 were used"),
        (Budget(usd=0.015), 2, "the budget of 0.015 usd: 0.02 were used"),
        (Budget(steps=9, tokens=150), 2, "the budget of 150 tokens: 200 were used"),
    ],
)
def test_a_used_up_budget_halts_the_run(drive: Driver, budget: Budget, turns: int, reason: str) -> None:
    app = endless()
    action_done, _, state = drive.run(app, budget=budget)
    assert ("ask", turns) == (action_done.name, state["turns"])
    assert (Status.halted, reason, turns - 1) == (app.status, app.halted_by, app.sequence_id)


def test_seconds_are_wall_time(drive: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(100))
    monkeypatch.setattr("agentflow.budget.time.monotonic", lambda: float(next(clock)))
    app = endless()
    drive.run(app, budget=Budget(seconds=4))
    assert "the budget of 4 seconds: 4 were used" == app.halted_by


def test_the_next_run_has_a_budget_of_its_own(drive: Driver) -> None:
    app = endless()
    drive.run(app, budget=Budget(steps=2))
    drive.run(app, budget=Budget(steps=2))
    assert 4 == app.state["turns"]


def test_every_running_verb_knows_it(drive: Driver) -> None:
    @streaming_action(reads=["turns"], writes=["turns"])
    def stream(state: State) -> Iterator[Any]:
        yield "piece", None
        yield {}, state.update(turns=state["turns"] + 1)

    assert 2 == len(drive.iterate(endless(), budget=Budget(steps=2)))
    assert [("ask", ["piece"])] * 2 == drive.stream_iterate(endless(stream), budget=Budget(steps=2))


def test_children_count_on_the_run_they_belong_to(drive: Driver) -> None:
    class AskMany(MapStates):
        reads = ["turns"]
        writes = ["turns"]

        def action(self) -> Any:
            return ask

        def states(self, state: State) -> Iterator[State]:
            for _ in range(10):
                yield state

        def reduce(self, state: State, states: Any) -> State:
            return state.update(turns=sum(child["turns"] for child in states))

    app = endless(AskMany(max_concurrency=1))
    outcome = drive.run(app, budget=Budget(tokens=350))
    assert (None, None, {"turns": 0}) == (*outcome[:2], dict(outcome[2]))
    assert (Status.halted, "the budget of 350 tokens: 400 were used", None) == (
        app.status,
        app.halted_by,
        app.sequence_id,
    )
    drive.run(app, budget=Budget(steps=1))
    assert (10, 1_000) == (app.state["turns"], app.usage.total_tokens)


@pytest.mark.parametrize("limit", ["steps", "tokens", "usd", "seconds"])
def test_a_limit_that_allows_nothing_is_refused(limit: str) -> None:
    with pytest.raises(BuildError, match=rf"Budget\({limit}=0\) allows nothing"):
        Budget(**{limit: 0})


def test_a_limit_may_be_a_decimal() -> None:
    app = endless()
    app.run(budget=Budget(usd=Decimal("0.025")))
    assert (3, "the budget of 0.025 usd: 0.03 were used") == (app.sequence_id + 1, app.halted_by)
    with pytest.raises(BuildError, match=r"^Budget\(usd=Decimal\('NaN'\)\) allows nothing"):
        Budget(usd=Decimal("NaN"))


class Paid(Decider):
    """A choice that costs 200 tokens."""

    asked: int = 0

    def select(self, state: Any, targets: Any) -> str:
        self.asked += 1
        record(Usage("model", "provider", 150, 50, cost=0.01))
        return "ask"


def chosen(selector: Paid) -> Any:
    return (
        ApplicationBuilder()
        .with_actions(start=ask.bind(), ask=ask, other=ask.bind())
        .with_transitions(("start", ["ask", "other"], selector))
        .with_entrypoint("start")
        .with_state(turns=0)
        .build()
    )


@pytest.mark.parametrize("halts", [{"halt_after": ["ask"]}, {"halt_before": ["other"]}, {}])
def test_a_choice_that_uses_up_the_budget_is_kept_and_its_action_does_not_begin(
    drive: Driver, halts: dict[str, Any]
) -> None:
    selector = Paid()
    app = chosen(selector)
    drive.run(app, budget=Budget(tokens=250), **halts)
    assert (Status.halted, "the budget of 250 tokens: 300 were used") == (app.status, app.halted_by)
    assert (0, 1, "ask") == (app.sequence_id, app.state["turns"], drive.next_action(app).name)
    drive.run(app, budget=Budget(tokens=250), **halts)
    assert (1, 2, 1) == (app.sequence_id, app.state["turns"], selector.asked)


def test_a_used_up_budget_pays_for_no_choice(drive: Driver) -> None:
    selector = Paid()
    drive.run(chosen(selector), halt_before="ask", budget=Budget(tokens=100))
    assert 0 == selector.asked


def test_a_run_whose_last_choice_ends_it_is_finished_whatever_that_cost(drive: Driver) -> None:
    class Over(Paid):
        def select(self, state: Any, targets: Any) -> str:
            super().select(state, targets)
            return "__end__"

    app = (
        ApplicationBuilder()
        .with_actions(start=ask.bind(), ask=ask)
        .with_transitions(("start", ["ask", "__end__"], Over()))
        .with_entrypoint("start")
        .with_state(turns=0)
        .build()
    )
    drive.run(app, budget=Budget(tokens=250), halt_before="ask", max_steps=1)
    assert (Status.finished, None) == (app.status, app.halted_by)


def test_a_child_performs_what_it_chose_with_the_last_of_the_budget(drive: Driver) -> None:
    selector = Paid()

    class AskBoth(MapStates):
        reads = ["turns"]
        writes = ["turns"]

        def action(self) -> Any:
            return RunnableGraph(chosen(selector).graph, "start", halt_after="ask")

        def states(self, state: State) -> Iterator[State]:
            yield from (state, state)

        def reduce(self, state: State, states: Any) -> State:
            return state.update(turns=sum(child["turns"] for child in states))

    app = (
        ApplicationBuilder()
        .with_actions(both=AskBoth(max_concurrency=1), last=ask)
        .with_transitions(("both", "last"))
        .with_entrypoint("both")
        .with_state(turns=0)
        .build()
    )
    for _ in range(2):
        drive.run(app, budget=Budget(tokens=250))
        assert (Status.halted, "the budget of 250 tokens: 400 were used") == (app.status, app.halted_by)
    drive.run(app, budget=Budget(tokens=250))
    assert (Status.finished, None, 2, 5) == (app.status, app.halted_by, selector.asked, app.state["turns"])
