"""An action some of whose inputs come from each child's state stays otherwise what it was."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from agentflow import Action, ApplicationBuilder, GraphBuilder, State, StreamingAction, action, streaming_action
from agentflow.parallel import MapActions, bind_from_state, subgraph
from tests.drivers import Driver


class Ask(Action):
    """Ask a model."""

    reads: Any = []
    writes: Any = ["answer"]
    inputs: Any = ["model", "temperature"]

    def run(self, state: State, /, **inputs: Any) -> dict[str, Any]:
        return {"answer": f"{inputs['model']} at {inputs['temperature']}"}

    def update(self, result: Any, state: State, /) -> State:
        return state.update(**result)


@action(reads=[], writes=["answer"])
def ask(state: State, model: str, temperature: int) -> State:
    return state.update(answer=f"{model} at {temperature}")


def asked_inside() -> Action:
    return subgraph(GraphBuilder().with_actions(ask).build(), "ask", outputs=["answer"])


@pytest.mark.parametrize("make", [Ask, lambda: ask, asked_inside], ids=["class", "function", "subgraph"])
def test_the_inputs_that_are_left_are_still_taken(drive: Driver, make: Any) -> None:
    class AskOne(MapActions):
        reads = ["model"]
        writes = ["answer"]

        def actions(self) -> Any:
            return [(bind_from_state(make(), model="model"), {"temperature": 2})]

        def reduce(self, state: State, states: Any) -> State:
            return state.update(answer=states[0]["answer"])

    app = ApplicationBuilder().with_actions(ask=AskOne()).with_entrypoint("ask").with_state(model="small").build()
    assert "small at 2" == drive.run(app)[2]["answer"]


@streaming_action(reads=[], writes=[])
def count(state: State, upto: int) -> Iterator[Any]:
    for number in range(upto):
        yield number, None
    yield {}, state


class Count(StreamingAction):
    reads: Any = []
    writes: Any = []

    def stream_run(self, state: State, /, upto: int) -> Iterator[Any]:  # type: ignore[override]
        yield from range(upto)
        yield {}

    def update(self, result: Any, state: State, /) -> State:
        return state


@pytest.mark.parametrize("inner", [count, Count()], ids=["function", "class"])
def test_an_action_that_streams_still_does(drive: Driver, inner: Any) -> None:
    bound: Any = bind_from_state(inner, upto="limit")
    app = ApplicationBuilder().with_actions(count=bound).with_entrypoint("count").with_state(limit=3).build()
    _, items, _, _ = drive.stream_result(app, halt_after=["count"])
    assert [0, 1, 2] == items


def test_it_is_described_shown_and_drawn_as_what_is_inside() -> None:
    bound: Any = bind_from_state(Ask(), model="model")
    assert ("Ask a model.", Ask().get_source()) == (bound.description, bound.get_source())
    inside: Any = asked_inside()
    assert inside.nested is bind_from_state(inside, model="model").nested  # type: ignore[attr-defined]


def test_an_async_stream_is_known_as_one() -> None:
    @streaming_action(reads=[], writes=[])
    async def tick(state: State, upto: int) -> AsyncIterator[Any]:
        yield {}, state

    bound: Any = bind_from_state(tick, upto="limit")
    assert (True, ((), ())) == (bound.contract.is_async, (bound.contract.parameters.required, tuple(bound.inputs[1])))
