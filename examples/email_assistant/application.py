"""The email assistant: it reads an email, asks what it must know, drafts an answer, and revises it until it is liked.

Two choices are a model's, because no rule could make them: whether the instructions are clear enough to draft at once,
and whether feedback such as "perfect, thanks" asks for another draft. All others are plain conditions.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pydantic
from email_assistant import prompts

from agentflow import (
    Application,
    ApplicationBuilder,
    Graph,
    GraphBuilder,
    LLMDecider,
    State,
    action,
    expr,
    streaming_action,
    when,
)
from agentflow.llm import stream, structured

#: Where the assistant waits for a person.
ASKS = ["clarify_instructions", "process_feedback"]
DONE = "final_result"
#: The state before anything has happened.
EMPTY = {
    **dict.fromkeys(["email_to_respond", "response_instructions", "questions", "answers", "final_draft"]),
    "drafts": [],
    "feedback_history": [],
}


@dataclass(frozen=True)
class Model:
    """Which model is asked, and where; `api_base` is for an OpenAI-style server of one's own."""

    name: str = "gpt-4o-mini"
    api_base: str | None = None


class Clarifications(pydantic.BaseModel):
    """What has to be asked before an answer can be drafted."""

    questions: list[str]


@action(reads=[], writes=["email_to_respond", "response_instructions"])
def process_input(state: State, email_to_respond: str, response_instructions: str) -> State:
    """Take the email and how to respond to it."""
    return state.update(email_to_respond=email_to_respond, response_instructions=response_instructions)


@action(reads=["email_to_respond", "response_instructions"], writes=["questions"], blocking=True)
def determine_clarifications(state: State, llm: Model) -> State:
    """Ask the person, because something has to be known first that neither the email nor the instructions say."""
    asked = prompts.clarifications(state["email_to_respond"], state["response_instructions"])
    found = structured(Clarifications, llm.name, asked, api_base=llm.api_base, max_tokens=500)
    return state.update(questions=found.value.questions)


@action(reads=["questions"], writes=["answers"])
def clarify_instructions(state: State, clarification_inputs: list[str]) -> State:
    """Take the person's answers, one for each question."""
    return state.update(answers=[answer.strip() for answer in clarification_inputs])


@streaming_action(
    reads=["email_to_respond", "response_instructions", "questions", "answers", "drafts", "feedback_history"],
    writes=["drafts"],
    blocking=True,
)
def formulate_draft(state: State, llm: Model) -> Iterator[Any]:
    """Write a draft, because it is clear enough what to say."""
    written = ""
    for piece in stream(llm.name, prompts.draft(state), api_base=llm.api_base, max_tokens=1_000):
        written += piece
        yield {"delta": piece}, None
    yield {"draft": written}, state.append(drafts=written)


@action(reads=[], writes=["feedback", "feedback_history"])
def process_feedback(state: State, feedback: str) -> State:
    """Take what the person says about the draft; nothing at all means that it is fine."""
    said = feedback.strip()
    return state.update(feedback=said).extend(feedback_history=[said] if said else [])


@action(reads=["drafts"], writes=["final_draft"])
def final_result(state: State) -> State:
    """Finish, because the person is content with the draft as it is."""
    return state.update(final_draft=state["drafts"][-1])


@functools.cache
def graph(model: Model = Model()) -> Graph:
    """What may follow what; made once for each model."""
    decider = {"model": model.name, "api_base": model.api_base, "max_tokens": 300}
    return (
        GraphBuilder()
        .with_actions(
            process_input,
            determine_clarifications.bind(llm=model),
            clarify_instructions,
            formulate_draft.bind(llm=model),
            process_feedback,
            final_result,
        )
        .with_transitions(
            (
                "process_input",
                ["determine_clarifications", "formulate_draft"],
                LLMDecider(reads=["email_to_respond", "response_instructions"], fallback="formulate_draft", **decider),
            ),
            ("determine_clarifications", "clarify_instructions", expr("len(questions) > 0")),
            ("determine_clarifications", "formulate_draft"),
            ("clarify_instructions", "formulate_draft"),
            ("formulate_draft", "process_feedback"),
            ("process_feedback", "final_result", when(feedback="")),
            (
                "process_feedback",
                ["formulate_draft", "final_result"],
                LLMDecider(
                    reads=["feedback"],
                    fallback="formulate_draft",
                    descriptions={"formulate_draft": "Write another draft, because the person asks for a change."},
                    **decider,
                ),
            ),
        )
        .build()
    )


def builder(model: Model = Model(), hooks: tuple[object, ...] = ()) -> ApplicationBuilder:
    """What a conversation is built from."""
    started = ApplicationBuilder().with_graph(graph(model)).with_entrypoint("process_input")
    return started.with_state(**EMPTY).with_hooks(*hooks)


def application(model: Model = Model(), app_id: str | None = None, hooks: tuple[object, ...] = ()) -> Application:
    """A new conversation."""
    return builder(model, hooks).with_identifiers(app_id=app_id).build()
