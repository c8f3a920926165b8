"""What the verbs ask and what they give back, when the provider behaves and when it does not quite."""

from __future__ import annotations

import os
import pickle
import time
from dataclasses import replace
from typing import Any

import pytest
from pydantic import BaseModel

from agentflow.errors import InputError, ProviderError
from agentflow.llm import ToolCall
from agentflow.llm.requests import build
from agentflow.runtime import CURRENT_STEP
from agentflow.usage import Usage
from tests.llm.driving import ANTHROPIC, KEY, OPENAI, QUICK, Choice, Driver, at
from tests.llm.faulty_server import FOR_EVER, HEALTHY, FaultyServer

LOCAL = "openai/a-model-of-our-own"


class Step:
    """What the engine puts into `CURRENT_STEP`, as far as usage is concerned."""

    def __init__(self) -> None:
        self.usages: list[Usage] = []

    def record_usage(self, usage: Usage) -> None:
        self.usages.append(usage)


@pytest.fixture
def step() -> Step:
    return Step()


def test_complete_gives_text_tokens_and_cost(server: FaultyServer, call: Driver) -> None:
    answer = call("complete", OPENAI, "hello", **at(server.scenario(text="good day"), OPENAI))

    assert ("good day", "good day", "stop", ()) == (
        answer.text, str(answer), answer.finish_reason, answer.tool_calls)  # fmt: skip
    assert (OPENAI, "openai", 10, 5, 1) == (
        answer.usage.model, answer.usage.provider, answer.usage.input_tokens, answer.usage.output_tokens,
        answer.usage.attempts)  # fmt: skip
    assert 10 * 0.15e-6 + 5 * 0.6e-6 == pytest.approx(answer.usage.cost)
    assert [(1, "ok", 200)] == [(each.number, each.outcome, each.status) for each in answer.attempts]
    assert 0 < answer.attempts[0].seconds <= answer.usage.latency


def test_what_is_asked_reaches_the_provider(server: FaultyServer, call: Driver) -> None:
    scenario = server.scenario()
    history = [{"role": "user", "content": "hello"}]

    call("complete", OPENAI, history, system="Be kind.", temperature=0.3, seed=7, extra={"top_p": 0.5},
         **at(scenario, OPENAI))  # fmt: skip

    sent = scenario.bodies[0]
    assert [{"role": "system", "content": "Be kind."}, *history] == sent["messages"]
    assert (0.3, 7, 0.5, 50) == (sent["temperature"], sent["seed"], sent["top_p"], sent["max_tokens"])
    assert [f"Bearer {KEY}"] == scenario.keys


def test_tools_come_back_as_tool_calls(server: FaultyServer, call: Driver) -> None:
    parameters = {"type": "object", "properties": {"city": {"type": "string"}}}
    tool = {"type": "function", "function": {"name": "weather", "parameters": parameters}}

    answer = call("complete", OPENAI, "hello", tools=[tool], **at(server.scenario(), OPENAI))

    assert (ToolCall("call1", "weather", '{"city": "Bern"}'),) == answer.tool_calls
    assert ("", "tool_calls") == (answer.text, answer.finish_reason)


def test_a_server_of_ones_own_needs_no_key_and_has_no_price(
    server: FaultyServer, call: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)

    answer = call("complete", LOCAL, "hello", api_base=f"{server.scenario(text='good day').base}/v1")

    assert ("good day", None, 15) == (answer.text, answer.usage.cost, answer.usage.total_tokens)


def test_a_model_nobody_serves_is_refused_without_a_call(call: Driver) -> None:
    with pytest.raises(ProviderError, match="No provider is known for the model 'fancy'") as caught:
        call("complete", "fancy", "hello")

    assert ("bad_request", 0) == (caught.value.kind, caught.value.attempts)


def test_a_call_without_a_model_is_refused(call: Driver) -> None:
    with pytest.raises(InputError, match="No model was named"):
        call("complete", "", "hello")


def test_structured_gives_the_pydantic_model_and_its_text(server: FaultyServer, call: Driver, model: str) -> None:
    scenario = server.scenario()

    answer = call("structured", Choice, model, "Which?", system="Choose.", **at(scenario, model))

    assert (Choice(next_action="draft", reason="the mail is new"), HEALTHY) == (answer.value, answer.raw)
    sent = scenario.bodies[0]
    prompt = str(sent.get("system") or sent["messages"][0]["content"])
    assert "Choose." in prompt
    assert '"enum": ["draft", "send"]' in prompt.replace("\\", "")


def test_the_schema_is_enforced_where_the_provider_can(server: FaultyServer, call: Driver) -> None:
    scenario = server.scenario()

    call("structured", Choice, OPENAI, "Which?", **at(scenario, OPENAI))

    wanted = scenario.bodies[0]["response_format"]
    assert "json_schema" == wanted["type"]
    assert ["draft", "send"] == wanted["json_schema"]["schema"]["properties"]["next_action"]["enum"]


