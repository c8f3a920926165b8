"""The scripted provider speaks three providers' HTTP to the real client, in both colours."""

from __future__ import annotations

import asyncio
import os
import re
from typing import Any, Literal

import pytest
from pydantic import BaseModel

import agentflow.llm
from agentflow.errors import ProviderError
from agentflow.llm import RetryPolicy
from agentflow.testing import Fault, Reply, Request, ScriptedProvider, UnscriptedRequestError

MODELS = ["gpt-4o-mini", "anthropic/claude-sonnet-4-5", "gemini/gemini-2.5-flash"]
LOOK = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {"at": {}}}}}
QUICK = RetryPolicy(backoff=0.001, max_backoff=0.002, timeout=5.0, deadline=20.0)


class Choice(BaseModel):
    """What next."""

    next_action: Literal["draw", "write"]
    reason: str


class Caller:
    """Calls a verb in one colour."""

    def __init__(self, colour: str) -> None:
        self.colour = colour

    def __call__(self, verb: str, *args: Any, **options: Any) -> Any:
        if self.colour == "blocking":
            return getattr(agentflow.llm, verb)(*args, **options)
        return asyncio.run(getattr(agentflow.llm, f"a{verb}")(*args, **options))

    def pieces(self, model: str) -> list[str]:
        if self.colour == "blocking":
            return list(agentflow.llm.stream(model, "go", max_tokens=50))

        async def read() -> list[str]:
            return [piece async for piece in agentflow.llm.astream(model, "go", max_tokens=50)]

        return asyncio.run(read())


@pytest.fixture(params=["blocking", "async"])
def call(request: pytest.FixtureRequest) -> Caller:
    return Caller(request.param)


@pytest.mark.parametrize("model", MODELS)
def test_replies_come_in_the_order_they_were_scripted(call: Caller, model: str) -> None:
    with ScriptedProvider() as llm:
        llm.reply("first").reply("second")
        assert ["first", "second"] == [call("complete", model, "hi", max_tokens=50).text for _ in range(2)]
        assert 2 == llm.calls


@pytest.mark.parametrize("model", MODELS)
def test_a_request_is_the_same_in_every_dialect(call: Caller, model: str) -> None:
    with ScriptedProvider() as llm:
        llm.reply("fine")
        call("complete", model, "How are you?", system="Be brief.", max_tokens=50)
        (request,) = llm.requests
        assert ("Be brief.", "How are you?") == tuple(message["content"] for message in request.messages)
        assert (model.rsplit("/", 1)[-1], "How are you?", False) == (request.model, request.prompt, request.stream)


@pytest.mark.parametrize("model", MODELS)
def test_a_stream_comes_in_the_scripted_pieces(call: Caller, model: str) -> None:
    with ScriptedProvider() as llm:
        llm.stream("one ", "two", " three")
        assert ["one ", "two", " three"] == call.pieces(model)


@pytest.mark.parametrize("model", MODELS)
def test_a_mapping_is_a_structured_reply(call: Caller, model: str) -> None:
    with ScriptedProvider() as llm:
        llm.reply({"next_action": "draw", "reason": "a picture was asked for"})
        done = call("structured", Choice, model, "Draw a cat.", max_tokens=50)
        assert Choice(next_action="draw", reason="a picture was asked for") == done.value


@pytest.mark.parametrize("model", MODELS)
def test_a_decision_fills_the_fields_its_schema_has(call: Caller, model: str) -> None:
    with ScriptedProvider() as llm:
        llm.decide("write", reason="words were asked for", confidence=0.9)
        done = call("structured", Choice, model, "Write a poem.", max_tokens=50)
        assert Choice(next_action="write", reason="words were asked for") == done.value
        assert ("draw", "write") == llm.requests[0].choices


