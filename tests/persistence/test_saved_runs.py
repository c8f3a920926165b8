"""A run that is saved goes on in another object, forks, is listed, pruned and deleted; both colours, every store."""

from __future__ import annotations

from typing import Any

import pytest

from agentflow import END, ApplicationBuilder, Select, State, action, streaming_action, when
from agentflow.errors import (
    BuildError,
    BusyError,
    ConflictError,
    GraphMismatch,
    HeldError,
    SerializationError,
    UncertainStep,
)
from agentflow.parallel import bind_from_state
from agentflow.persistence import Persister
from agentflow.select import HumanDecider
from tests.drivers import Driver


@action(reads=["n"], writes=["n"])
def count(state: State) -> State:
    return state.update(n=state["n"] + 1)


@action(reads=["n", "log"], writes=["log"])
def note(state: State) -> State:
    return state.append(log=f"n is {state['n']}")


def builder(persister: Persister, app_id: str = "a", **terms: Any) -> ApplicationBuilder:
    return (
        ApplicationBuilder()
        .with_actions(count, note)
        .with_transitions(("count", "note"), ("note", "count"))
        .with_state_persister(persister, **terms)
        .initialize_from(persister, default_state={"n": 0, "log": []}, default_entrypoint="count")
        .with_identifiers(app_id=app_id, partition_key="p")
    )


def test_an_application_goes_on_where_another_object_left_it(drive: Driver, persister: Persister) -> None:
    drive.run(drive.build(builder(persister)), halt_after="count")
    app = drive.build(builder(persister))
    assert f"durable: no step behind; the store is {persister.promise}" == app.durability
    assert (1, 0, "note") == (app.state["n"], app.sequence_id, drive.next_action(app).name)
    drive.run(app, halt_after="note")
    again = drive.build(builder(persister))
    assert ({"n": 1, "log": ["n is 1"]}, 1, "count") == (
        again.state.get_all(),
        again.sequence_id,
        drive.next_action(again).name,
    )


def test_nothing_is_in_the_store_before_the_first_step_unless_it_is_saved(drive: Driver, persister: Persister) -> None:
    app = drive.build(builder(persister))
    assert [] == persister.list_app_ids()
    drive.do(app, "save")
    assert ["a"] == persister.list_app_ids("p")
    assert [] == persister.list_app_ids("somebody else")
    loaded = persister.load("p", "a")
    assert loaded is not None
    assert (-1, None, {"n": 0, "log": []}) == (loaded["sequence_id"], loaded["position"], loaded["state"].get_all())
    drive.run(app, halt_after="note")
    assert 1 == app.sequence_id


def test_the_history_says_what_each_step_changed(drive: Driver, persister: Persister) -> None:
    drive.run(drive.build(builder(persister)), halt_after="note")
    found = persister.history("a", "p")
    assert [(-1, None), (0, "count"), (1, "note")] == [(step.sequence_id, step.action) for step in found]
    assert ({"n": 1}, {"log": ["n is 1"]}) == (found[1].change.set, found[2].change.append)
    assert [1] == [step.sequence_id for step in persister.history("a", "p", after=0)]
    assert ["count"] == [decision.source for decision in found[2].decisions]


def test_a_fork_of_a_fork_where_that_began_goes_on_as_that_did(drive: Driver, persister: Persister) -> None:
    drive.step(drive.build(builder(persister)))
    persister.fork("a", "b", 0, "p")
    drive.step(drive.build(builder(persister, "b")))
    persister.fork("b", "c", 0, "p")
    for app_id in ("b", "c"):
        found = persister.load("p", app_id, 0)
        assert found is not None
        assert ("count", 1) == (found["position"], found["state"]["n"])
    assert "note" == drive.next_action(drive.build(builder(persister, "c"))).name


def test_one_that_was_made_anew_under_the_same_id_is_taken_for_another(drive: Driver, persister: Persister) -> None:
    old = drive.build(builder(persister))
    drive.step(old)
    persister.delete("a", "p")
    new = drive.build(builder(persister))
    drive.do(new, "update_state", new.state.update(n=100))
    drive.step(new)
    drive.run(old, halt_after="note")
    assert ({"n": 101, "log": ["n is 101"]}, 1) == (old.state.get_all(), old.sequence_id)


