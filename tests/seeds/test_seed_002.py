"""The code of the page on applications runs as printed, with only the package's name changed.

Its own slips, put right here and nowhere else: `with_state(chat_history=[])` of the graph example has no dot before it,
`GraphBuilder` is not imported, and `input()` is what a person types.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from agentflow import ApplicationBuilder, GraphBuilder, State, action


@action(reads=["chat_history"], writes=["prompt", "chat_history"])
def human_input(state: State, prompt: str = "hello") -> State:
    return state.update(prompt=prompt).append(chat_history=prompt)


@action(reads=["prompt", "chat_history"], writes=["response", "chat_history"])
def ai_response(state: State) -> tuple[dict[str, str], State]:
    response = f"echo: {state['prompt']}"
    return {"response": response}, state.update(response=response).append(chat_history=response)


@pytest.fixture
def application() -> Any:
    app = (
        ApplicationBuilder()
        .with_actions(human_input, ai_response)
        .with_transitions(
            ("human_input", "ai_response"),
            ("ai_response", "human_input")
        ).with_state(chat_history=[])
        .with_entrypoint("human_input")
        .build()
    )  # fmt: skip
    return app


def test_step_and_astep(application: Any) -> None:
    action, result, state = application.step()
    assert ("human_input", {}, "hello") == (action.name, result, state["prompt"])

    async def main() -> Any:
        action, result, state = await application.astep()
        return action.name, result

    assert ("ai_response", {"response": "echo: hello"}) == asyncio.run(main())


def test_step_takes_inputs(application: Any) -> None:
    action, result, state = application.step(inputs={"prompt": "typed"})
    assert "typed" == state["prompt"]


def test_iterate_yields_each_step_and_returns_what_run_does(application: Any) -> None:
    seen = []
    iterator = application.iterate(halt_after=["ai_response"])
    while True:
        try:
            action, result, state = next(iterator)
            seen.append(action.name)
        except StopIteration as ended:
            action, result, state = ended.value
            break
    assert ["human_input", "ai_response"] == seen
    assert ("ai_response", {"response": "echo: hello"}) == (action.name, result)


def test_aiterate_yields_each_step(application: Any) -> None:
    async def main() -> list[str]:
        seen = []
        async for action, _result, _state in application.aiterate(halt_after=["ai_response"]):
            seen.append(action.name)
        return seen

    assert ["human_input", "ai_response"] == asyncio.run(main())


def test_run_and_arun_halt_where_they_are_asked_to(application: Any) -> None:
    action, result, state = application.run(
        halt_after=["final_action_1", "ai_response"]
        if application.graph.has_action("final_action_1")
        else ["ai_response"]
    )
    assert "ai_response" == action.name

    async def main() -> Any:
        action, result, state = await application.arun(halt_before=["ai_response"])
        return action.name, result

    assert ("ai_response", None) == asyncio.run(main())


def test_empty_lists_mean_for_ever(application: Any) -> None:
    iterator = application.iterate(halt_after=[], halt_before=[])
    assert ["human_input", "ai_response"] * 10 == [next(iterator)[0].name for _ in range(20)]
    iterator.close()


def test_a_graph_apart_from_its_application() -> None:
    graph = (
        GraphBuilder()
        .with_actions(human_input, ai_response)
        .with_transitions(
            ("human_input", "ai_response"),
            ("ai_response", "human_input")
        ).build()
    )  # fmt: skip
    app = (
        ApplicationBuilder()
        .with_graph(graph)
        .with_state(chat_history=[])
        .with_entrypoint("human_input")
        .build()
    )  # fmt: skip
    app.run(halt_after=["ai_response"])
    assert ["hello", "echo: hello"] == app.state["chat_history"]
    assert graph is app.graph
