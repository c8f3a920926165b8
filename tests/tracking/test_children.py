"""Children are recorded below the step that spawned them, by the tracker of their parent; and so are spans."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agentflow import END, ApplicationBuilder, ApplicationContext, Select, State, action
from agentflow.parallel import MapStates, RunnableGraph, SubGraphTask, TaskBasedParallelAction, subgraph
from agentflow.tracing import ActionSpanTracer, TracerFactory, trace
from agentflow.tracking import LocalTracker, Runs
from agentflow.usage import Usage, record
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


@action(reads=["number"], writes=["square"])
def square(state: State[Any]) -> State[Any]:
    return state.update(square=state["number"] ** 2)


class Squares(MapStates):
    reads = ["numbers"]
    writes = ["squares"]

    def action(self) -> Any:
        return square

    def states(self, state: State[Any]) -> Any:
        for number in state["numbers"]:
            yield state.update(number=number)

    def reduce(self, state: State[Any], states: Any) -> State[Any]:
        return state.update(squares=[each["square"] for each in states])


def of(given: Any, name: str, tracker: Any, **state: Any) -> ApplicationBuilder:
    return (
        ApplicationBuilder()
        .with_actions(**{name: given})
        .with_entrypoint(name)
        .with_state(**state)
        .with_identifiers(app_id="parent", partition_key="ada")
        .with_tracker(tracker)
    )


def test_the_children_of_a_map_are_recorded_below_it(drive: Driver, tracker: LocalTracker, runs: Runs) -> None:
    app = drive.build(of(Squares(), "squares", tracker, numbers=list(range(20))))
    drive.run(app, halt_after=["squares"])
    tracker.flush(10)

    children = runs.children("parent")

    assert 20 == len(children)
    assert {("parent", "ada", 0)} == {
        (child.spawned_by.app_id, child.spawned_by.partition_key, child.spawned_by.sequence_id)
        for child in children
        if child.spawned_by is not None
    }
    assert {n**2 for n in range(20)} == {
        step.set["square"] for child in children for step in runs.steps(child.app_id, partition_key="ada")
    }
    assert {"done"} == {child.status for child in children}
    assert 21 == len(runs.applications())
    assert set(range(20)) == {runs.state(child.app_id)["number"] for child in children}


def test_the_child_of_a_child_is_recorded(drive: Driver, tracker: LocalTracker, runs: Runs) -> None:
    inner = subgraph(RunnableGraph.create(square), inputs={"number": "n"}, outputs={"result": "square"}, name="inner")
    outer = subgraph(RunnableGraph.create(inner), inputs={"n": "m"}, outputs={"out": "result"}, name="outer")
    app = drive.build(of(outer, "outer", tracker, m=3))
    drive.run(app, halt_after=["outer"])
    tracker.flush(10)

    (child,) = runs.children("parent")
    (grandchild,) = runs.children(child.app_id)

    assert 9 == runs.state(grandchild.app_id)["square"]
    assert ["inner"] == [step.action for step in runs.steps(child.app_id)]


def test_a_child_with_a_tracker_of_its_own_or_none_is_left_to_that(
    drive: Driver, tracker: LocalTracker, runs: Runs, tmp_path: Path
) -> None:
    other = LocalTracker("other", tmp_path / "other")

    class Two(TaskBasedParallelAction):
        reads = ()
        writes = ("done",)

        def tasks(self, state: State[Any], context: ApplicationContext, inputs: Any) -> Any:
            for name, own in (("none", None), ("own", other)):
                graph = RunnableGraph.create(square)
                yield SubGraphTask(graph=graph, state=State({"number": 2}), application_id=name, tracker=own)

        def reduce(self, state: State[Any], states: Any) -> State[Any]:
            return state.update(done=len(list(states)))

    app = drive.build(of(Two(), "two", tracker))
    drive.run(app, halt_after=["two"])
    tracker.flush(10)
    other.close(10)

    assert [] == runs.children("parent")
    assert ["own"] == [child.app_id for child in Runs(tmp_path / "other").children("parent")]


def test_an_application_spawned_by_hand_is_linked(drive: Driver, tracker: LocalTracker, runs: Runs) -> None:
    @action(reads=[], writes=["done"])
    def spawning(state: State[Any], __context: ApplicationContext) -> State[Any]:
        child = of(square, "square", __context.tracker.copy(), number=3).with_identifiers(app_id="child")
        child.with_spawning_parent(__context.app_id, __context.sequence_id, __context.partition_key).build().run(
            halt_after=["square"]
        )
        return state.update(done=True)

    drive.run(drive.build(of(spawning, "spawning", tracker)), halt_after=["spawning"])
    tracker.flush(10)

    assert ["child"] == [child.app_id for child in runs.children("parent", partition_key="ada")]
    assert [] == runs.children("parent", partition_key="bob")


@trace
def look_up(word: str) -> str:
    return word.upper()


def test_spans_and_attributes_are_recorded(drive: Driver, tracker: LocalTracker, runs: Runs) -> None:
    @action(reads=[], writes=["said"])
    def traced(state: State[Any], __tracer: TracerFactory) -> State[Any]:
        __tracer.log_attributes(kind="test")
        with __tracer("outer", span_dependencies=["before"]) as span:
            assert isinstance(span, ActionSpanTracer)
            span.log_attributes(size=3)
            span.log_attributes(name="x")
            look_up("word")
        return state.update(said="x")

    drive.run(drive.build(of(traced, "traced", tracker)), halt_after=["traced"])
    tracker.flush(10)

    step, outer, inner = runs.spans("parent")

    assert (None, {"kind": "test"}, "traced") == (step.uid, step.attributes, step.action)
    assert ("0:0", "outer", {"size": 3, "name": "x"}, ("before",)) == (
        outer.uid,
        outer.name,
        outer.attributes,
        outer.dependencies,
    )
    assert ("0:0.0", "look_up", "0:0") == (inner.uid, inner.name, inner.parent)
    assert outer.seconds is not None
    assert inner.seconds is not None
    assert outer.seconds >= inner.seconds
    assert [] == runs.spans("parent", sequence_id=1)


def test_what_model_calls_used_is_recorded(drive: Driver, tracker: LocalTracker, runs: Runs) -> None:
    used = Usage("m", "openai", input_tokens=10, output_tokens=5, cost=0.5, latency=0.1)

    @action(reads=[], writes=["said"])
    def asking(state: State[Any]) -> State[Any]:
        record(used)
        record(used)
        return state.update(said="x")

    drive.run(drive.build(of(asking, "asking", tracker)), halt_after=["asking"])
    tracker.flush(10)

    (step,) = runs.steps("parent")

    assert (used, used) == step.usages
    assert 30 == step.usage.total_tokens


def test_what_a_choice_used_is_recorded(drive: Driver, tracker: LocalTracker, runs: Runs) -> None:
    used = Usage("m", "openai", input_tokens=10, output_tokens=5, cost=0.5, latency=0.1)

    def choose(state: State[Any]) -> str:
        record(used)
        return "square"

    builder = of(square, "square", tracker, number=2).with_transitions(("square", ["square", END], Select(choose)))
    app = drive.build(builder)
    drive.step(app)
    drive.step(app)
    tracker.flush(10)

    (decision,) = runs.decisions("parent")

    assert (used,) == decision.usages
    assert ("square", 15) == (decision.target, decision.tokens)
