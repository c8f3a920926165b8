"""The code of the request for 1-to-many transitions runs as printed, with only the package's name changed.

Its own slips, put right here and nowhere else:

- the applications are built with one closing parenthesis too many;
- the sketch of `create_decision_model` returns a model object where it promises a name: both are taken;
- "gpt-4o.mini" is `gpt-4o-mini`, and `llm_client` is a client of instructor over litellm.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from agentflow import (
    ApplicationBuilder,
    Condition,
    GraphBuilder,
    LLMDecider,
    OneToManyCondition,
    Select,
    State,
    action,
    create_decision_model,
    expr,
    switch,
)
from agentflow.testing import ScriptedProvider
from tests.drivers import Driver


@action(reads=[], writes=["user_query", "mode"])
def process_user_input(state: State, user_query: str, mode: str = "") -> State:
    """Take what the user says."""
    return state.update(user_query=user_query, mode=mode)


@action(reads=["mode"], writes=[])
def decide_next_action(state: State) -> State:
    """Decide."""
    return state


@action(reads=[], writes=["done"])
def generate_text(state: State) -> State:
    """Generate a text."""
    return state.update(done="text")


@action(reads=[], writes=["done"])
def generate_image(state: State) -> State:
    """Generate an image."""
    return state.update(done="image")


@action(reads=[], writes=["done"])
def ask_user_for_details(state: State) -> State:
    """Ask the user for details."""
    return state.update(done="details")


ask_for_details = ask_user_for_details.with_name("ask_for_details")
TARGETS = ["generate_text", "generate_image", "ask_user_for_details"]


@pytest.mark.parametrize(
    ("mode", "way"),
    [("", "generate_text"), ("generate_image", "generate_image"), ("ask_user_for_details", "ask_for_details")],
)
def test_the_valid_graph_behaves_as_its_author_meant(drive: Driver, mode: str, way: str) -> None:
    """Its default edge stands first, and its conditions compare a key with a name without quotes."""
    graph = (
      GraphBuilder()
      .with_actions(
        process_user_input,
        decide_next_action,
        generate_text,
        generate_image,
        ask_for_details,
      )
      .with_transitions(
          ("process_user_input", "decide_next_action"),
          ("decide_next_action", "generate_text"),
          ("decide_next_action", "generate_image", expr("mode==generate_image")),
          ("decide_next_action", "ask_for_details", expr("mode==ask_user_for_details")),
      )
      .build()
    )  # fmt: skip
    app = ApplicationBuilder().with_graph(graph).with_entrypoint("process_user_input").build()
    assert way == drive.run(app, inputs={"user_query": "?", "mode": mode})[0].name


def with_decider(decider: Any) -> Any:
    return (
        ApplicationBuilder()
          .with_actions(
            process_user_input,
            generate_text,
            generate_image,
            ask_user_for_details,
          )
          .with_transitions(
            ("process_user_input", "decide_next_action"),
            (
              "decide_next_action",
              ["generate_text", "generate_image", "ask_user_for_details"],
              decider
            ),
          )
          .with_entrypoint("process_user_input")
          .build()
    )  # fmt: skip


@pytest.mark.parametrize("make", [OneToManyCondition, Select])
def test_decide_next_action_is_a_named_choice_and_no_step(drive: Driver, make: Any) -> None:
    app = with_decider(make(lambda state: "generate_image", reads=["user_query"]))
    action_done, _, _ = drive.run(app, inputs={"user_query": "?"})
    assert ("generate_image", 1) == (action_done.name, app.sequence_id)
    assert "decide_next_action" in app.visualize()


def test_an_llm_decider_reads_the_docstrings_of_the_targets(drive: Driver) -> None:
    with ScriptedProvider() as llm:
        llm.decide("ask_user_for_details", reason="it is vague")
        app = with_decider(LLMDecider())
        action_done, _, _ = drive.run(app, inputs={"user_query": "do it"})
        assert "ask_user_for_details" == action_done.name
        assert "Generate an image." in llm.requests[0].text
    assert "it is vague" == app.decisions[-1].reason


def test_a_resolver_made_of_the_sketch_decides(drive: Driver) -> None:
    import instructor
    import litellm

    def _llm_resolver(state: State, llm_client: Any, response_model: Any) -> str:
        user_query = state["user_query"]

        next_action = llm_client.chat.completions.create(
            model="gpt-4o-mini",
            response_model=response_model,
            messages=[
                {"role": "system", "content": "You are an automated agent and you need to decide the next action to take to fulfill the user query."},
                {"role": "user", "content": user_query}
            ]
        )  # fmt: skip

        return next_action

    # apply something along those lines
    condition = Condition(
        keys=["user_query"],
        resolver=partial(
            _llm_resolver,
            llm_client=instructor.from_litellm(litellm.completion, mode=instructor.Mode.JSON_SCHEMA),
            response_model=create_decision_model([generate_text, generate_image, ask_user_for_details]),
        ),
    )
    with ScriptedProvider() as llm:
        llm.decide("generate_text", reason="words will do")
        app = with_decider(condition)
        assert "generate_text" == drive.run(app, inputs={"user_query": "write"})[0].name
    assert "words will do" == app.decisions[-1].reason


def test_a_target_without_a_docstring_is_named() -> None:
    @action(reads=[], writes=[])
    def silent(state: State) -> State:
        return state

    with pytest.raises(ValueError, match="LLMDecider: silent needs to have a non-empty docstring"):
        create_decision_model([silent])


@pytest.mark.parametrize("template", ["mode=={{action.name}}", "mode=='{{action.name}}'", 'mode=="{{ action.name }}"'])
@pytest.mark.parametrize("mode", TARGETS)
def test_a_switch_renders_the_name_as_a_text(drive: Driver, template: str, mode: str) -> None:
    app = with_decider(switch(template))
    assert mode == drive.run(app, inputs={"user_query": "?", "mode": mode})[0].name


def test_tuples_do_as_lists_do(drive: Driver) -> None:
    @action(reads=["done"], writes=[])
    def send_response(state: State) -> State:
        return state

    app = (
        ApplicationBuilder()
        .with_actions(process_user_input, generate_text, generate_image, ask_user_for_details, send_response)
        .with_transitions(
            (
                "process_user_input",
                ("generate_text", "generate_image", "ask_user_for_details"),
                Select(lambda state: state["mode"]),
            ),
            (
                ("generate_text", "generate_image", "ask_user_for_details"),
                "send_response"
            ),
        )
        .with_entrypoint("process_user_input")
        .build()
    )  # fmt: skip
    assert "image" == drive.run(app, inputs={"user_query": "?", "mode": "generate_image"})[2]["done"]