class Open(BaseModel):
    """A model with a default and a free-form part, to which no provider can be held to the letter."""

    next_action: str
    notes: dict[str, str] = {}


class Nested(BaseModel):
    """A model that can be, with another one inside of it."""

    choices: list[Choice]
    doubt: float | None


def test_the_schema_is_strict_where_it_can_be(server: FaultyServer, call: Driver) -> None:
    answers = {Choice: HEALTHY, Nested: f'{{"choices": [{HEALTHY}], "doubt": null}}', Open: HEALTHY}
    sent = {}
    for wanted, text in answers.items():
        scenario = server.scenario(text=text)
        call("structured", wanted, OPENAI, "Which?", **at(scenario, OPENAI))
        sent[wanted] = scenario.bodies[0]["response_format"]["json_schema"]

    assert [True, True, None] == [sent[wanted].get("strict") for wanted in answers]
    assert sent[Choice]["schema"]["additionalProperties"] is False
    assert sent[Nested]["schema"]["$defs"]["Choice"]["additionalProperties"] is False


def test_a_type_that_is_no_pydantic_model_is_read_by_instructor(server: FaultyServer, call: Driver) -> None:
    scenario = server.scenario(text='{"content": 7}')

    assert 7 == call("structured", int, OPENAI, "How many?", **at(scenario, OPENAI)).value


def test_a_fenced_answer_is_read_in_both_modes(server: FaultyServer, call: Driver) -> None:
    for mode in ("md_json", "json_schema"):
        scenario = server.scenario(text=f"```json\n{HEALTHY}\n```")

        answer = call("structured", Choice, LOCAL, "Which?", mode=mode, **at(scenario, LOCAL))

        assert "draft" == answer.value.next_action
        assert ("response_format" in scenario.bodies[0]) is (mode == "json_schema")


def test_a_malformed_answer_is_asked_again_with_what_was_wrong(server: FaultyServer, call: Driver, model: str) -> None:
    scenario = server.scenario("unknown-choice", 1)

    answer = call("structured", Choice, model, "Which?", **at(scenario, model))

    said = str(scenario.bodies[1]["messages"][-2:])
    assert "fly" in said
    assert "next_action: Input should be 'draft' or 'send'" in said.replace("\\", "")
    assert (20, 10, 2) == (answer.usage.input_tokens, answer.usage.output_tokens, answer.usage.attempts)


def test_a_cut_answer_is_asked_again_once_with_more_room(server: FaultyServer, call: Driver, model: str) -> None:
    once, for_ever = server.scenario("length", 1), server.scenario("length", FOR_EVER)

    answer = call("structured", Choice, model, "Which?", **at(once, model))
    with pytest.raises(ProviderError, match="cut off by max_tokens") as caught:
        call("structured", Choice, model, "Which?", **at(for_ever, model))

    assert "draft" == answer.value.next_action
    assert [50, 100] == [body["max_tokens"] for body in once.bodies]
    assert ("malformed", 2) == (caught.value.kind, for_ever.calls)


def test_malformed_and_transient_faults_have_budgets_of_their_own(server: FaultyServer, call: Driver) -> None:
    scenario = server.scenario("prose-not-JSON", 2)
    exact = replace(QUICK, retries=0, reasks=2)

    answer = call("structured", Choice, OPENAI, "Which?", **at(scenario, OPENAI, policy=exact))
    with pytest.raises(ProviderError) as caught:
        call("structured", Choice, OPENAI, "Which?", **at(server.scenario("500", 1), OPENAI, policy=exact))

    assert "draft" == answer.value.next_action
    assert ("server", 1) == (caught.value.kind, caught.value.attempts)


def test_a_fallback_model_is_asked_when_the_first_fails_for_good(server: FaultyServer, call: Driver) -> None:
    scenario = server.scenario("401", 1)

    answer = call("complete", OPENAI, "hello", fallback_models=[LOCAL], **at(scenario, OPENAI))

    assert [(OPENAI, "auth"), (LOCAL, "ok")] == [(each.model, each.outcome) for each in answer.attempts]
    assert (LOCAL, 2) == (answer.usage.model, answer.usage.attempts)


@pytest.mark.parametrize("model", [OPENAI, ANTHROPIC, "gemini/gemini-2.5-flash", "fireworks_ai/a-model"])
def test_a_missing_key_fails_at_once_and_nothing_is_sent(
    monkeypatch: pytest.MonkeyPatch, call: Driver, model: str
) -> None:
    for name in [name for name in os.environ if name.endswith(("_API_KEY", "_AUTH_TOKEN", "_ADMIN_KEY"))]:
        monkeypatch.delenv(name)

    with pytest.raises(ProviderError, match="before anything was sent: .*check the API key") as caught:
        call("complete", model, "hello", policy=QUICK)

    assert ("auth", 0, None, 1) == (
        caught.value.kind,
        caught.value.attempts,
        caught.value.status,
        len(caught.value.log),
    )


