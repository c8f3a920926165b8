"""A run that is known to end with a step gives its lease back as it commits it; both colours."""

from __future__ import annotations

from typing import Any

import pytest

from agentflow import ApplicationBuilder, Select, State, action
from agentflow.persistence import InMemoryPersister, Key
from agentflow.select.selector import Decision
from tests.drivers import Driver


class Verbs(InMemoryPersister):
    """Remembers which verbs that write were called."""

    def __init__(self) -> None:
        super().__init__()
        self.called: list[str] = []

    def claim(self, *about: Any) -> Any:
        self.called.append("claim")
        return super().claim(*about)

    def commit(self, *about: Any) -> None:
        self.called.append("commit")
        super().commit(*about)

    def note(self, *about: Any) -> None:
        self.called.append("note")
        super().note(*about)

    def release(self, *about: Any) -> None:
        self.called.append("release")
        super().release(*about)


@action(reads=["n"], writes=["n"])
def count(state: State) -> State:
    return state.update(n=state["n"] + 1)


@action(reads=["n"], writes=["n"])
def double(state: State) -> State:
    return state.update(n=state["n"] * 2)


@action(reads=["n"], writes=["n"])
def last(state: State) -> State:
    return state


def chosen(state: State) -> str:
    return "count"


ENDS: dict[str, tuple[str, dict[str, Any], list[str], str]] = {
    "a single step": ("step", {}, ["claim", "commit"], "ready"),
    "a halt after it": ("run", {"halt_after": "double"}, ["claim", "commit", "commit"], "halted"),
    "a halt before what is certain to follow": ("run", {"halt_before": "double"}, ["claim", "commit"], "halted"),
    "nothing that follows": ("run", {}, ["claim", "commit", "commit", "commit", "release"], "finished"),
    "a condition": ("run", {"halt_when": lambda _: True}, ["claim", "commit", "release"], "halted"),
    "a condition, before the same halt": (
        "run",
        {"halt_before": "double", "halt_when": lambda state: state["n"] == 1},
        ["claim", "commit", "release"],
        "halted",
    ),
}


@pytest.mark.parametrize("end", ENDS)
def test_the_lease_is_given_back_with_the_last_commit(drive: Driver, end: str) -> None:
    verb, options, verbs, status = ENDS[end]
    persister = Verbs()
    made = ApplicationBuilder().with_actions(count, double, last).with_identifiers(app_id="a")
    made.with_transitions(("count", "double"), ("double", "last")).with_state_persister(persister)
    app = drive.build(made.with_entrypoint("count").with_state(n=0))
    getattr(drive, verb)(app, **options)
    head = persister.head(Key("", "a"))
    assert head is not None
    assert (verbs, status, "") == (persister.called, head.status, head.owner)
    again = drive.build(
        ApplicationBuilder()
        .with_graph(app.graph)
        .with_identifiers(app_id="a")
        .initialize_from(persister, default_entrypoint="count")
    )
    assert (app.state, app.sequence_id) == (again.state, again.sequence_id)


def test_a_choice_that_runs_code_is_made_before_the_lease_is_given_back(drive: Driver) -> None:
    persister = Verbs()
    made = ApplicationBuilder().with_actions(count, double).with_identifiers(app_id="a")
    made.with_transitions(("count", ["count", "double"], Select(chosen, reads=[]))).with_state_persister(persister)
    app = drive.build(made.with_entrypoint("count").with_state(n=0))
    drive.run(app, halt_before=["count", "double"])
    assert ["claim", "commit", "note", "release"] == persister.called


def test_another_may_go_on_while_the_last_step_is_still_told_of(drive: Driver) -> None:
    persister, graphs = InMemoryPersister(), []

    class Meanwhile:
        def post_run_step(self, *, app_id: str, **_: Any) -> None:
            if not graphs:
                return
            other = ApplicationBuilder().with_graph(graphs.pop()).with_identifiers(app_id=app_id)
            other.initialize_from(persister, default_entrypoint="count").with_state_persister(persister).build().step()

    made = ApplicationBuilder().with_actions(count).with_transitions(("count", "count")).with_identifiers(app_id="a")
    made.with_state_persister(persister).with_hooks(Meanwhile()).with_entrypoint("count").with_state(n=0)
    app = drive.build(made)
    graphs.append(app.graph)
    drive.step(app)
    assert 1 == app.state["n"]
    loaded = persister.load(None, "a")
    assert loaded is not None
    assert (2, 1) == (loaded["state"]["n"], loaded["sequence_id"])


def test_what_is_certain_to_follow_is_chosen_once_however_many_go_on(drive: Driver) -> None:
    told: list[str] = []

    class Told:
        def post_decide(self, *, decision: Decision, **_: Any) -> None:
            told.append(decision.target)

    persister = InMemoryPersister()
    made = ApplicationBuilder().with_actions(count, double, last).with_identifiers(app_id="a").with_hooks(Told())
    made.with_transitions(("count", "double"), ("double", "last")).with_state_persister(persister)
    made.initialize_from(persister, default_state={"n": 1}, default_entrypoint="count")
    drive.run(drive.build(made), halt_before="double")
    again = drive.build(made)
    assert "double" == drive.next_action(again).name
    drive.run(again, halt_after="double")
    assert (["double"], [["double"]]) == (
        told,
        [[each.target for each in record.decisions] for record in persister.history("a")[-1:]],
    )
