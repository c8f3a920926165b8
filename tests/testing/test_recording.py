"""Recording: what a provider really said is written down once, without a secret, and replayed without the provider."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import agentflow.llm
from agentflow.errors import ProviderError
from agentflow.llm import allow_real_calls, forbid_real_calls, real_calls_allowed
from agentflow.testing import Recording, ScriptedProvider, UnscriptedRequestError
from agentflow.testing.cassette import Exchange, load
from agentflow.testing.scrubbing import address_of, scrubbed, secrets_of
from tests.llm.driving import ANTHROPIC, KEY, OPENAI, Choice, Driver, at
from tests.llm.faulty_server import FOR_EVER, FaultyServer, Scenario


@pytest.fixture(scope="module")
def server() -> Iterator[FaultyServer]:
    with FaultyServer().serving() as server:
        yield server


@pytest.fixture(params=["blocking", "waiting"])
def call(request: pytest.FixtureRequest) -> Driver:
    return Driver(request.param)


@pytest.fixture(params=[OPENAI, ANTHROPIC], ids=["openai", "anthropic"])
def model(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cassettes" / "said.json"


def ask(call: Driver, scenario: Scenario, said: str = "Which?", model: str = OPENAI, **options: Any) -> str:
    return str(call("complete", model, said, **at(scenario, model, **options)).text)


def recorded(path: Path, server: FaultyServer, call: Driver, *said: str) -> Scenario:
    scenario = server.scenario(text="Paris")
    with Recording(path, record=True):
        for each in said:
            ask(call, scenario, each)
    return scenario


def test_what_was_recorded_is_replayed_without_the_provider(
    server: FaultyServer, call: Driver, model: str, path: Path
) -> None:
    scenario = server.scenario(text="Paris")
    for record in (True, False):
        with Recording(path, record=record) as recording:
            assert "Paris" == ask(call, scenario, model=model)
        assert 1 == recording.calls
        assert "Which?" == recording.requests[0].prompt
    assert 1 == scenario.calls


def test_one_colour_replays_what_the_other_recorded(server: FaultyServer, call: Driver, path: Path) -> None:
    other = Driver("waiting" if call.colour == "blocking" else "blocking")
    scenario = recorded(path, server, other, "Which?")
    with Recording(path):
        assert "Paris" == ask(call, scenario)
    assert 1 == scenario.calls


def test_structured_answers_streams_and_embeddings_are_replayed(
    server: FaultyServer, call: Driver, model: str, path: Path
) -> None:
    scenario, streamed = server.scenario(), server.scenario(text="Pa|ris")
    for record in (True, False):
        pieces: list[str] = []
        with Recording(path, record=record):
            chosen = call("structured", Choice, model, "Which?", **at(scenario, model))
            call.pieces(lambda verb: verb(model, "Which?", **at(streamed, model)), pieces)
            options = {key: value for key, value in at(scenario, OPENAI).items() if key != "max_tokens"}
            vectors = call("embed", "openai/text-embedding-3-small", ["one", "three"], **options).vectors
        assert "draft" == chosen.value.next_action
        assert ["Pa", "ris"] == pieces
        assert [[3.0, 0.5], [5.0, 0.5]] == [list(vector) for vector in vectors]
    assert (2, 1) == (scenario.calls, streamed.calls)


def test_a_fault_and_what_followed_it_are_replayed_in_order(server: FaultyServer, call: Driver, path: Path) -> None:
    scenario = server.scenario("429", 1, text="Paris", headers={"retry-after": "0.1", "x-request-id": "req_4711"})
    for record in (True, False):
        with Recording(path, record=record):
            answer = call("complete", OPENAI, "Which?", **at(scenario, OPENAI))
        assert ("rate_limit", "ok") == tuple(attempt.outcome for attempt in answer.attempts)
        assert 0.1 <= answer.attempts[1].waited  # its policy alone would wait half as long at most
    assert 2 == scenario.calls
    assert [429, 200] == [exchange.status for exchange in load(path)]
    assert "4711" not in path.read_text()


def test_no_key_is_written_not_even_where_the_provider_repeats_it(
    server: FaultyServer, call: Driver, model: str, path: Path
) -> None:
    scenario = server.scenario("401", FOR_EVER)  # its message names the key
    with Recording(path, record=True), pytest.raises(ProviderError):
        ask(call, scenario, f"my key is {KEY}", model=model)
    assert KEY in scenario.keys[0]
    assert KEY not in path.read_text()
    with Recording(path), pytest.raises(ProviderError) as caught:
        ask(call, scenario, f"my key is {KEY}", model=model)
    assert "auth" == caught.value.kind


def test_another_key_replays_the_same_recording(server: FaultyServer, call: Driver, path: Path) -> None:
    scenario = recorded(path, server, call, "Which?")
    with Recording(path):
        assert "Paris" == ask(call, scenario, api_key="sk-somebody-elses-0123456789")


def test_equal_requests_are_answered_as_often_as_they_were_made(server: FaultyServer, call: Driver, path: Path) -> None:
    scenario = recorded(path, server, call, "Which?", "Which?")
    with pytest.raises(UnscriptedRequestError, match="holds this request 2 times, and it was made once more"):
        _replay(path, call, scenario, "Which?", "Which?", "Which?")
    assert 2 == scenario.calls


def test_a_request_that_is_not_there_shows_the_nearest_one(server: FaultyServer, call: Driver, path: Path) -> None:
    scenario = recorded(path, server, call, "The capital of France?", "A very different thing")
    with pytest.raises(UnscriptedRequestError) as caught:
        _replay(path, call, scenario, "The capital of Spain?")
    told = str(caught.value)
    assert f"{path} does not hold this request:\n  POST http://127.0.0.1/" in told
    assert '-   "content": "The capital of France?"' in told
    assert '+   "content": "The capital of Spain?"' in told
    assert "very different" not in told
    assert told.endswith("delete the file and record it anew with --agentflow-record.")


def test_a_request_that_was_never_made_again_is_told(server: FaultyServer, call: Driver, path: Path) -> None:
    scenario = recorded(path, server, call, "one", "two")
    with pytest.raises(UnscriptedRequestError, match=r"1 of 2 requests in .*said\.json were never made"):
        _replay(path, call, scenario, "one")


def test_a_miss_that_the_test_swallowed_is_told_at_the_end(server: FaultyServer, call: Driver, path: Path) -> None:
    scenario = recorded(path, server, call, "one")
    recording = Recording(path)
    with recording.answering():
        ask(call, scenario, "one")
        with pytest.raises(UnscriptedRequestError):
            ask(call, scenario, "two")
    with pytest.raises(UnscriptedRequestError, match="does not hold this request"):
        recording.finish()


def test_a_file_that_is_not_there_says_how_to_make_it(path: Path) -> None:
    with pytest.raises(UnscriptedRequestError, match="said.json does not exist: record it once"), Recording(path):
        pytest.fail("it went on")


@pytest.mark.parametrize(
    ("content", "fact"),
    [("{", "is no cassette"), ("[]", "is no cassette"), ('{"format": 9}', "has format 9, not 1")],
)
def test_a_file_of_another_kind_is_refused(tmp_path: Path, content: str, fact: str) -> None:
    (tmp_path / "said.json").write_text(content)
    with pytest.raises(ValueError, match=f"said.json {fact}.*record it anew"), Recording(tmp_path / "said.json"):
        pytest.fail("it went on")


def test_a_recording_that_failed_writes_nothing(server: FaultyServer, call: Driver, path: Path) -> None:
    scenario = server.scenario("401", FOR_EVER)
    with pytest.raises(ProviderError), Recording(path, record=True):
        ask(call, scenario)
    assert 1 == scenario.calls
    assert not path.exists()


def test_many_at_once_get_what_belongs_to_each(server: FaultyServer, path: Path) -> None:
    scenario = server.scenario()

    async def embed_all() -> list[list[float]]:
        options = {key: value for key, value in at(scenario, OPENAI).items() if key != "max_tokens"}
        asked = [
            agentflow.llm.aembed("openai/text-embedding-3-small", ["x" * number], **options) for number in range(1, 9)
        ]
        return [list(answer.vectors[0]) for answer in await asyncio.gather(*asked)]

    for record in (True, False):
        with Recording(path, record=record):
            assert [[float(number), 0.5] for number in range(1, 9)] == asyncio.run(embed_all())
    assert 8 == scenario.calls


def test_other_servers_on_this_machine_are_left_alone(path: Path) -> None:
    path.parent.mkdir()
    path.write_text('{"format": 1, "exchanges": []}')
    with Recording(path), httpx.Client() as client, pytest.raises(httpx.ConnectError):
        client.get("http://127.0.0.1:1/health")  # a refused connection: nobody stood in front of it


def test_a_recording_makes_real_calls_where_they_are_forbidden_and_only_then(path: Path) -> None:
    were_allowed = real_calls_allowed()
    forbid_real_calls()
    try:
        with Recording(path, record=True):
            assert real_calls_allowed()
        assert not real_calls_allowed()
        with Recording(path):
            assert not real_calls_allowed()
    finally:
        if were_allowed:
            allow_real_calls()


def test_a_scripted_provider_may_stand_behind_a_recording_being_made(path: Path) -> None:
    with Recording(path, record=True), ScriptedProvider() as llm:
        llm.reply("from the script")
        assert "from the script" == agentflow.llm.complete("gpt-4o-mini", "hi").text


SECRET = "sk-canary-0123456789abcdef"


@pytest.mark.parametrize(
    ("headers", "address"),
    [
        ({"authorization": f"Bearer {SECRET}"}, "https://api.example.com/v1"),
        ({"cookie": f"session={SECRET}; lang=en"}, "https://api.example.com/v1"),
        ({"x-goog-api-key": "quite-unlike-a-key"}, "https://api.example.com/v1"),
        ({}, f"https://api.example.com/v1?alt=sse&key={SECRET}"),
        ({}, f"https://somebody:{SECRET}@api.example.com/v1"),
    ],
)
def test_what_a_request_proves_its_right_with_is_hidden_everywhere(headers: dict[str, str], address: str) -> None:
    request = httpx.Request("POST", address, headers=headers)
    secret = next(iter(headers.values()), SECRET).removeprefix("Bearer ")
    body = json.dumps({"said": f"you sent {secret}", "deep": [{"again": SECRET}]})
    written = json.dumps([address_of(request), scrubbed(body, secrets_of(request))])
    assert SECRET not in written
    assert "quite-unlike-a-key" not in written
    assert "https://api.example.com/v1" in written


def test_names_of_accounts_are_hidden_in_data_events_and_text() -> None:
    for body in (
        '{"organization": "acme", "error": "limit of org-Ab3dEf6hIj9kLm reached"}',
        'event: error\ndata: {"organization": "acme", "error": "org-Ab3dEf6hIj9kLm"}\n\n',
        "limit of org-Ab3dEf6hIj9kLm reached",
    ):
        written = json.dumps(scrubbed(body, ()))
        assert "acme" not in written
        assert "Ab3dEf6hIj9kLm" not in written


def test_ordinary_words_are_kept() -> None:
    said = {"said": "an org-level user_friendly proj-ect", "organization": "", "n": 1, "none": None}
    assert said == scrubbed(json.dumps(said), ())


def test_an_exchange_reads_as_it_was_written() -> None:
    exchange = Exchange("POST https://api.example.com/v1", {"a": 1}, 429, {"retry-after": "1"}, {"error": "slow down"})
    assert exchange == Exchange.read(json.loads(json.dumps(exchange.written())))


def _replay(path: Path, call: Driver, scenario: Scenario, *said: str) -> None:
    with Recording(path):
        for each in said:
            ask(call, scenario, each)