@pytest.mark.parametrize("model", MODELS)
def test_a_tool_call_comes_with_its_arguments(call: Caller, model: str) -> None:
    with ScriptedProvider() as llm:
        llm.tool_call("look", at="the sky")
        (made,) = call("complete", model, "Look.", tools=[LOOK], max_tokens=50).tool_calls
        assert ("look", '{"at": "the sky"}') == (made.name, made.arguments)
        assert ["look"] == list(llm.requests[0].tools)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    "fault", [Fault(status=503), Fault("hang"), Fault("cut"), Fault("garbage")], ids=lambda f: f.kind
)
def test_a_fault_is_a_fault_of_the_wire(call: Caller, model: str, fault: Fault) -> None:
    with ScriptedProvider() as llm:
        llm.reply(fault, "survived")
        assert "survived" == call("complete", model, "hi", max_tokens=50, policy=QUICK).text
        assert 2 == llm.calls


def test_a_permanent_fault_is_told_at_once(call: Caller) -> None:
    with ScriptedProvider() as llm:
        llm.fail(401, message="no such key")
        with pytest.raises(ProviderError, match="401"):
            call("complete", MODELS[0], "hi")


def test_embeddings_are_answered_with_vectors(call: Caller) -> None:
    with ScriptedProvider() as llm:
        llm.embed([1.0, 2.0], [3.0, 4.0])
        assert ((1.0, 2.0), (3.0, 4.0)) == call("embed", "text-embedding-3-small", ["a", "b"]).vectors
        assert ("a", "b") == llm.requests[0].texts


def test_a_matching_script_goes_before_the_order(call: Caller) -> None:
    with ScriptedProvider() as llm:
        llm.reply("anything")
        llm.when("weather").reply("sunny")
        llm.when(re.compile("^cat", re.MULTILINE)).reply("meow")
        llm.when(lambda request: request.model == "gpt-4o").reply("bigger")
        said = [call("complete", model, prompt).text for model, prompt in [
            ("gpt-4o", "hi"), (MODELS[0], "cats?"), (MODELS[0], "The weather?"), (MODELS[0], "The weather?"),
        ]]  # fmt: skip
        assert ["bigger", "meow", "sunny", "anything"] == said


def test_a_function_sees_the_conversation(call: Caller) -> None:
    def answer(request: Request) -> str | Reply:
        return f"{len(request.messages)} messages, the last: {request.prompt}"

    with ScriptedProvider(answer) as llm:
        chat = [
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": "b"},
            {"role": "user", "content": "c"},
        ]
        assert "3 messages, the last: c" == call("complete", MODELS[0], chat).text
        assert 1 == llm.calls


def test_an_unscripted_request_is_shown_with_the_line_that_scripts_it(call: Caller) -> None:
    with pytest.raises(UnscriptedRequestError) as caught, ScriptedProvider() as llm:
        call("structured", Choice, MODELS[0], "Draw a cat.")
    assert 1 == llm.calls, "no client takes it for a fault that is worth another try"
    assert "openai model 'gpt-4o-mini':" in str(caught.value)
    assert "user: Draw a cat." in str(caught.value)
    assert "it chooses among: draw, write" in str(caught.value)
    assert 'To script it, write: llm.decide("draw")' in str(caught.value)


def test_a_reply_that_was_never_asked_for_is_named() -> None:
    with (
        pytest.raises(UnscriptedRequestError, match=r"1 scripted replies were never asked for \(0 requests came\)"),
        ScriptedProvider() as llm,
    ):
        llm.reply("nobody asks")
    with ScriptedProvider(strict=False) as llm:
        llm.reply("nobody asks")


def test_an_error_in_the_block_is_not_hidden_by_what_is_left_over() -> None:
    llm = ScriptedProvider().reply("nobody asks")
    with pytest.raises(ValueError, match="mine"), llm:
        raise ValueError("mine")


def test_keys_are_lent_and_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GEMINI_API_KEY")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-mine")
    with ScriptedProvider():
        assert ("sk-mine", "sk-scripted") == (os.environ["OPENAI_API_KEY"], os.environ["GEMINI_API_KEY"])
    assert "GEMINI_API_KEY" not in os.environ


def test_it_answers_a_server_of_ones_own_too(call: Caller) -> None:
    with ScriptedProvider() as llm:
        llm.reply("from here")
        done = call("complete", "openai/tiny", "hi", api_base="http://127.0.0.1:9/v1")
        assert ("from here", None) == (done.text, done.usage.cost)
