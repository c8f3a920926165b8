"""Hooks: every moment, in a defined order, with the facts each listener declares."""

from __future__ import annotations

import json
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from agentflow import ApplicationBuilder, State, action, hooks
from agentflow.errors import AsyncCodeError, BuildError
from agentflow.hooks import (
    MOMENTS,
    NO_HOOKS,
    AsyncSlowDownHook,
    HookSet,
    PostRunStepHook,
    PreRunStepHook,
    SlowDownHook,
    StateAndResultsFullLogger,
    fire,
)
from agentflow.runtime import ASYNC, BLOCKING, run_blocking
from tests.drivers import Driver


class Before:
    def __init__(self, told: list[Any], name: str) -> None:
        self.told, self.name = told, name

    def pre_run_step(self, **facts: Any) -> None:
        self.told.append(f"pre {self.name}")

    def post_run_step(self, *, action: Any, state: State) -> None:
        self.told.append(f"post {self.name} {action.name} {state['n']}")


class Later:
    async def post_run_step(self, sequence_id: int, **future_kwargs: Any) -> None:
        future_kwargs["app_id"]

    def pre_run_step(self) -> None:
        """Wants no fact."""


class Everything:
    """A listener to every moment."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if name not in MOMENTS:
            raise AttributeError(name)
        return lambda **facts: self.told.append(name)


@action(reads=["n"], writes=["n"])
def count(state: State) -> State:
    return state.increment(n=1)


def app_of(drive: Driver, *hooks: Any) -> Any:
    builder = ApplicationBuilder().with_actions(count).with_entrypoint("count").with_state(n=0).with_hooks(*hooks)
    return drive.build(builder)


def test_hooks_before_run_in_order_and_hooks_after_in_reverse(drive: Driver) -> None:
    told: list[Any] = []
    drive.step(app_of(drive, Before(told, "one"), Before(told, "two")))
    assert ["pre one", "pre two", "post two count 1", "post one count 1"] == told


def test_an_error_in_a_hook_reaches_the_caller_and_the_step_stays(drive: Driver) -> None:
    class Broken:
        def post_run_step(self) -> None:
            raise ValueError("broken hook")

    app = app_of(drive, Broken())
    with pytest.raises(ValueError, match="broken hook"):
        drive.step(app)
    assert (1, 0) == (app.state["n"], app.sequence_id)


def test_an_async_hook_needs_an_async_verb(drive: Driver) -> None:
    app = app_of(drive, Later())
    if drive.colour == "async":
        assert {"n": 1} == drive.step(app)[2]
        return
    with pytest.raises(AsyncCodeError) as caught:
        drive.step(app)
    assert (
        "the hook Later.post_run_step is async: use the async verb (astep, aiterate, arun) or make it a plain def."
    ) == str(caught.value)
    assert {"n": 0} == app.state


def test_a_run_comes_to_the_moments_in_their_order(drive: Driver) -> None:
    hook = Everything()
    app = app_of(drive, hook)
    drive.run(app, halt_after=["count"])
    app.update_state(State({"n": 5}))
    assert [
        "post_application_create",
        "pre_run_execute_call",
        "pre_run_step",
        "post_run_step",
        "post_run_execute_call",
        "post_update_state",
    ] == [moment for moment in hook.told if moment != "post_decide"]


class TestHookSet:
    def test_nobody_listens_to_nothing(self) -> None:
        assert [()] * len(MOMENTS) == [getattr(NO_HOOKS, moment) for moment in MOMENTS]
        assert None is NO_HOOKS.first_async

    def test_only_those_who_listen_are_called(self) -> None:
        found = HookSet([Before([], "one"), Later()])
        assert {"pre_run_step": 2, "post_run_step": 2} == {
            moment: len(getattr(found, moment)) for moment in MOMENTS if getattr(found, moment)
        }
        assert "Later.post_run_step" == found.first_async

    @pytest.mark.parametrize("wrong", [3, object(), Before, None])
    def test_what_listens_to_nothing_is_refused(self, wrong: Any) -> None:
        with pytest.raises(BuildError, match="is no hook: pass an object with a method such as post_run_step"):
            HookSet([wrong])

    def test_a_listener_is_given_the_facts_it_declares(self) -> None:
        told: list[Any] = []

        class Some:
            def post_decide(self, decision: int, more: int = 7) -> None:
                told.append((decision, more))

        class All:
            def post_decide(self, decision: int, **future_kwargs: Any) -> None:
                told.append((decision, future_kwargs))

        run_blocking(fire(BLOCKING, HookSet([Some(), All()]).post_decide, decision=1, state=2))
        assert [(1, {"state": 2}), (1, 7)] == told

    def test_a_refusal_names_the_listener(self) -> None:
        class Waiting:
            async def post_decide(self, decision: int) -> None: ...

        with pytest.raises(AsyncCodeError, match="Waiting.post_decide' is async"):
            run_blocking(fire(BLOCKING, HookSet([Waiting()]).post_decide, decision=1))

    async def test_both_colours_of_listeners_run_in_an_async_run(self) -> None:
        told: list[Any] = []

        class Waiting:
            async def post_decide(self, decision: int) -> None:
                told.append(decision)

        class Plain:
            def post_decide(self, decision: int) -> None:
                told.append(-decision)

        await fire(ASYNC, HookSet([Waiting(), Plain()]).post_decide, decision=1)
        assert [-1, 1] == told

    def test_protocols_tell_who_listens_to_what(self) -> None:
        hook = Before([], "one")
        assert (True, True) == (isinstance(hook, PreRunStepHook), isinstance(hook, PostRunStepHook))
        assert not isinstance(object(), PreRunStepHook)


class TestReadyHooks:
    def test_a_full_log_holds_a_line_for_each_step(self, drive: Driver, tmp_path: Path) -> None:
        @action(reads=["n"], writes=["n"])
        def add(state: State, by: int) -> tuple[dict[str, Any], State]:
            return {"added": 10 // by}, state.update(n=[add])

        path = tmp_path / "run.jsonl"
        path.write_text("old\n")
        hook = StateAndResultsFullLogger(path, mode="w", default_handler=lambda value: "something")
        builder = ApplicationBuilder().with_actions(add).with_transitions(("add", "add")).with_entrypoint("add")
        app = drive.build(builder.with_state(n=0).with_hooks(hook).with_identifiers("a"))
        drive.step(app, inputs={"by": 5})
        with pytest.raises(ZeroDivisionError):
            drive.step(app, inputs={"by": 0})
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        assert [True, True] == [bool(datetime.fromisoformat(line.pop("time")).tzinfo) for line in lines]
        common = {"app_id": "a", "action": "add", "state": {"n": ["something"]}}
        assert [
            common | {"sequence_id": 0, "inputs": {"by": 5}, "result": {"added": 2}, "exception": None},
            common
            | {
                "sequence_id": 1,
                "inputs": {"by": 0},
                "result": None,
                "exception": "ZeroDivisionError('integer division or modulo by zero')",
            },
        ] == lines
        assert 2 == len(path.read_text().splitlines())
        StateAndResultsFullLogger(path)
        assert 2 == len(path.read_text().splitlines())

    def test_a_log_is_written_in_one_of_two_ways(self, tmp_path: Path) -> None:
        with pytest.raises(BuildError, match="^mode='x' is no way to write a log: use 'append' or 'w'.$"):
            StateAndResultsFullLogger(tmp_path / "run.jsonl", mode="x")

    def test_a_brake_waits_before_and_after_each_step(self, drive: Driver) -> None:
        kind = SlowDownHook if drive.colour == "blocking" else AsyncSlowDownHook
        app = app_of(drive, kind(0.01, 0.02))
        started = time.monotonic()
        drive.step(app)
        assert time.monotonic() - started >= 0.03

    def test_what_is_not_there_is_an_attribute_error(self) -> None:
        with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
            hooks.Nothing  # noqa: B018