@pytest.mark.parametrize("verb", ["complete", "structured", "stream", "embed"])
def test_a_misspelt_option_is_refused_before_anything_is_sent(server: FaultyServer, call: Driver, verb: str) -> None:
    scenario = server.scenario()
    given = (Choice, OPENAI, "Which?") if verb == "structured" else (OPENAI, "hello")

    with pytest.raises(InputError, match="no option 'temprature'.*Did you mean 'temperature'"):
        call(verb, *given, temprature=1, **at(scenario, OPENAI))

    assert 0 == scenario.calls


@pytest.mark.parametrize(
    "given",
    [{"ssl_verify": False}, {"max_retries": 0}, {"request_timeout": 3}, {"input_cost_per_token": 1e-6}, {"bogus": 1}],
    ids=lambda given: next(iter(given)),
)
def test_what_is_no_misspelt_option_goes_to_litellm_as_given(given: dict[str, Any]) -> None:
    assert given == dict(build(OPENAI, "hello", given).parameters)


def test_a_hanging_model_leaves_time_for_its_fallback(server: FaultyServer, call: Driver) -> None:
    scenario = server.scenario("hang", 1)
    impatient = replace(QUICK, timeout=30.0, deadline=1.2)

    answer = call("complete", OPENAI, "hello", fallback_models=[LOCAL], **at(scenario, OPENAI, policy=impatient))

    assert [(OPENAI, "timeout"), (LOCAL, "ok")] == [(each.model, each.outcome) for each in answer.attempts]


def test_the_deadline_also_stops_a_body_that_drips(server: FaultyServer, call: Driver) -> None:
    begun = time.monotonic()

    with pytest.raises(ProviderError, match=r"The deadline of 0\.3 s is over") as caught:
        call("complete", OPENAI, "hello", deadline=0.3, **at(server.scenario("drip", FOR_EVER), OPENAI))

    assert "timeout" == caught.value.kind
    assert time.monotonic() - begun <= 1.3


def test_usage_goes_to_the_running_step_also_when_the_call_fails(
    server: FaultyServer, call: Driver, step: Step
) -> None:
    token = CURRENT_STEP.set(step)
    try:
        answer = call("structured", Choice, OPENAI, "Which?", **at(server.scenario(), OPENAI))
        options = at(server.scenario("prose-not-JSON", FOR_EVER), OPENAI)
        with pytest.raises(ProviderError):
            call("structured", Choice, OPENAI, "Which?", **options)
    finally:
        CURRENT_STEP.reset(token)

    assert answer.usage == step.usages[0]
    assert [(1, 15), (3, 45)] == [(each.attempts, each.total_tokens) for each in step.usages]


def test_an_error_survives_pickling_with_its_log(server: FaultyServer, call: Driver, model: str) -> None:
    with pytest.raises(ProviderError) as caught:
        call("complete", model, "hello", **at(server.scenario("404", 1), model))

    copy = pickle.loads(pickle.dumps(caught.value))

    assert str(caught.value) == str(copy)
    assert ("bad_request", 1, 404, caught.value.log) == (copy.kind, copy.attempts, copy.status, copy.log)


def test_an_error_drags_no_exception_of_a_library_along(server: FaultyServer, call: Driver, model: str) -> None:
    with pytest.raises(ProviderError) as caught:
        call("complete", model, "hello", **at(server.scenario("401", 1), model))

    assert (None, None) == (caught.value.__cause__, caught.value.__context__)


def test_a_mistake_in_the_callers_code_is_raised_as_it_is(server: FaultyServer, call: Driver) -> None:
    class Grumpy(Choice):
        @classmethod
        def __get_pydantic_json_schema__(cls, core: object, handler: object) -> dict[str, object]:
            raise RuntimeError("no schema today")

    with pytest.raises(RuntimeError, match="no schema today"):
        call("structured", Grumpy, OPENAI, "Which?", **at(server.scenario(), OPENAI))


def test_embed_gives_one_vector_a_text(server: FaultyServer, call: Driver) -> None:
    scenario = server.scenario("500", 1)

    found = call("embed", "openai/text-embedding-3-small", ["a", "four"], **at(scenario, OPENAI, max_tokens=None))

    assert ((1.0, 0.5), (4.0, 0.5)) == found.vectors
    assert (7, 0, 2) == (found.usage.input_tokens, found.usage.output_tokens, found.usage.attempts)
    assert 7 * 0.02e-6 == pytest.approx(found.usage.cost)


def test_anthropic_is_priced_by_its_own_list(server: FaultyServer, call: Driver) -> None:
    answer = call("complete", ANTHROPIC, "hello", **at(server.scenario(), ANTHROPIC))

    assert "anthropic" == answer.usage.provider
    assert 10 * 3e-6 + 5 * 15e-6 == pytest.approx(answer.usage.cost)
