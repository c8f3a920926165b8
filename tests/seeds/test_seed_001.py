"""The code of the page on parallelism runs as printed, with only the package's name changed.

Its own slips, put right here and nowhere else:

- `from burr.core import action, state`: `state` does not exist; `State`, `Action` and `GraphBuilder` are what it uses.
- `for action in [...]` without a colon.
- `query_llm=query`: the name is `query_llm`.
- `hashlib.sha256(...)` of a text, which takes bytes.
- `MultipleTaskExample` says neither `reads` nor `writes`; it is given both.
- `query_llm` says it reads "model", which is an input there; `reduce` reads it from the state: it is written there.
- Its applications have no entrypoint.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator
from concurrent.futures import Executor
from typing import Any

import pytest

from agentflow import Action, ApplicationBuilder, ApplicationContext, GraphBuilder, State, action
from agentflow.parallel import (
    MapActions,
    MapActionsAndStates,
    MapStates,
    MultiThreadedExecutor,
    RunnableGraph,
    SubGraphTask,
    TaskBasedParallelAction,
)
from tests.drivers import Driver

PROMPTS = [
    "What is the meaning of life?",
    "What is the airspeed velocity of an unladen swallow?",
    "What is the best way to cook a steak?",
]


def _query_my_llm(prompt: str, model: str = "none") -> str:
    return f"{model} answers {prompt}"


@action(reads=["prompt"], writes=["llm_output"])
def query_llm(state: State) -> State:
    return state.update(llm_output=_query_my_llm(prompt=state["prompt"]))


@action(reads=["prompt", "model"], writes=["llm_output", "model"])
def query_llm_with_model(state: State, model: str) -> State:
    return state.update(llm_output=_query_my_llm(prompt=state["prompt"], model=model), model=model)


@action(reads=[], writes=["prompts", "prompt"])
def generate_prompts(state: State) -> State:
    return state.update(prompts=PROMPTS, prompt="unused")


class TestMultiplePrompts(MapStates):
    __test__ = False

    def action(self) -> Action | Callable | RunnableGraph:
        # make sure to add a name to the action
        # This is not necessary for subgraphs, as actions will already have names
        return query_llm.with_name("query_llm")

    def states(self, state: State) -> Generator[State, None, None]:
        # You could easily have a list_prompts upstream action that writes to "prompts" in state
        # And loop through those
        # This hardcodes for simplicity
        for prompt in [
            "What is the meaning of life?",
            "What is the airspeed velocity of an unladen swallow?",
            "What is the best way to cook a steak?",
        ]:
            yield state.update(prompt=prompt)

    def reduce(self, states: Generator[State, None, None]) -> State:
        all_llm_outputs = []
        for state in states:
            all_llm_outputs.append(state["llm_output"])
        return state.update(all_llm_outputs=all_llm_outputs)

    def reads() -> list[str]:
        return ["prompts"]

    def writes() -> list[str]:
        return ["all_llm_outputs"]


class TestMultipleModels(MapActions):
    __test__ = False

    def actions(self, state: State) -> Generator[Action | Callable | RunnableGraph, None, None]:
        # Make sure to add a name to the action if you use bind() with a function,
        # note that these can be different actions, functions, etc...
        # in this case we're using `.bind()` to create multiple actions, but we can use some mix of
        # subgraphs, functions, action objects, etc...
        for action in [
            query_llm_with_model.bind(model="gpt-4").with_name("gpt_4_answer"),
            query_llm_with_model.bind(model="o1").with_name("o1_answer"),
            query_llm_with_model.bind(model="claude").with_name("claude_answer"),
        ]:
            yield action

    def state(self, state: State) -> State:
        return state.update(prompt="What is the meaning of life?")

    def reduce(self, states: Generator[State, None, None]) -> State:
        all_llm_outputs = []
        for state in states:
            all_llm_outputs.append(state["llm_output"])
        return state.update(all_llm_outputs=all_llm_outputs)

    def reads() -> list[str]:
        return ["prompt"]  # we're just running this on a single prompt, for multiple actions

    def writes() -> list[str]:
        return ["all_llm_outputs"]


class TestModelsOverPrompts(MapActionsAndStates):
    __test__ = False

    def actions(self, state: State) -> Generator[Action | Callable | RunnableGraph, None, None]:
        for action in [
            query_llm_with_model.bind(model="gpt-4").with_name("gpt_4_answer"),
            query_llm_with_model.bind(model="o1").with_name("o1_answer"),
            query_llm_with_model.bind(model="claude").with_name("claude_answer"),
        ]:
            yield action

    def states(self, state: State) -> Generator[State, None, None]:
        for prompt in [
            "What is the meaning of life?",
            "What is the airspeed velocity of an unladen swallow?",
            "What is the best way to cook a steak?",
        ]:
            yield state.update(prompt=prompt)

    def reduce(self, states: Generator[State, None, None]) -> State:
        all_llm_outputs = []
        for state in states:
            all_llm_outputs.append(
                {
                    "output": state["llm_output"],
                    "model": state["model"],
                    "prompt": state["prompt"],
                }
            )
        return state.update(all_llm_outputs=all_llm_outputs)

    def reads() -> list[str]:
        return ["prompts"]

    def writes() -> list[str]:
        return ["all_llm_outputs"]


@action(reads=["prompt"], writes=["processed_prompt"])
def process_prompt(state: State) -> State:
    processed_prompt = (
        f"The user has asked: {state['prompt']}. Please respond directly to that prompt, but only in riddles."
    )
    return state.update(processed_prompt=processed_prompt)


@action(reads=["processed_prompt"], writes=["llm_output"])
def query_processed(state: State, model: str = "gpt-4") -> State:
    return state.update(llm_output=_query_my_llm(prompt=state["processed_prompt"], model=model))


graph = (
    GraphBuilder()
    .with_action(process_prompt=process_prompt, query_llm=query_processed)
    .with_transitions(("process_prompt", "query_llm"))
    .build()
)

runnable_graph = RunnableGraph(graph=graph, entrypoint="process_prompt", halt_after="query_llm")


class TestMultiplePromptsWithSubgraph(TestMultiplePrompts):
    def action(self) -> Action | Callable | RunnableGraph:
        return runnable_graph

    def states(self, state: State) -> Generator[tuple[State, dict], None, None]:
        for prompt in [
            "What is the meaning of life?",
            "What is the airspeed velocity of an unladen swallow?",
            "What is the best way to cook a steak?",
        ]:
            yield state.update(prompt=prompt), {"model": "gpt-4"}  # pass in the model as an input


class MultipleTaskExample(TaskBasedParallelAction):
    def tasks(state: State, context: ApplicationContext) -> Generator[SubGraphTask, None, None]:
        for prompt in state["prompts"]:
            for action in [
                query_llm_with_model.bind(model="gpt-4").with_name("gpt_4_answer"),
                query_llm_with_model.bind(model="o1").with_name("o1_answer"),
                query_llm_with_model.bind(model="claude").with_name("claude_answer"),
            ]:
                yield SubGraphTask(
                    action=action,  # can be a RunnableGraph as well
                    state=state.update(prompt=prompt),
                    inputs={},
                    # stable hash -- up to you to ensure uniqueness
                    application_id=hashlib.sha256((context.application_id + action.name + prompt).encode()).hexdigest(),
                    # a few other parameters we might add -- see advanced usage -- failure conditions, etc...
                )

    def reduce(self, states: Generator[State, None, None]) -> State:
        all_llm_outputs = []
        for state in states:
            all_llm_outputs.append(
                {
                    "output": state["llm_output"],
                    "model": state["model"],
                    "prompt": state["prompt"],
                }
            )
        return state.update(all_llm_outputs=all_llm_outputs)

    reads = ["prompts"]
    writes = ["all_llm_outputs"]


PRODUCT = [
    {"output": f"{model} answers {prompt}", "model": model, "prompt": prompt}
    for model in ("gpt-4", "o1", "claude")
    for prompt in PROMPTS
]

EXAMPLES = {
    TestMultiplePrompts: [f"none answers {prompt}" for prompt in PROMPTS],
    TestMultipleModels: [f"{model} answers {PROMPTS[0]}" for model in ("gpt-4", "o1", "claude")],
    TestModelsOverPrompts: PRODUCT,
    TestMultiplePromptsWithSubgraph: [
        f"gpt-4 answers The user has asked: {prompt}. Please respond directly to that prompt, but only in riddles."
        for prompt in PROMPTS
    ],
    MultipleTaskExample: sorted(PRODUCT, key=lambda row: PROMPTS.index(row["prompt"])),
}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.__name__)
def test_each_worked_example_gives_every_result_in_order(drive: Driver, example: type[Any]) -> None:
    app = (
        ApplicationBuilder()
        .with_action(
            prompt_generator=generate_prompts,
            multi_prompt_test=example(),
        )
        .with_transitions(
            ("prompt_generator", "multi_prompt_test"),
        )
        .with_entrypoint("prompt_generator")
        .build()
    )
    _, _, state = drive.run(app)
    assert EXAMPLES[example] == state["all_llm_outputs"]


def test_an_executor_for_the_whole_application() -> None:
    with MultiThreadedExecutor(max_concurrency=10) as executor:
        app = (
            ApplicationBuilder()
            .with_actions(prompt_generator=generate_prompts, multi=TestMultiplePrompts())
            .with_transitions(("prompt_generator", "multi"))
            .with_entrypoint("prompt_generator")
            .with_parallel_executor(executor)
            .build()
        )
        _, _, state = app.run()
    assert EXAMPLES[TestMultiplePrompts] == state["all_llm_outputs"]


def test_an_executor_of_the_action_overrides_that_of_the_application() -> None:
    used: list[str] = []

    class Watched(MultiThreadedExecutor):
        def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
            used.append("action")
            return super().submit(fn, *args, **kwargs)

    class WithExecutor(TestMultiplePrompts):
        def executor(self) -> Executor:
            return Watched(max_concurrency=10)

    app = (
        ApplicationBuilder()
        .with_actions(prompt_generator=generate_prompts, multi=WithExecutor())
        .with_transitions(("prompt_generator", "multi"))
        .with_entrypoint("prompt_generator")
        .with_parallel_executor(lambda: pytest.fail("the application's executor must not be made"))
        .build()
    )
    app.run()
    assert ["action"] * 3 == used


@pytest.mark.parametrize("track", [True, False])
def test_a_tracker_is_passed_on_unless_it_is_refused(drive: Driver, track: bool) -> None:
    class Tracker:
        def __init__(self) -> None:
            self.seen: list[str] = []

        def post_run_step(self, *, action: Action, **future_kwargs: Any) -> None:
            self.seen.append(action.name)

    tracker = Tracker()
    app = (
        ApplicationBuilder()
        .with_actions(prompt_generator=generate_prompts, multi=TestMultiplePrompts(track=track))
        .with_transitions(("prompt_generator", "multi"))
        .with_entrypoint("prompt_generator")
        .with_tracker(tracker)
        .build()
    )
    drive.run(app)
    children = ["query_llm"] * 3 if track else []
    assert ["prompt_generator", *children, "multi"] == tracker.seen
