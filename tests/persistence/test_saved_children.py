"""Children of a saved application: each is saved under its own id, finishes once, and only the unfinished run again."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from agentflow import ApplicationBuilder, GraphBuilder, State, action
from agentflow.parallel import MapStates, RunnableGraph, SubGraphTask, TaskBasedParallelAction, subgraph
from agentflow.persistence import InMemoryPersister, Persister
from tests.drivers import Driver


class Lives:
    """What runs, and what is to fail, as the outside world of a test."""

    def __init__(self) -> None:
        self.ran: Counter[str] = Counter()
        self.failing: set[str] = set()

    def touch(self, name: str) -> None:
        self.ran[name] += 1
        if name in self.failing:
            raise OSError(f"{name} is broken")


def over_names(lives: Lives, names: list[str], **declared: Any) -> Any:
    @action(reads=["name"], writes=["half"])
    def first(state: State) -> State:
        lives.touch(f"first {state['name']}")
        return state.update(half=state["name"] * 2)

    @action(reads=["half"], writes=["whole"])
    def second(state: State) -> State:
        lives.touch(f"second {state['half']}")
        return state.update(whole=state["half"] * 2)

    graph = GraphBuilder().with_actions(first, second).with_transitions(("first", "second")).build()

    class Each(MapStates):
        reads = ["round"]
        writes = ["all", "round"]

        def action(self) -> Any:
            return RunnableGraph(graph, "first", ["second"])

        def states(self, state: State) -> Any:
            for name in names:
                yield State({"name": name})

        def reduce(self, state: State, states: Any) -> State:
            return state.update(all=[each["whole"] for each in states], round=state["round"] + 1)

    for name, value in declared.items():
        setattr(Each, name, value)
    return Each


def application(persister: Persister | None, each: Any) -> ApplicationBuilder:
    made = ApplicationBuilder().with_actions(each=each).with_transitions(("each", "each"))
    return (
        made.with_state_persister(persister)
        .initialize_from(persister, default_state={"round": 0}, default_entrypoint="each")
        .with_identifiers(app_id="parent", partition_key="p")
    )


def test_after_a_crash_only_what_had_not_finished_runs_again(drive: Driver, persister: Persister) -> None:
    lives = Lives()
    each = over_names(lives, ["a", "b", "c"])
    lives.failing = {"second bb"}
    with pytest.raises(OSError, match="second bb is broken"):
        drive.step(drive.build(application(persister, each(max_concurrency=1))))
    lives.failing = set()
    app = drive.build(application(persister, each(max_concurrency=1)))  # nothing is remembered in memory
    drive.step(app)
    assert ["aaaa", "bbbb", "cccc"] == app.state["all"]
    expected = {"first a": 1, "second aa": 1, "first b": 1, "second bb": 2, "first c": 1, "second cc": 1}
    assert expected == lives.ran


def test_the_next_visit_has_children_of_its_own(drive: Driver, persister: Persister) -> None:
    lives = Lives()
    for _ in range(3):
        drive.step(drive.build(application(persister, over_names(lives, ["a", "b"])())))
    children = [head for head in persister.applications() if head.spawn is not None]
    assert (6, 3) == (len(children), lives.ran["first a"])
    assert Counter({0: 2, 1: 2, 2: 2}) == Counter(head.spawn and head.spawn.sequence_id for head in children)
    assert {"halted"} == {head.status for head in children}


def test_a_child_that_starts_from_other_values_starts_anew(drive: Driver, persister: Persister) -> None:
    lives = Lives()
    lives.failing = {"second bb"}
    with pytest.raises(OSError, match="second bb is broken"):
        drive.step(drive.build(application(persister, over_names(lives, ["a", "b"])(max_concurrency=1))))
    app = drive.build(application(persister, over_names(lives, ["x", "y"])(max_concurrency=1)))
    drive.step(app)
    assert ["xxxx", "yyyy"] == app.state["all"]


def test_children_go_with_their_parent(drive: Driver, persister: Persister) -> None:
    drive.step(drive.build(application(persister, over_names(Lives(), ["a", "b"])())))
    assert 3 == len(persister.list_app_ids("p"))
    persister.delete("parent", "p")
    assert [] == persister.list_app_ids()


@pytest.mark.parametrize(("given", "parents", "own"), [(None, 1, 0), ("own", 1, 2)])
def test_a_child_can_refuse_its_parents_persister_or_replace_it(
    drive: Driver, persister: Persister, given: str | None, parents: int, own: int
) -> None:
    @action(reads=[], writes=["done"])
    def work(state: State) -> State:
        return state.update(done=True)

    other = InMemoryPersister()

    class Both(TaskBasedParallelAction):
        reads = ["round"]
        writes = ["round"]

        def tasks(self, state: State, context: Any) -> Any:
            for key in ("a", "b"):
                yield SubGraphTask(
                    action=work, state=State({}), key=key, state_persister=other if given == "own" else None
                )

        def reduce(self, state: State, states: Any) -> State:
            return state.update(round=len(list(states)))

    drive.step(drive.build(application(persister, Both())))
    assert (parents, own) == (len(persister.list_app_ids()), len(other.list_app_ids()))


def test_a_subgraph_that_had_finished_is_not_run_again(drive: Driver, persister: Persister) -> None:
    lives = Lives()

    @action(reads=["topic"], writes=["found"])
    def search(state: State) -> State:
        lives.touch("search")
        return state.update(found=f"all about {state['topic']}")

    inner = GraphBuilder().with_actions(search).build()

    @action(reads=["found"], writes=["text"])
    def write(state: State) -> State:
        lives.touch("write")
        return state.update(text=state["found"].upper())

    def make() -> ApplicationBuilder:
        research = subgraph(inner, "search", "search", inputs=["topic"], outputs=["found"], name="research")
        made = ApplicationBuilder().with_actions(research, write).with_transitions(("research", "write"))
        made.with_state_persister(persister).with_identifiers(app_id="parent")
        return made.initialize_from(persister, default_state={"topic": "cats"}, default_entrypoint="research")

    lives.failing = {"write"}
    with pytest.raises(OSError, match="write is broken"):
        drive.run(drive.build(make()))
    lives.failing = set()
    app = drive.build(make())
    drive.run(app)
    assert ("ALL ABOUT CATS", {"search": 1, "write": 2}) == (app.state["text"], lives.ran)
