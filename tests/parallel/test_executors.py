"""Children in other processes, and what is said when they cannot go there."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from types import ModuleType
from typing import Any

import pytest

from agentflow import ApplicationBuilder, State, action, expr, when
from agentflow.actions.absent import AbsentAction
from agentflow.errors import BuildError, RunError, SerializationError
from agentflow.parallel import MapStates
from tests.parallel import remote_actions


@pytest.fixture(scope="module")
def pool() -> Iterator[ProcessPoolExecutor]:
    with ProcessPoolExecutor(max_workers=2, mp_context=get_context("spawn")) as made:
        yield made


def squares_of(child: Any, pool: Any) -> Any:
    class Squares(MapStates):
        reads = ["numbers"]
        writes = ["squares", "processes"]

        def action(self) -> Any:
            return child

        def states(self, state: State) -> Iterator[State]:
            for number in state["numbers"]:
                yield state.update(number=number)

        def executor(self) -> Any:
            return pool

        def reduce(self, state: State, states: Any) -> State:
            found = list(states)
            return state.update(
                squares=[each["square"] for each in found], processes={each.get("process") for each in found}
            )

    return (
        ApplicationBuilder().with_actions(work=Squares()).with_entrypoint("work").with_state(numbers=[1, 2, 3]).build()
    )


def test_children_run_in_other_processes(pool: ProcessPoolExecutor) -> None:
    _, _, state = squares_of(remote_actions.square.bind(offset=1).with_name("renamed"), pool).run()
    assert [2, 5, 10] == state["squares"]
    assert os.getpid() not in state["processes"]


def test_an_error_that_cannot_be_sent_back_leaves_the_pool_alive(pool: ProcessPoolExecutor) -> None:
    with pytest.raises(RunError, match="Unsendable: a and b"):
        squares_of(remote_actions.refuse, pool).run()
    assert [1, 4, 9] == squares_of(remote_actions.square, pool).run()[2]["squares"]


def test_an_action_that_cannot_be_sent_is_explained(pool: ProcessPoolExecutor) -> None:
    @action(reads=["number"], writes=["square"])
    def local(state: State) -> State:
        return state.update(square=0)

    with pytest.raises(
        SerializationError, match="could not send the task '0-0' to another process.*top level of a module"
    ):
        squares_of(local, pool).run()


def module_here_alone(monkeypatch: pytest.MonkeyPatch, name: str) -> Any:
    """A module that this process has and the pool's cannot import, with an action of its own."""

    def square(state: State) -> State:
        return state.update(square=state["number"] ** 2)

    square.__module__, square.__qualname__ = name, "square"
    module: Any = ModuleType(name)
    module.square = action(reads=["number"], writes=["square"])(square)
    monkeypatch.setitem(sys.modules, name, module)
    return module.square


def test_an_action_that_a_worker_cannot_import_is_explained_and_leaves_the_pool_alive(
    pool: ProcessPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SerializationError, match="'square' cannot be found.*No module named 'only_here'.*PYTHONPATH"):
        squares_of(module_here_alone(monkeypatch, "only_here"), pool).run()
    assert [1, 4, 9] == squares_of(remote_actions.square, pool).run()[2]["squares"]


def test_an_action_that_a_worker_has_no_name_for_is_explained(
    pool: ProcessPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def later(state: State) -> State:
        return state.update(square=0)

    later.__module__, later.__qualname__ = remote_actions.__name__, "later"
    monkeypatch.setattr(remote_actions, "later", action(reads=["number"], writes=["square"])(later), raising=False)
    with pytest.raises(SerializationError, match=r"'later' cannot be found.*'tests.parallel.remote_actions' has no"):
        squares_of(remote_actions.later, pool).run()  # type: ignore[attr-defined]


def test_an_absent_action_keeps_its_error_for_whoever_performs_it() -> None:
    absent = AbsentAction("draft", "the module 'gone' has no action 'draft' there")
    app = ApplicationBuilder().with_actions(absent).with_entrypoint("draft").build()
    with pytest.raises(SerializationError, match="action 'draft' cannot be found"):
        app.step()
    assert "the module 'gone' has no action 'draft' there" == absent.description


def test_workers_that_died_are_explained() -> None:
    with (
        ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as made,
        pytest.raises(RunError, match="the executor broke while it had the task '0-[012]'.*a new executor") as caught,
    ):
        squares_of(remote_actions.die, made).run()
    assert isinstance(caught.value.__cause__, BrokenProcessPool)


def test_a_pool_that_had_died_before_is_explained_too() -> None:
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as made:
        for _ in range(2):
            with pytest.raises(RunError, match="the executor broke while it had the task"):
                squares_of(remote_actions.die, made).run()


def test_what_is_no_executor_is_refused() -> None:
    with pytest.raises(BuildError, match="'no pool' is no executor|is no executor: pass"):
        squares_of(remote_actions.square, lambda: "no pool").run()


@pytest.mark.parametrize("kind", [ThreadPoolExecutor, ProcessPoolExecutor])
def test_one_that_was_shut_down_is_refused(kind: Any) -> None:
    made = kind(1)
    made.shutdown()
    with pytest.raises(RunError, match="the executor was shut down before it was given its children: give one that is"):
        squares_of(remote_actions.square, made).run()


def test_conditions_survive_the_journey() -> None:
    import pickle

    for condition in (when(a=1), when(a=1, b=2), expr("a == 1 and b == 2"), ~when(a=2) & (when(b=2) | expr("a > 9"))):
        copied = pickle.loads(pickle.dumps(condition))
        assert (condition.name, True) == (copied.name, copied.evaluate(State({"a": 1, "b": 2})))