def test_who_comes_second_is_told_before_the_action_runs(drive: Driver, persister: Persister) -> None:
    first, second = drive.build(builder(persister)), drive.build(builder(persister))
    drive.run(first, halt_after="count")
    with pytest.raises(ConflictError, match="exists already, at step 0"):
        drive.step(second)
    assert (0, None) == (second.state["n"], second.sequence_id)
    third, fourth = drive.build(builder(persister)), drive.build(builder(persister))
    drive.step(third)
    with pytest.raises(ConflictError, match="it is at step 1, and this object knows step 0") as caught:
        drive.step(fourth)
    assert ("a", 1) == (caught.value.app_id, caught.value.sequence_id)
    drive.do(fourth, "refresh")
    drive.step(fourth)
    assert 2 == fourth.sequence_id


@pytest.mark.parametrize("policy", ["wait", "takeover"])
def test_who_waits_or_takes_over_goes_on_from_the_newest_state(
    drive: Driver, persister: Persister, policy: str
) -> None:
    first, second = drive.build(builder(persister)), drive.build(builder(persister, on_conflict=policy))
    drive.run(first, halt_after="note")
    drive.step(second)
    assert (2, 2) == (second.state["n"], second.sequence_id)


def test_while_one_runs_another_is_told_who_does(drive: Driver, persister: Persister) -> None:
    seen: list[BaseException] = []

    @action(reads=[], writes=[])
    def slow(state: State) -> State:
        other = make().build()
        for app in (other, make(on_conflict="takeover").build()):
            try:
                app.step()
            except BusyError as error:
                seen.append(error)
                return state
        return state

    def make(**terms: Any) -> ApplicationBuilder:
        made = ApplicationBuilder().with_actions(slow).with_entrypoint("slow").with_identifiers(app_id="one")
        return made.with_state_persister(persister, **terms)

    app = make().build()
    drive.run(app)
    (held,) = seen
    assert isinstance(held, HeldError)
    assert ("one", -1) == (held.app_id, held.sequence_id)
    assert 0 < held.seconds <= 30
    assert 0 == app.sequence_id


def test_who_was_taken_over_commits_nothing(drive: Driver, persister: Persister) -> None:
    runs: list[str] = []

    def make(**terms: Any) -> ApplicationBuilder:
        made = ApplicationBuilder().with_actions(work).with_entrypoint("work").with_state(by="")
        return made.with_identifiers(app_id="one").with_state_persister(persister, **terms)

    @action(reads=[], writes=["by"])
    def work(state: State, who: str) -> State:
        runs.append(who)
        if who == "slow":
            make(on_conflict="takeover").build().step(inputs={"who": "fast"})
        return state.update(by=who)

    app = make().build()
    with pytest.raises(ConflictError, match="was taken over by somebody else while this step ran"):
        drive.step(app, inputs={"who": "slow"})
    assert ["slow", "fast"] == runs
    assert ("", None) == (app.state["by"], app.sequence_id)
    loaded = persister.load(None, "one")
    assert loaded is not None
    assert ("fast", 0) == (loaded["state"]["by"], loaded["sequence_id"])


def test_a_failed_step_is_performed_again_and_counted(drive: Driver, persister: Persister) -> None:
    fails = [True, True, False]

    @action(reads=[], writes=["done"])
    def flaky(state: State) -> State:
        if fails.pop(0):
            raise OSError("out of luck")
        return state.update(done=True)

    def make() -> ApplicationBuilder:
        made = ApplicationBuilder().with_actions(flaky).with_identifiers(app_id="one")
        return made.with_state_persister(persister).initialize_from(persister, default_entrypoint="flaky")

    for _ in range(2):
        with pytest.raises(OSError, match="out of luck"):
            drive.step(drive.build(make()))
        assert "failed" == persister.applications()[0].status
    drive.step(drive.build(make()))
    assert (0, 3) == (persister.history("one")[-1].sequence_id, persister.history("one")[-1].attempt)


