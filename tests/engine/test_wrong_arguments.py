"""What a running verb is given is checked before anything runs, and a wrong thing is named together with the remedy."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest

from agentflow import Application, ApplicationBuilder, Budget, State, action, when
from agentflow.errors import AgentflowError, BuildError, InputError, ResultError, UnknownNameError
from tests.drivers import Driver


@action(reads=["n"], writes=["n"])
def one(state: State, by: int = 1) -> State:
    return state.increment(n=by)


@action(reads=["n"], writes=["n"])
def two(state: State) -> State:
    return state.increment(n=1)


def loop() -> Application:
    return (
        ApplicationBuilder()
        .with_actions(one, two)
        .with_transitions(("one", "two"), ("two", "one"))
        .with_entrypoint("one")
        .with_state(n=0)
        .build()
    )


async def enough(state: State) -> bool:
    return bool(state["n"] > 3)


@pytest.mark.parametrize("halt", [two, [two], ("two", two)])
def test_an_action_stands_for_its_name(drive: Driver, halt: Any) -> None:
    app = loop()
    assert "two" == drive.run(app, halt_after=halt)[0].name
    assert "two" == drive.run(app, halt_before=halt)[0].name
    assert 3 == app.state["n"]


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"halt_after": [3]}, UnknownNameError, "^cannot halt at 3, which is no action: pass its name, or the action"),
        ({"halt_before": 3}, UnknownNameError, "^cannot halt at 3, which is no action"),
        ({"halt_after": loop}, UnknownNameError, "^cannot halt at <function loop.*which is no action"),
        ({"halt_when": enough}, BuildError, "^halt_when='enough' is async, .*: make it a plain def"),
        ({"budget": 0.05}, BuildError, r"^budget=0.05 is no budget: pass one, such as budget=Budget\(usd=0.05\).$"),
        ({"budget": {"usd": 1}}, BuildError, "^budget={'usd': 1} is no budget"),
        ({"max_steps": "a"}, BuildError, "^max_steps='a' allows no step: give a whole number from 1, or None"),
        ({"max_steps": 0}, BuildError, "^max_steps=0 allows no step"),
        ({"max_steps": -1}, BuildError, "^max_steps=-1 allows no step"),
        ({"inputs": [1]}, InputError, r"^inputs=\[1\] is no mapping of names: pass inputs={name: value}.$"),
        ({"inputs": {1: 2}}, InputError, "^inputs={1: 2} is no mapping of names"),
    ],
)
def test_a_wrong_argument_is_named_before_anything_runs(
    drive: Driver, options: dict[str, Any], kind: type[AgentflowError], message: str
) -> None:
    app = loop()
    with pytest.raises(kind, match=message):
        drive.run(app, **options)
    assert app.sequence_id is None


def test_a_step_checks_its_inputs(drive: Driver) -> None:
    with pytest.raises(InputError, match="is no mapping of names"):
        drive.step(loop(), inputs=[1])


def test_a_limit_that_is_no_number_is_refused() -> None:
    with pytest.raises(BuildError, match=r"^Budget\(usd='1'\) is no number: give a positive number, or None"):
        Budget(usd="1")  # type: ignore[arg-type]


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_condition_that_has_to_be_awaited_never_counts_as_true(drive: Driver, wrapped: bool) -> None:
    def looks_plain(state: State) -> Awaitable[bool]:
        return enough(state)

    with pytest.raises(ResultError, match="looks_plain' gave something to be awaited: make what it calls plain"):
        drive.run(loop(), halt_when=when(looks_plain) if wrapped else looks_plain)


def test_whatever_can_be_awaited_is_refused() -> None:
    async def main() -> None:
        future = asyncio.get_running_loop().create_future()
        future.set_result(False)
        await loop().arun(halt_when=lambda state: future)

    with pytest.raises(ResultError, match="gave something to be awaited"):
        asyncio.run(main())
