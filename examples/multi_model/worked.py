"""Five ways to run actions side by side, each really asking models through `agentflow.llm`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from agentflow import Action, ApplicationBuilder, ApplicationContext, GraphBuilder, State, action
from agentflow.llm import RetryPolicy, complete
from agentflow.parallel import (
    MapActions,
    MapActionsAndStates,
    MapStates,
    Outcome,
    RunnableGraph,
    SubGraphTask,
    TaskBasedParallelAction,
)

MODELS = {"gpt": "gpt-4o-mini", "claude": "claude-sonnet-4-5", "gemini": "gemini/gemini-2.5-flash"}
PATIENCE = RetryPolicy(retries=1, backoff=0.1)


@action(reads=["prompt"], writes=["llm_output", "model"])
def query_llm(state: State, model: str = MODELS["gpt"]) -> State:
    answer = complete(model, state["prompt"], policy=PATIENCE)
    return state.update(llm_output=answer.text, model=model)


class TestMultiplePrompts(MapStates):
    """One model, several prompts."""

    reads = ["prompts"]
    writes = ["answers"]

    def action(self) -> Any:
        return query_llm.with_name("query_llm")

    def states(self, state: State) -> Iterator[Any]:
        for prompt in state["prompts"]:
            yield state.update(prompt=prompt)

    def reduce(self, state: State, states: Iterable[State]) -> State:
        return state.update(answers=[line(child) for child in states])


class TestMultipleModels(MapActions):
    """Several models, one prompt; made with on_error="collect", it sees which of them failed and why."""

    reads = ["prompts"]
    writes = ["answers"]

    def actions(self, state: State) -> Iterator[Action]:
        yield from models()

    def state(self, state: State) -> State:
        return state.update(prompt=state["prompts"][0])

    def reduce(self, state: State, states: Iterable[Outcome]) -> State:
        return state.update(answers=[line(each.state) if each.state else f"! {each.exception}" for each in states])


class TestModelsOverPrompts(MapActionsAndStates):
    """Every model, every prompt; made with on_error="drop", it sees the answers that came."""

    reads = ["prompts"]
    writes = ["answers"]

    def actions(self, state: State) -> Iterator[Action]:
        yield from models()

    def states(self, state: State) -> Iterator[State]:
        for prompt in state["prompts"]:
            yield state.update(prompt=prompt)

    def reduce(self, state: State, states: Iterable[State]) -> State:
        return state.update(answers=[line(child) for child in states])


@action(reads=["prompt"], writes=["prompt"])
def process_prompt(state: State) -> State:
    return state.update(prompt=f"The user has asked: {state['prompt']} Please respond, but only in riddles.")


riddler = RunnableGraph(
    graph=GraphBuilder()
    .with_actions(process_prompt=process_prompt, query_llm=query_llm)
    .with_transitions(("process_prompt", "query_llm"))
    .build(),
    entrypoint="process_prompt",
    halt_after="query_llm",
)


class TestMultiplePromptsWithSubgraph(TestMultiplePrompts):
    """Several prompts, each through a graph of two actions instead of one."""

    def action(self) -> Any:
        return riddler

    def states(self, state: State) -> Iterator[Any]:
        for prompt in state["prompts"]:
            yield state.update(prompt=prompt), {"model": MODELS["claude"]}


class MultipleTaskExample(TaskBasedParallelAction):
    """Every child said one by one: which prompt, which model, under which name."""

    reads = ["prompts"]
    writes = ["answers"]

    def tasks(self, state: State, context: ApplicationContext) -> Iterator[SubGraphTask]:
        for number, prompt in enumerate(state["prompts"], 1):
            for name, model in MODELS.items():
                child = state.update(prompt=prompt)
                yield SubGraphTask(action=query_llm, state=child, inputs={"model": model}, key=f"{number}-{name}")

    def reduce(self, state: State, states: Iterable[Outcome]) -> State:
        ended = [f"{each.key}: {'answered' if each.succeeded else 'failed'}" for each in states]
        return state.update(answers=[", ".join(ended)])


def models() -> Iterator[Action]:
    """The action that asks, once for each model."""
    for name, model in MODELS.items():
        yield query_llm.bind(model=model).with_name(f"{name}_answer")


def line(state: State) -> str:
    """An answer on one line, with who gave it."""
    return f"{state['model']}: {state['llm_output']}"


def answers_of(parallel: Action, prompts: list[str]) -> list[str]:
    """Run one of them as the only action of an application."""
    app = ApplicationBuilder().with_actions(ask=parallel).with_entrypoint("ask").with_state(prompts=prompts).build()
    _, _, state = app.run()
    return list(state["answers"])


EXAMPLES: tuple[TaskBasedParallelAction, ...] = (
    TestMultiplePrompts(),
    TestMultipleModels(on_error="collect"),
    TestModelsOverPrompts(on_error="drop"),
    TestMultiplePromptsWithSubgraph(),
    MultipleTaskExample(on_error="collect"),
)