def test_a_choice_that_runs_code_is_made_once_however_often_the_application_is_loaded(
    drive: Driver, persister: Persister
) -> None:
    asked: list[str] = []

    def pick(state: State) -> str:
        asked.append("pick")
        return "note"

    def make() -> ApplicationBuilder:
        return (
            ApplicationBuilder()
            .with_actions(count, note)
            .with_transitions(("count", ["count", "note"], Select(pick)), ("note", END))
            .with_state_persister(persister)
            .initialize_from(persister, default_state={"n": 0, "log": []}, default_entrypoint="count")
            .with_identifiers(app_id="one")
        )

    drive.run(drive.build(make()), halt_after="count")
    assert [] == asked
    for _ in range(3):
        assert "note" == drive.next_action(drive.build(make())).name
    last = drive.build(make())
    drive.run(last)
    assert ["pick"] == asked
    assert ["note", END] == [decision.target for decision in last.decisions]
    assert ["note"] == [decision.target for decision in persister.history("one")[-1].decisions]


def test_a_choice_that_waits_for_a_person_waits_in_the_store(drive: Driver, persister: Persister) -> None:
    def make() -> ApplicationBuilder:
        return (
            ApplicationBuilder()
            .with_actions(count, note)
            .with_transitions(("count", ["count", "note"], HumanDecider("Which?")), ("note", END))
            .with_state_persister(persister)
            .initialize_from(persister, default_state={"n": 0, "log": []}, default_entrypoint="count")
            .with_identifiers(app_id="one")
        )

    drive.run(drive.build(make()))
    waiting = drive.build(make())
    assert waiting.pending_choice is not None
    assert ("Which?", ["count", "note"]) == (
        waiting.pending_choice.question,
        [target.name for target in waiting.pending_choice.targets],
    )
    drive.do(waiting, "choose", "note", "a person said so")
    picked = drive.build(make())
    drive.run(picked)
    assert {"n": 1, "log": ["n is 1"]} == picked.state.get_all()
    assert "a person said so" == persister.history("one")[-1].decisions[0].reason


def test_what_is_changed_from_outside_is_saved(drive: Driver, persister: Persister) -> None:
    app = drive.build(builder(persister))
    drive.run(app, halt_after="count")
    drive.do(app, "update_state", app.state.update(n=10))
    loaded = persister.load("p", "a")
    assert loaded is not None
    assert 10 == loaded["state"]["n"]
    other = drive.build(builder(persister))
    drive.run(other, halt_after="note")
    assert ["n is 10"] == other.state["log"]
    last = persister.history("a", "p")[-1].change
    assert ({"n": 10, "log": ["n is 10"]}, 10) == ({**last.set, **last.append}, persister.load("p", "a")["state"]["n"])  # type: ignore[index]
    drive.do(other, "reset_to_entrypoint")
    assert "count" == drive.next_action(drive.build(builder(persister))).name


def test_a_fork_goes_on_from_a_step_and_copies_nothing(drive: Driver, persister: Persister) -> None:
    drive.run(drive.build(builder(persister)), halt_when=when(n=3))
    made = (
        ApplicationBuilder()
        .with_actions(count, note)
        .with_transitions(("count", "note"), ("note", "count"))
        .with_state_persister(persister)
        .initialize_from(
            persister,
            default_entrypoint="count",
            fork_from_app_id="a",
            fork_from_partition_key="p",
            fork_from_sequence_id=1,
        )
        .with_identifiers(app_id="b", partition_key="q")
    )
    fork = drive.build(made)
    assert ({"n": 1, "log": ["n is 1"]}, 1) == (fork.state.get_all(), fork.sequence_id)
    assert fork.parent_pointer is not None
    assert ("a", "p", 1) == (
        fork.parent_pointer.app_id,
        fork.parent_pointer.partition_key,
        fork.parent_pointer.sequence_id,
    )
    drive.run(fork, halt_after="note")
    assert ["n is 1", "n is 2"] == fork.state["log"]
    assert [1, 2, 3] == [step.sequence_id for step in persister.history("b", "q")]
    assert True is persister.delete("a", "p")
    assert ["b"] == persister.list_app_ids()
    loaded = persister.load("q", "b")
    assert loaded is not None
    assert ["n is 1", "n is 2"] == loaded["state"]["log"]


