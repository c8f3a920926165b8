"""Persisters of the older shape, whole states by `load` and `save`, plain and async; and one that keeps nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from agentflow import ApplicationBuilder, State, action
from agentflow.errors import AsyncCodeError, BuildError, ConflictError
from agentflow.parallel import MapStates
from agentflow.persistence import DevNullPersister
from tests.drivers import Driver


class Older:
    """Saves as Burr's persisters do; readiness is asked for."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.ready = False

    def initialize(self) -> None:
        self.ready = True

    def is_initialized(self) -> bool:
        return self.ready

    def load(self, partition_key: str, app_id: str | None, sequence_id: int | None = None, **_: Any) -> Any:
        found = [
            row
            for row in self.rows
            if row["app_id"] == app_id and (sequence_id is None or row["sequence_id"] == sequence_id)
        ]
        return found[-1] if found else None

    def save(
        self,
        partition_key: str | None,
        app_id: str,
        sequence_id: int,
        position: str,
        state: State,
        status: str,
        **_: Any,
    ) -> None:
        self.rows.append(
            {
                "partition_key": partition_key,
                "app_id": app_id,
                "sequence_id": sequence_id,
                "position": position,
                "state": state,
                "status": status,
                "created_at": "today",
            }
        )


class OlderAsync:
    """The same, async."""

    def __init__(self) -> None:
        self.inner = Older()

    async def load(self, *args: Any, **options: Any) -> Any:
        await asyncio.sleep(0)
        return self.inner.load(*args, **options)

    async def save(self, *args: Any, **options: Any) -> None:
        await asyncio.sleep(0)
        self.inner.save(*args, **options)


@action(reads=["n"], writes=["n"])
def count(state: State) -> State:
    return state.update(n=state["n"] + 1)


@action(reads=["n"], writes=["n"])
def fail(state: State) -> State:
    if state["n"] == 1:
        raise OSError("out of luck")
    return state.update(n=state["n"] * 10)


def builder(persister: Any, app_id: str = "one", **source: Any) -> ApplicationBuilder:
    made = ApplicationBuilder().with_actions(count, fail).with_transitions(("count", "fail"), ("fail", "count"))
    made.with_state_persister(persister).with_identifiers(app_id=app_id, partition_key="p")
    return made.initialize_from(persister, default_state={"n": 0}, default_entrypoint="count", **source)


def rows(older: Older) -> list[tuple[Any, ...]]:
    return [(row["sequence_id"], row["position"], row["state"]["n"], row["status"]) for row in older.rows]


def test_every_step_is_saved_whole_and_a_failed_one_too(drive: Driver) -> None:
    older = Older()
    app = drive.build(builder(older))
    with pytest.raises(OSError, match="out of luck"):
        drive.run(app)
    assert [(0, "count", 1, "completed"), (1, "fail", 1, "failed")] == rows(older)
    again = drive.build(builder(older))
    assert (0, "fail") == (again.sequence_id, drive.next_action(again).name)
    drive.do(again, "update_state", again.state.update(n=2))
    drive.step(again)
    assert (20, 1, "completed") == (again.state["n"], *(older.rows[-1][key] for key in ("sequence_id", "status")))
    drive.do(again, "refresh")
    assert 20 == again.state["n"]


def test_a_fork_begins_at_a_step_of_another() -> None:
    older = Older()
    builder(older).build().step()
    fork = builder(older, "two", fork_from_app_id="one", fork_from_partition_key="p").build()
    assert (1, 0, "fail") == (fork.state["n"], fork.sequence_id, fork.get_next_action().name)  # type: ignore[union-attr]
    with pytest.raises(ConflictError, match="no application 'nobody' to fork"):
        builder(older, "three", fork_from_app_id="nobody").build()


def test_what_was_never_saved_cannot_be_taken_from_the_store(drive: Driver) -> None:
    with pytest.raises(ConflictError, match="is not in the store: run a step first"):
        drive.do(drive.build(builder(Older())), "refresh")


def test_an_async_one_works_in_async_runs_and_says_so_in_others() -> None:
    older = OlderAsync()

    async def run() -> int:
        app = await builder(older).abuild()
        await app.astep()
        return (await builder(older).abuild()).state["n"]

    assert 1 == asyncio.run(run())
    with pytest.raises(AsyncCodeError):
        builder(older).build()


@action(reads=["n"], writes=["n"], kind="at_most_once")
def send(state: State) -> State:
    raise OSError("the line broke")


@pytest.mark.parametrize("older", [Older(), OlderAsync()], ids=["plain", "async"])
def test_an_action_that_may_run_once_only_cannot_be_saved_there(drive: Driver, older: Any) -> None:
    made = ApplicationBuilder().with_actions(count, send).with_transitions(("count", "send"), ("send", "count"))
    made.with_entrypoint("count").with_state(n=0).with_state_persister(older)
    told = f"'send' may run at most once, and {type(older).__name__} cannot keep that it was begun: save .* SQLitePers"
    with pytest.raises(BuildError, match=told):
        drive.build(made)
    drive.step(drive.build(made.with_state_persister(DevNullPersister())))


def test_a_child_with_such_an_action_cannot_be_saved_there_either(drive: Driver) -> None:
    class Ask(MapStates):
        reads, writes = ("n",), ("n",)

        def action(self, state: State, inputs: dict[str, Any]) -> Any:
            return send

        def states(self, state: State, context: Any, inputs: dict[str, Any]) -> Iterator[State]:
            yield state

        def reduce(self, state: State, states: Iterable[State]) -> State:
            return state.update(n=len(list(states)))

    older = Older()
    made = ApplicationBuilder().with_actions(ask=Ask()).with_entrypoint("ask").with_state(n=0)
    with pytest.raises(BuildError, match="'send' may run at most once, and Older cannot keep that it was begun"):
        drive.step(drive.build(made.with_state_persister(older)))


def test_what_it_loads_is_brought_up_to_date(drive: Driver) -> None:
    older = Older()
    drive.step(drive.build(builder(older)))
    app = drive.build(builder(older, upgrade_state=lambda values: {**values, "n": values["n"] + 6, "new": True}))
    assert {"n": 7, "new": True} == app.state.get_all()


def test_a_loader_that_gives_something_else_is_told() -> None:
    class Wrong(Older):
        def load(self, *args: Any, **options: Any) -> Any:
            return ["a", "list"]

    with pytest.raises(BuildError, match="load\\(\\) of Wrong gave list: return a dict or None"):
        builder(Wrong()).build()


def test_one_that_keeps_nothing_lets_a_run_run(drive: Driver) -> None:
    nothing = DevNullPersister()
    made = ApplicationBuilder().with_actions(count).with_transitions(("count", "count")).with_state(n=0)
    app = drive.build(made.with_entrypoint("count").with_state_persister(nothing).with_identifiers(app_id="one"))
    for _ in range(3):
        drive.step(app)
    assert (3, None) == (app.state["n"], nothing.load(None, "one"))
