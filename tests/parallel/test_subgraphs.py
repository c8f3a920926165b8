"""A graph as one action of another: what goes in, what comes out, to any depth."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

from agentflow import ApplicationBuilder, ApplicationContext, GraphBuilder, State, action, get_active_context
from agentflow.errors import BuildError, UnknownNameError
from agentflow.parallel import RunnableGraph, subgraph
from agentflow.usage import Usage, record
from tests.drivers import Driver


@action(reads=["text"], writes=["words"])
def split(state: State) -> State:
    """Split a text."""
    return state.update(words=state["text"].split())


@action(reads=["words"], writes=["count"])
def count(state: State, factor: int = 1) -> State:
    record(Usage("model", "provider", 1, 2))
    return state.update(count=len(state["words"]) * factor)


GRAPH = GraphBuilder().with_actions(split, count).with_transitions(("split", "count")).build()


def application(made: Any, **state: Any) -> Any:
    return ApplicationBuilder().with_actions(work=made).with_entrypoint("work").with_state(**state).build()


def test_keys_are_mapped_in_and_out(drive: Driver) -> None:
    made = subgraph(GRAPH, "split", "count", inputs={"text": "question"}, outputs={"length": "count"})
    action_done, result, state = drive.run(application(made, question="a b c"))
    assert ("work", {"length": 3}) == (action_done.name, result)
    assert {"question": "a b c", "length": 3} == dict(state)


def test_a_list_maps_each_key_to_itself_and_inputs_are_passed_on(drive: Driver) -> None:
    made = subgraph(RunnableGraph(GRAPH, "split"), inputs=["text"], outputs=["count"])
    assert 20 == drive.run(application(made, text="a b"), inputs={"factor": 10})[2]["count"]


def test_it_counts_what_its_models_used_as_its_own(drive: Driver) -> None:
    app = application(subgraph(GRAPH, "split", inputs=["text"], outputs=["count"]), text="a")
    drive.run(app)
    assert {"work": Usage("model", "provider", 1, 2)} == app.usage_by_action


@pytest.mark.parametrize("fails", [False, True])
def test_when_it_has_ended_its_parents_step_runs_again(drive: Driver, fails: bool) -> None:
    def look(state: State) -> State:
        if fails:
            raise ValueError("no")
        return state.update(count=1)

    async def alook(state: State) -> State:
        return look(state)

    seen: list[Any] = []

    class Watch:
        def post_run_step(self, *, context: ApplicationContext, **facts: Any) -> None:
            seen.append(get_active_context() is context)

    made = action(reads=[], writes=["count"])(alook if drive.colour == "async" else look)
    work = subgraph(RunnableGraph.create(made), outputs=["count"])
    app = ApplicationBuilder().with_actions(work=work).with_entrypoint("work").with_hooks(Watch()).build()
    with pytest.raises(ValueError, match="no") if fails else contextlib.nullcontext():
        drive.step(app)
    assert [fails] == seen  # a hook is told within the step of a failure, and after that of a success


def test_it_is_described_by_what_it_starts_with() -> None:
    assert "Split a text." == subgraph(GRAPH, "split").description


def test_nested_to_any_depth_each_child_knows_its_parent(drive: Driver) -> None:
    chain: list[tuple[Any, Any]] = []

    @action(reads=["depth"], writes=["depth"])
    def leaf(state: State, context: ApplicationContext) -> State:
        chain.append((context.app_id, get_active_context() is context))
        return state.update(depth=state["depth"] + 1)

    made: Any = leaf
    for _ in range(10):
        graph = GraphBuilder().with_actions(inner=made).build()
        made = subgraph(graph, "inner", inputs=["depth"], outputs=["depth"])
    app = application(made, depth=0)
    assert 1 == drive.run(app)[2]["depth"]
    assert [True] == [is_own for _, is_own in chain]
    assert chain[0][0] != app.app_id


def test_a_child_has_the_same_id_on_a_retry_and_another_at_the_next_visit(drive: Driver) -> None:
    ids: list[str] = []

    @action(reads=[], writes=[])
    def child(state: State, context: ApplicationContext) -> State:
        ids.append(context.app_id)
        if len(ids) == 1:
            raise OSError("once")
        return state

    graph = GraphBuilder().with_actions(child).build()
    app = (
        ApplicationBuilder()
        .with_actions(work=subgraph(graph, "child"))
        .with_transitions(("work", "work"))
        .with_entrypoint("work")
        .build()
    )
    with pytest.raises(OSError, match="once"):
        drive.step(app)
    drive.step(app)
    drive.step(app)
    first, retried, next_visit = ids
    assert first == retried
    assert retried != next_visit


def test_what_is_wrong_is_said_when_it_is_made() -> None:
    with pytest.raises(BuildError, match="has no entrypoint"):
        subgraph(GRAPH)
    with pytest.raises(UnknownNameError, match="RunnableGraph names 'splot', no action of it. Did you mean 'split'"):
        subgraph(GRAPH, "splot")
    with pytest.raises(UnknownNameError, match="'cuont'"):
        RunnableGraph(GRAPH, "split", "cuont")