def test_a_fork_of_nothing_or_under_a_taken_id_is_refused(persister: Persister) -> None:
    with pytest.raises(ConflictError, match="there is no application 'x' to fork"):
        persister.fork("x", "y")
    builder(persister).build().run(halt_after="count")
    with pytest.raises(ConflictError, match="has no step 7 to fork from"):
        persister.fork("a", "y", 7, partition_key="p")
    with pytest.raises(ConflictError, match="'a' exists already"):
        persister.fork("a", "a", partition_key="p")


def test_pruning_keeps_the_state_and_the_last_steps(drive: Driver, persister: Persister) -> None:
    drive.run(drive.build(builder(persister)), halt_when=when(n=5))
    persister.fork("a", "b", 2, partition_key="p")
    before = persister.load("p", "a")
    assert 8 == persister.prune("a", "p", keep=1)
    after = persister.load("p", "a")
    assert before is not None
    assert after is not None
    assert before["state"] == after["state"]
    assert [7, 8] == [step.sequence_id for step in persister.history("a", "p")]
    fork = persister.load("p", "b")
    assert fork is not None
    assert 2 == fork["state"]["n"]
    drive.run(drive.build(builder(persister)), halt_after="note")
    assert 9 == persister.load("p", "a")["sequence_id"]  # type: ignore[index]


def test_an_earlier_state_can_be_loaded(drive: Driver, persister: Persister) -> None:
    drive.run(drive.build(builder(persister)), halt_when=when(n=3))
    found = [persister.load("p", "a", number) for number in (-1, 0, 1, 2, 99)]
    assert [0, 1, 1, 2, None] == [each and each["state"]["n"] for each in found]
    assert None is persister.load("p", "nobody")


def test_long_histories_are_loaded_from_a_snapshot(drive: Driver, persister: Persister) -> None:
    @action(reads=[], writes=["log"])
    def talk(state: State) -> State:
        return state.append(log="x" * 10_000)

    def make() -> ApplicationBuilder:
        made = ApplicationBuilder().with_actions(talk).with_transitions(("talk", "talk")).with_identifiers(app_id="one")
        made.with_state_persister(persister)
        return made.initialize_from(persister, default_state={"log": []}, default_entrypoint="talk")

    with pytest.raises(Exception, match="20 steps were performed"):
        drive.run(drive.build(make()), max_steps=20)
    assert 20 == len(drive.build(make()).state["log"])
    snapshots = [row.sequence_id for row in persister.rows(persister.applications()[0].key) if row.snapshot]
    assert [-1, 6, 13] == snapshots


def test_a_small_application_is_saved_whole_every_16_steps(drive: Driver, persister: Persister) -> None:
    @action(reads=["count"], writes=["count"])
    def add(state: State) -> State:
        return state.increment(count=1)

    def make() -> ApplicationBuilder:
        made = ApplicationBuilder().with_actions(add).with_transitions(("add", "add")).with_identifiers(app_id="one")
        made.with_state_persister(persister)
        return made.initialize_from(persister, default_state={"count": 0}, default_entrypoint="add")

    for taken in (20, 20):  # it goes on counting where it was loaded
        with pytest.raises(Exception, match="20 steps were performed"):
            drive.run(drive.build(make()), max_steps=taken)
    assert 40 == drive.build(make()).state["count"]
    snapshots = [row.sequence_id for row in persister.rows(persister.applications()[0].key) if row.snapshot]
    assert [-1, 15, 31] == snapshots


def test_large_values_are_stored_once(drive: Driver, persister: Persister) -> None:
    large = "y" * 100_000

    @action(reads=["text"], writes=["text", "turn"])
    def keep(state: State) -> State:
        return state.update(text=state["text"], turn=1)

    made = ApplicationBuilder().with_actions(keep).with_transitions(("keep", "keep")).with_identifiers(app_id="one")
    made.with_state_persister(persister).with_state(text=large, turn=0).with_entrypoint("keep")
    app = drive.build(made)
    for _ in range(3):
        drive.step(app)
    rows = persister.rows(persister.applications()[0].key)
    assert 1 == len({digest for row in rows for digest in row.blobs})
    assert max(len(row.delta) for row in rows) < 1_000
    loaded = persister.load(None, "one")
    assert loaded is not None
    assert large == loaded["state"]["text"]


