"""What saves, loads and records the children of a map: what its class says of all of them, or a task of itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agentflow import ApplicationBuilder, GraphBuilder, State, action
from agentflow.errors import BuildError
from agentflow.parallel import MapActions, MapStates, RunnableGraph, SubGraphTask, TaskBasedParallelAction
from agentflow.persistence import SQLitePersister
from tests.drivers import Driver


@action(reads=["name"], writes=["half"])
def first(state: State) -> State:
    return state.update(half=state["name"] * 2)


@action(reads=["half"], writes=["whole"])
def second(state: State) -> State:
    return state.update(whole=state["half"] * 2)


HALVES = GraphBuilder().with_actions(first, second).with_transitions(("first", "second")).build()


class Each(MapStates):
    reads = ["names"]
    writes = ["all"]

    def action(self) -> Any:
        return RunnableGraph(HALVES, "first", ["second"])

    def states(self, state: State) -> Any:
        for name in state["names"]:
            yield State({"name": name})

    def reduce(self, state: State, states: Any) -> State:
        return state.update(all=[each["whole"] for each in states])


def parent_of(each: Any, persister: SQLitePersister) -> ApplicationBuilder:
    made = ApplicationBuilder().with_actions(each=each).with_transitions(("each", "each"))
    made.with_state_persister(persister).with_identifiers(app_id="parent", partition_key="p")
    return made.initialize_from(persister, default_state={"names": ["a", "b"]}, default_entrypoint="each")


@pytest.fixture
def stores(tmp_path: Path) -> Any:
    with SQLitePersister(tmp_path / "parents.db") as parents, SQLitePersister(tmp_path / "own.db") as own:
        yield parents, own


def saved(stores: Any) -> tuple[int, int]:
    return len(stores[0].list_app_ids()), len(stores[1].list_app_ids())


@pytest.mark.parametrize("name", ["state_persister", "persister"])
@pytest.mark.parametrize(("given", "expected"), [("cascade", (3, 0)), (None, (1, 0)), ("own", (1, 2))])
def test_a_map_says_what_saves_its_children(
    drive: Driver, stores: Any, name: str, given: str | None, expected: tuple[int, int]
) -> None:
    def written(self: Any) -> Any:
        return stores[1] if given == "own" else given

    made = type("Saved", (Each,), {name: written})
    app = drive.build(parent_of(made(), stores[0]))
    drive.step(app)
    assert (["aaaa", "bbbb"], expected) == (app.state["all"], saved(stores))


def test_a_map_that_does_not_persist_saves_no_child_whatever_else_it_says(drive: Driver, stores: Any) -> None:
    class Own(Each):
        def state_persister(self, **kwargs: Any) -> Any:
            return stores[1]

    drive.step(drive.build(parent_of(Own(persist=False), stores[0])))
    drive.step(drive.build(parent_of(Each(persist=False), stores[0])))
    assert (1, 0) == saved(stores)


def test_the_methods_get_the_context_once_a_visit(drive: Driver, stores: Any) -> None:
    asked: list[tuple[str, str, int | None]] = []
    created: list[str] = []

    class Recorder:
        def post_application_create(self, *, app_id: str, **more: Any) -> None:
            created.append(app_id)

    class Own(Each):
        def state_persister(self, context: Any) -> Any:
            asked.append(("persister", context.app_id, context.sequence_id))
            return stores[1]

        def state_initializer(self, **kwargs: Any) -> Any:
            asked.append(("initializer", kwargs["context"].app_id, kwargs["context"].sequence_id))
            return "cascade"

        def tracker(self, context: Any) -> Any:
            asked.append(("tracker", context.app_id, context.sequence_id))
            return Recorder()

    app = drive.build(parent_of(Own(), stores[0]))
    drive.step(app)
    drive.step(app)
    expected = {(name, "parent", visit) for name in ("persister", "initializer", "tracker") for visit in (0, 1)}
    assert (6, expected) == (len(asked), set(asked))
    assert sorted(stores[1].list_app_ids()) == sorted(created)
    assert (1, 4) == saved(stores)


def test_what_a_task_says_itself_counts_for_more(drive: Driver, stores: Any) -> None:
    class Tasks(TaskBasedParallelAction):
        reads = ["names"]
        writes = ["all"]

        def tasks(self, state: State) -> Any:
            for number, given in enumerate(("cascade", None, stores[0])):
                child = State({"name": str(number)})
                yield SubGraphTask(RunnableGraph(HALVES, "first"), state=child, state_persister=given)

        def state_persister(self) -> Any:
            return stores[1]

        def reduce(self, state: State, states: Any) -> State:
            return state.update(all=[each["whole"] for each in states])

    drive.step(drive.build(parent_of(Tasks(), stores[0])))
    assert (2, 1) == saved(stores)


def test_children_begin_where_an_initializer_of_their_own_has_them(drive: Driver, stores: Any) -> None:
    parents, own = stores
    for app_id, halts in (("x", ["first"]), ("y", ["second"])):
        made = ApplicationBuilder().with_graph(HALVES).with_entrypoint("first").with_state(name=app_id)
        made.with_state_persister(own).with_identifiers(app_id=app_id, partition_key="p")
        drive.run(drive.build(made), halt_after=halts)
    before = [own.load("p", app_id)["sequence_id"] for app_id in ("x", "y")]

    class Continuing(TaskBasedParallelAction):
        reads = ["names"]
        writes = ["all"]

        def tasks(self, state: State) -> Any:
            for app_id in ("x", "y", "z"):
                runnable = RunnableGraph(HALVES, "first", ["second"])
                yield SubGraphTask(runnable, state=State({"name": "new"}), application_id=app_id, key=app_id)

        def state_initializer(self, context: Any) -> Any:
            return own

        def reduce(self, state: State, states: Any) -> State:
            return state.update(all=[each["whole"] for each in states])

    for persist in (True, False):
        app = drive.build(parent_of(Continuing(persist=persist), parents))
        drive.step(app)
        assert ["xxxx", "yyyy", "newnewnewnew"] == app.state["all"]
    assert before == [own.load("p", app_id)["sequence_id"] for app_id in ("x", "y")]
    assert [1, 1, 1] == [parents.load("p", app_id)["sequence_id"] for app_id in ("x", "y", "z")]


def test_an_initializer_of_none_starts_children_anew(drive: Driver, stores: Any) -> None:
    runs: list[str] = []

    @action(reads=["name"], writes=["whole"])
    def work(state: State) -> State:
        runs.append(state["name"])
        if len(runs) == 2:
            raise OSError("broken")
        return state.update(whole=state["name"])

    class Anew(Each):
        def action(self) -> Any:
            return work

        def state_initializer(self) -> Any:
            return None

    with pytest.raises(OSError, match="broken"):
        drive.step(drive.build(parent_of(Anew(max_concurrency=1), stores[0])))
    drive.step(drive.build(parent_of(Anew(max_concurrency=1), stores[0])))
    assert ["a", "b", "a", "b"] == runs


def test_the_maps_over_actions_say_it_too(drive: Driver, stores: Any) -> None:
    class Ways(MapActions):
        reads = ["names"]
        writes = ["all"]

        def actions(self) -> Any:
            return [long, short]

        def state_persister(self) -> Any:
            return stores[1]

        def reduce(self, state: State, states: Any) -> State:
            return state.update(all=[each["whole"] for each in states])

    @action(reads=["names"], writes=["whole"])
    def long(state: State) -> State:
        return state.update(whole="long")

    @action(reads=["names"], writes=["whole"])
    def short(state: State) -> State:
        return state.update(whole="short")

    drive.step(drive.build(parent_of(Ways(), stores[0])))
    assert (1, 2) == saved(stores)


@pytest.mark.parametrize("name", ["state_persister", "state_initializer"])
def test_what_cannot_save_or_load_is_refused_by_name(drive: Driver, stores: Any, name: str) -> None:
    made = type("Wrong", (Each,), {name: lambda self: 5})
    with pytest.raises(BuildError, match=r"takes a persister, such as SQLitePersister\('agents.db'\), not 5"):
        drive.step(drive.build(parent_of(made(), stores[0])))
