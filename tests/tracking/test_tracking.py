"""What a run does is recorded and read back, in both colours."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agentflow import END, ApplicationBuilder, Select, State, action, streaming_action, when
from agentflow.tracking import LocalTracker, LocalTrackingClient, Runs
from tests.drivers import Driver


@pytest.fixture
def tracker(tmp_path: Path) -> Iterator[LocalTracker]:
    made = LocalTracker("demo", tmp_path)
    yield made
    assert made.close(10)
    assert (0, None) == (made.dropped, made.problem)


@pytest.fixture
def runs(tracker: LocalTracker) -> Runs:
    return Runs(tracker.path)


@action(reads=["count"], writes=["count", "log"])
def count(state: State[Any], by: int = 1) -> tuple[dict[str, Any], State[Any]]:
    """Count on."""
    total = state["count"] + by
    return {"count": total}, state.update(count=total).append(log=f"now {total}")


@action(reads=["count"], writes=[])
def fail(state: State[Any]) -> State[Any]:
    raise ValueError("no more")


@streaming_action(reads=[], writes=["said"])
def say(state: State[Any]) -> Iterator[tuple[dict[str, Any], State[Any] | None]]:
    for word in ("a", "b", "c"):
        yield {"word": word}, None
    yield {"said": "abc"}, state.update(said="abc")


def counting(tracker: LocalTracker, **identifiers: Any) -> ApplicationBuilder:
    return (
        ApplicationBuilder()
        .with_actions(count, fail, say)
        .with_transitions(
            ("count", "count", when(count=1)),
            ("count", ["say", "fail"], Select(lambda state: "say" if state["count"] < 5 else "fail")),
            ("say", END),
        )
        .with_entrypoint("count")
        .with_state(count=0, log=[])
        .with_identifiers(**{"app_id": "a1", "partition_key": "ada", **identifiers})
        .with_tracker(tracker)
    )


def test_steps_are_recorded_with_what_they_did(drive: Driver, tracker: LocalTracker, runs: Runs) -> None:
    app = drive.build(counting(tracker))
    drive.run(app, halt_after=["say"], inputs={"by": 1})
    tracker.flush()

    steps = runs.steps("a1")

    assert [(0, "count"), (1, "count"), (2, "say")] == [(step.sequence_id, step.action) for step in steps]
    assert [{"count": 1}, {"count": 2}, {"said": "abc"}] == [step.set for step in steps]
    assert [{"log": ["now 1"]}, {"log": ["now 2"]}, {}] == [step.append for step in steps]
    assert [{"count": 1}, {"count": 2}, {"said": "abc"}] == [step.result for step in steps]
    assert [{"by": 1}, {"by": 1}, {}] == [step.inputs for step in steps]
    assert [("count",), ("count",), ()] == [step.reads for step in steps]
    assert {"done"} == {step.status for step in steps}
    assert all(step.seconds is not None and step.seconds >= 0 for step in steps)


def test_an_application_is_listed_with_its_graph_and_how_it_stands(
    drive: Driver, tracker: LocalTracker, runs: Runs
) -> None:
    drive.run(drive.build(counting(tracker)), halt_after=["say"])
    tracker.flush()

    (listed,) = runs.applications("demo", "ada")
    found = runs.application("a1")

    assert ("demo", "a1", "ada", "done", 3, "say", 2) == (
        listed.project,
        listed.app_id,
        listed.partition_key,
        listed.status,
        listed.steps,
        listed.last_action,
        listed.last_step,
    )
    assert found is not None
    assert ["count", "fail", "say"] == [each["name"] for each in found.graph["actions"]]
    assert "Count on." == found.graph["actions"][0]["description"]
    assert ["demo"] == [project.name for project in runs.projects()]


def test_decisions_are_recorded_with_who_made_them(drive: Driver, tracker: LocalTracker, runs: Runs) -> None:
    drive.run(drive.build(counting(tracker)), halt_after=["say"])
    tracker.flush()

    first, second = runs.decisions("a1")

    assert ("count", "count", 1) == (first.source, first.target, first.sequence_id)
    assert ("count", "say", 2, ("count", "fail", "say")) == (
        second.source,
        second.target,
        second.sequence_id,
        second.targets,
    )
    assert "Select" in second.decided_by


def test_a_step_that_fails_is_recorded_with_its_error_and_each_attempt(
    drive: Driver, tracker: LocalTracker, runs: Runs
) -> None:
    app = drive.build(counting(tracker).with_state(count=8))
    for _ in range(2):
        with pytest.raises(ValueError, match="no more"):
            drive.run(app, halt_after=["say"])
    tracker.flush()

    done, first, second = runs.steps("a1")

    assert ("done", "failed", "failed") == (done.status, first.status, second.status)
    assert (1, 1, 2) == (done.attempt, first.attempt, second.attempt)
    assert first.error is not None
    assert ("ValueError", "no more") == (first.error["kind"], first.error["message"])
    assert 'raise ValueError("no more")' in first.error["traceback"]
    assert {} == first.set


def test_streams_are_counted(drive: Driver, tracker: LocalTracker, runs: Runs) -> None:
    app = drive.build(counting(tracker))
    drive.stream_result(app, halt_after=["say"])
    tracker.flush()

    stream = runs.steps("a1")[-1].stream

    assert stream is not None
    assert stream.first is not None
    assert 3 == stream.items
    assert stream.opened <= stream.first


def test_what_is_recorded_is_what_was_there_then(drive: Driver, tracker: LocalTracker, runs: Runs) -> None:
    @action(reads=["box"], writes=["box"])
    def fill(state: State[Any], more: list[int]) -> State[Any]:
        more.append(3)
        box = {"items": list(more)}
        return state.update(box=box)

    app = drive.build(
        ApplicationBuilder()
        .with_actions(fill)
        .with_entrypoint("fill")
        .with_state(box={})
        .with_identifiers(app_id="m")
        .with_tracker(tracker)
    )
    drive.step(app, inputs={"more": [1, 2]})
    app.state["box"]["items"].append("later")
    tracker.flush()

    (step,) = runs.steps("m")

    assert ({"more": [1, 2]}, {"box": {"items": [1, 2, 3]}}) == (step.inputs, step.set)


def test_the_state_at_any_step_is_made_of_the_changes(drive: Driver, tracker: LocalTracker, runs: Runs) -> None:
    app = drive.build(counting(tracker))
    drive.run(app, halt_after=["say"])
    tracker.flush()

    assert app.state.get_all() == runs.state("a1")
    assert {"count": 1, "log": ["now 1"]} == runs.state("a1", 0)

    app.update_state(app.state.wipe(delete=["log"]).update(count=100))
    tracker.flush()

    assert app.state.get_all() == runs.state("a1")


def test_the_same_id_in_two_partitions_and_projects_is_two_applications(tmp_path: Path) -> None:
    trackers = [LocalTracker(project, tmp_path) for project in ("one", "two")]
    for tracker in trackers:
        for partition in ("ada", "bob", None):
            counting(tracker, partition_key=partition).build().step(inputs={"by": 7})
        tracker.close()
    runs = Runs(tmp_path)

    assert 6 == len(runs.applications())
    assert 2 == len(runs.applications(partition_key="ada"))
    assert 1 == len(runs.steps("a1", partition_key="bob", project="one"))


def test_pages_follow_each_other(tracker: LocalTracker, runs: Runs) -> None:
    for number in range(7):
        counting(tracker, app_id=f"a{number}").build().run(halt_after=["say"])
    tracker.flush()

    first = runs.applications(limit=3)
    rest = runs.applications(limit=100, after=first[-1].number)
    steps = runs.steps("a3", limit=2)

    assert ["a6", "a5", "a4", "a3", "a2", "a1", "a0"] == [app.app_id for app in first + rest]
    assert ["count", "count"] == [step.action for step in steps]
    assert ["say"] == [step.action for step in runs.steps("a3", after=steps[-1].number)]


def test_text_is_found_wherever_it_is(tracker: LocalTracker, runs: Runs) -> None:
    app = counting(tracker, app_id="needle_1").build()
    app.run(halt_after=["say"])
    app.update_state(app.state.update(note='He said "100%\nsure"'))
    tracker.flush()

    assert ["app"] == [found.kind for found in runs.search("needle_")]
    assert ["update"] == [found.kind for found in runs.search('"100%\nsure"')]
    assert {"step"} <= {found.kind for found in runs.search("NOW 2")}
    assert [] == runs.search("needle.1")


def test_a_copy_records_into_the_same_place(tracker: LocalTracker, runs: Runs) -> None:
    counting(tracker.copy()).build().step()
    tracker.flush()

    assert 1 == len(runs.steps("a1"))


def test_the_name_and_arguments_others_use_work(tmp_path: Path) -> None:
    tracker = LocalTrackingClient(project="demo", storage_dir=str(tmp_path))
    counting(tracker).build().step()
    tracker.close()

    assert ["a1"] == [app.app_id for app in Runs(tmp_path).applications("demo")]


def test_a_run_can_be_followed_while_it_goes_on(drive: Driver, tracker: LocalTracker, runs: Runs) -> None:
    app = drive.build(counting(tracker))
    drive.run(app, halt_after=["say"])
    tracker.flush()

    async def collect() -> list[str]:
        return [event.kind async for event in runs.afollow("a1", seconds=0)]

    kinds = [event.kind for event in runs.follow("a1", seconds=0)]

    assert ["build", "step", "decision", "step", "decision", "step", "run"] == [
        kind for kind in kinds if kind != "begin"
    ]
    if drive.colour == "async":
        assert kinds == drive.wait(collect())


def test_a_store_that_is_not_there_is_empty(tmp_path: Path) -> None:
    runs = Runs(tmp_path / "nowhere")

    assert ([], [], [], [], [], None) == (
        runs.projects(),
        runs.applications(),
        runs.steps("a"),
        runs.search("a"),
        runs.spans("a"),
        runs.application("a"),
    )
    assert not (tmp_path / "nowhere").exists()


def test_a_local_tracker_is_made_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENTFLOW_HOME", str(tmp_path))
    builder = ApplicationBuilder().with_actions(count).with_entrypoint("count").with_state(count=0, log=[])
    app = builder.with_tracker("local", project="mine").build()
    app.step()
    app.context.tracker.close()

    assert ["count"] == [step.action for step in Runs().steps(app.app_id)]
    assert ["mine"] == [project.name for project in Runs().projects()]