def test_a_value_that_cannot_be_saved_is_refused_before_anything_is_written(
    drive: Driver, persister: Persister
) -> None:
    @action(reads=[], writes=["handle"])
    def bad(state: State) -> State:
        return state.update(handle={"a": [1, object()]})

    made = ApplicationBuilder().with_actions(bad).with_entrypoint("bad").with_identifiers(app_id="one")
    app = drive.build(made.with_state_persister(persister))
    with pytest.raises(SerializationError, match=r"state\['handle'\]"):
        drive.step(app)
    assert (None, "failed") == (app.sequence_id, app.status.value)
    assert [-1] == [step.sequence_id for step in persister.history("one")]


# -- actions that may run once only


def test_what_may_run_once_only_is_not_begun_again(drive: Driver, persister: Persister) -> None:
    sent: list[str] = []

    @action(reads=[], writes=["sent"], kind="at_most_once")
    def send(state: State) -> State:
        sent.append("mail")
        raise OSError("the line broke")

    def make() -> ApplicationBuilder:
        made = ApplicationBuilder().with_actions(send).with_identifiers(app_id="one")
        return made.with_state_persister(persister).initialize_from(persister, default_entrypoint="send")

    app = drive.build(make())
    with pytest.raises(OSError, match="the line broke"):
        drive.step(app)
    for again in (app, drive.build(make())):
        with pytest.raises(UncertainStep, match="'send' may run at most once, and step 0 of application 'one'"):
            drive.step(again)
        assert "uncertain" == again.status.value
    assert (["mail"], "uncertain") == (sent, persister.applications()[0].status)
    last = drive.build(make())
    drive.do(last, "resolve", State({"sent": True}))
    assert (True, 0) == (last.state["sent"], last.sequence_id)
    assert [(-1, None), (0, "send")] == [(step.sequence_id, step.action) for step in persister.history("one")]


def test_what_had_no_effect_can_be_run_again(drive: Driver, persister: Persister) -> None:
    fails = [True, False]

    @action(reads=[], writes=["sent"], kind="at_most_once")
    def send(state: State) -> State:
        if fails.pop(0):
            raise OSError
        return state.update(sent=True)

    made = ApplicationBuilder().with_actions(send).with_entrypoint("send").with_identifiers(app_id="one")
    app = drive.build(made.with_state_persister(persister))
    with pytest.raises(OSError):  # noqa: PT011  # it says nothing
        drive.step(app)
    drive.do(app, "resolve")
    drive.step(app)
    assert True is app.state["sent"]


@pytest.mark.parametrize(("known", "runs"), [(True, 1), (False, 2)])
def test_verify_says_what_became_of_it(drive: Driver, persister: Persister, known: bool, runs: int) -> None:
    sent: list[str] = []

    def verify(state: State, to: str) -> State | None:
        return state.update(sent=f"verified {to}") if known else None

    @action(reads=[], writes=["sent"], kind="at_most_once", verify=verify)
    def send(state: State, to: str) -> State:
        sent.append(to)
        if len(sent) == 1:
            raise OSError("the line broke")
        return state.update(sent="now")

    made = ApplicationBuilder().with_actions(send).with_entrypoint("send").with_identifiers(app_id="one")
    app = drive.build(made.with_state_persister(persister))
    with pytest.raises(OSError, match="the line broke"):
        drive.step(app, inputs={"to": "ada@example.com"})
    drive.step(app, inputs={"to": "ada@example.com"})
    assert ("verified ada@example.com" if known else "now", runs) == (app.state["sent"], len(sent))


def test_verify_is_given_what_an_input_is_by_default(drive: Driver, persister: Persister) -> None:
    def verify(state: State, to: str) -> State:
        return state.update(sent=f"verified {to}")

    @action(reads=[], writes=["sent"], kind="at_most_once", verify=verify)
    def send(state: State, to: str = "bob@example.com") -> State:
        raise OSError("the line broke")

    made = ApplicationBuilder().with_actions(send).with_entrypoint("send").with_identifiers(app_id="one")
    app = drive.build(made.with_state_persister(persister))
    with pytest.raises(OSError, match="the line broke"):
        drive.step(app)
    drive.step(app)
    assert "verified bob@example.com" == app.state["sent"]


def test_verify_is_given_what_is_bound_and_what_comes_from_the_state(drive: Driver, persister: Persister) -> None:
    def verify(state: State, to: str, by: str, how: str) -> State:
        return state.update(sent=f"{to} {by} {how}")

    @action(reads=[], writes=["sent"], kind="at_most_once", verify=verify)
    def send(state: State, to: str, by: str, how: str) -> State:
        raise OSError("the line broke")

    bound: Any = bind_from_state(send.bind(to="ada"), by="sender")
    made = ApplicationBuilder().with_actions(bound).with_entrypoint("send").with_state(sender="bob")
    app = drive.build(made.with_identifiers(app_id="one").with_state_persister(persister))
    with pytest.raises(OSError, match="the line broke"):
        drive.step(app, inputs={"how": "mail"})
    drive.step(app, inputs={"how": "mail"})
    assert "ada bob mail" == app.state["sent"]


# -- a graph that has changed


def test_an_action_that_is_gone_is_named(persister: Persister) -> None:
    builder(persister).build().run(halt_after="count")

    def changed(**fit: Any) -> ApplicationBuilder:
        made = ApplicationBuilder().with_actions(tally=count, note=note)
        made.with_transitions(("tally", "note"), ("note", "tally")).with_state_persister(persister)
        made.initialize_from(persister, default_state={"n": 0, "log": []}, default_entrypoint="tally", **fit)
        return made.with_identifiers(app_id="a", partition_key="p")

    with pytest.raises(GraphMismatch, match=r"stands at 'count' \(step 0\), which this graph does not have"):
        changed().build()
    app = changed(migrations={"count": "tally"}).build()
    app.run(halt_after="tally")
    assert 2 == app.state["n"]


def test_a_state_that_lacks_what_comes_next_can_be_upgraded(persister: Persister) -> None:
    builder(persister).build().run(halt_after="count")

    @action(reads=["n", "log", "name"], writes=["log"])
    def greet(state: State) -> State:
        return state.append(log=f"{state['name']}: {state['n']}")

    def changed(**fit: Any) -> ApplicationBuilder:
        made = ApplicationBuilder().with_actions(count=count, note=greet)
        made.with_transitions(("count", "note"), ("note", "count")).with_state_persister(persister)
        first = {"n": 0, "log": [], "name": "nobody"}
        made.initialize_from(persister, default_state=first, default_entrypoint="count", **fit)
        return made.with_identifiers(app_id="a", partition_key="p")

    with pytest.raises(GraphMismatch, match="goes on at 'note', which reads 'name'"):
        changed().build()
    app = changed(upgrade_state=lambda values: {**values, "name": "Ada"}).build()
    app.run(halt_after="note")
    assert ["Ada: 1"] == app.state["log"]
    assert "Ada" == persister.load("p", "a")["state"]["name"]  # type: ignore[index]


async def late(values: dict[str, Any]) -> dict[str, Any]:
    return values


@pytest.mark.parametrize(
    ("upgrade", "told"),
    [
        (lambda values: 5, "upgrade_state=.*<lambda> gave a value of type int: return a mapping of all keys"),
        (lambda values: None, "gave a value of type NoneType"),
        (lambda values: [("n", 1)], "gave a value of type list"),
        (late, "upgrade_state=late gave a value of type coroutine: return a mapping .*, from a plain function"),
    ],
)
def test_an_upgrade_that_gives_no_mapping_is_told(drive: Driver, persister: Persister, upgrade: Any, told: str) -> None:
    drive.step(drive.build(builder(persister)))
    made = builder(persister).initialize_from(persister, default_entrypoint="count", upgrade_state=upgrade)
    with pytest.raises(BuildError, match=told):
        drive.build(made)


def test_it_can_begin_at_the_entrypoint_with_the_saved_state(drive: Driver, persister: Persister) -> None:
    drive.run(drive.build(builder(persister)), halt_after="count")
    for changed in (
        builder(persister).reset_to_entrypoint(),
        builder(persister).initialize_from(persister, resume_at_next_action=False, default_entrypoint="count"),
    ):
        app = drive.build(changed)
        assert (1, 0, "count") == (app.state["n"], app.sequence_id, drive.next_action(app).name)
    drive.step(app)
    assert (2, 1) == (app.state["n"], app.sequence_id)


# -- streams


@streaming_action(reads=["n"], writes=["n"])
def spell(state: State) -> Any:
    yield {"piece": "a"}, None
    yield {"piece": "b"}, None
    yield {"n": state["n"] + 1}, state.update(n=state["n"] + 1)


def streaming(persister: Persister) -> ApplicationBuilder:
    made = ApplicationBuilder().with_actions(spell).with_transitions(("spell", "spell")).with_identifiers(app_id="one")
    made.with_state_persister(persister)
    return made.initialize_from(persister, default_state={"n": 0}, default_entrypoint="spell")


def test_a_stream_is_committed_at_its_end(drive: Driver, persister: Persister) -> None:
    _, items, _, _ = drive.stream_result(drive.build(streaming(persister)), halt_after="spell")
    again = drive.build(streaming(persister))
    assert (2, 1, 0) == (len(items), again.state["n"], again.sequence_id)
    assert persister.history("one")[-1].duration < 5


@pytest.mark.parametrize("taken", [0, 1])
def test_a_stream_that_is_left_commits_nothing_and_lets_others_run(persister: Persister, taken: int) -> None:
    _, items = streaming(persister).build().stream_result(halt_after="spell")
    with items:
        for _ in range(taken):
            next(iter(items))
    other = streaming(persister).build()
    assert (0, None) == (other.state["n"], other.sequence_id)
    other.stream_result(halt_after="spell")[1].get()
    assert (1, 0) == (other.state["n"], other.sequence_id)


# -- fast runs


def test_a_fast_run_is_whole_in_the_store_when_it_has_halted(drive: Driver, persister: Persister) -> None:
    app = drive.build(builder(persister, mode="fast"))
    assert f"fast: at most 64 steps and 0.25 seconds behind; the store is {persister.promise}" == app.durability
    drive.run(app, halt_when=when(n=100))
    loaded = persister.load("p", "a")
    assert loaded is not None
    assert (100, 198) == (loaded["state"]["n"], loaded["sequence_id"])
    assert list(range(-1, 199)) == [step.sequence_id for step in persister.history("a", "p")]


# -- what does not go together


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda b, p: b.with_state_persister(p, mode="slow"), "mode='slow' is unknown"),
        (lambda b, p: b.with_state_persister(p, on_conflict="fight"), "on_conflict='fight' is unknown"),
        (lambda b, p: b.with_state_persister(p, lease_seconds=0), "lease_seconds has to be above 0"),
        (lambda b, p: b.with_state_persister(p, on_every="run").build(), "every step is saved"),
        (lambda b, p: b.initialize_from(p).with_state(n=1).build(), "says where to begin"),
        (lambda b, p: b.initialize_from(p).build(), "there is no entrypoint: say where to start with initialize_from"),
        (lambda b, p: b.initialize_from(p, fork_from_sequence_id=1).build(), "forks from nothing"),
    ],
)
def test_what_makes_no_sense_is_a_build_error(persister: Persister, make: Any, message: str) -> None:
    with pytest.raises(BuildError, match=message):
        make(ApplicationBuilder().with_actions(count), persister)


def test_without_a_persister_there_is_nothing_to_save_or_refresh(drive: Driver) -> None:
    app = ApplicationBuilder().with_actions(count).with_entrypoint("count").with_state(n=0).build()
    for verb in ("save", "refresh"):
        with pytest.raises(BuildError, match="has no persister"):
            drive.do(app, verb)


@pytest.mark.parametrize("value", ["short", "x" * 100_000], ids=["small", "large"])
def test_a_key_with_half_of_a_surrogate_pair_is_saved_as_it_is(drive: Driver, persister: Persister, value: str) -> None:
    odd = "half \ud83d é"

    @action(reads=[odd], writes=[odd, "gone \ud83d"])
    def grow(state: State) -> State:
        return state.append(**{odd: value}).update(**{"gone \ud83d": 1}).wipe(delete=["gone \ud83d"])

    made = ApplicationBuilder().with_actions(grow).with_transitions(("grow", "grow")).with_entrypoint("grow")
    made.with_state(**{odd: [value]}).with_state_persister(persister).with_identifiers(app_id="odd")
    app = drive.build(made)
    for _ in range(2):
        drive.step(app)
    persister.prune("odd")
    found = persister.load(None, "odd")
    assert found is not None
    assert {odd: [value] * 3} == found["state"].get_all()
