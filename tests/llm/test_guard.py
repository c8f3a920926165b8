"""The switch that forbids real calls: what it refuses, what it lets through, and that it goes away again."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import respx

from agentflow.errors import ProviderError, RealCallError
from agentflow.llm import guard
from tests.llm.driving import KEY, OPENAI, QUICK, Driver, at
from tests.llm.faulty_server import FaultyServer, openai_body

URL = "https://api.openai.com/v1/chat/completions"


@pytest.fixture
def forbidden(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """Real calls are forbidden; the list collects every socket that was opened all the same."""
    opened: list[Any] = []

    class Recorded(socket.socket):
        def connect(self, address: Any) -> None:
            opened.append(address)
            super().connect(address)

    was_allowed = guard.real_calls_allowed()
    guard.forbid_real_calls()
    monkeypatch.setattr(socket, "socket", Recorded)
    yield opened
    if was_allowed:
        guard.allow_real_calls()


def test_a_real_call_is_refused_before_a_socket_opens(forbidden: list[Any], call: Driver, model: str) -> None:
    with pytest.raises(RealCallError, match=r"A real call to 'api\.\w+\.com' was about to be made") as caught:
        call("complete", model, "hello", api_key=KEY, policy=QUICK)

    assert ("refused", 0, []) == (caught.value.kind, caught.value.attempts, forbidden)


def test_a_real_stream_and_a_real_embedding_are_refused(forbidden: list[Any], call: Driver) -> None:
    with pytest.raises(RealCallError):
        call.pieces(lambda verb: verb(OPENAI, "hello", api_key=KEY), [])
    with pytest.raises(RealCallError):
        call("embed", "text-embedding-3-small", "hello", api_key=KEY)

    assert [] == forbidden


def test_a_host_nobody_knows_is_refused_inside_a_call(forbidden: list[Any], call: Driver) -> None:
    with pytest.raises(RealCallError, match=r"'llm\.example\.com'"):
        call("complete", OPENAI, "hello", api_base="http://llm.example.com/v1")

    assert [] == forbidden


def test_an_intercepted_call_passes(forbidden: list[Any], call: Driver) -> None:
    with respx.mock:
        respx.post(URL).mock(return_value=httpx.Response(200, json=openai_body("good day", "gpt-4o-mini")))
        answer = call("complete", OPENAI, "hello", api_key=KEY, policy=QUICK)

    assert ("good day", []) == (answer.text, forbidden)


def test_a_call_to_this_machine_passes(forbidden: list[Any], server: FaultyServer, call: Driver) -> None:
    answer = call("complete", OPENAI, "hello", **at(server.scenario(text="good day"), OPENAI))

    assert "good day" == answer.text


def test_a_client_library_used_directly_is_refused_too(forbidden: list[Any]) -> None:
    with pytest.raises(RealCallError):
        httpx.post(URL, json={})

    assert [] == forbidden


def test_what_is_no_provider_is_none_of_its_business(forbidden: list[Any]) -> None:
    guard.refuse_real_call("shop.example.com")


def test_the_switch_can_be_turned_back(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_up: list[object] = []
    was_allowed = guard.real_calls_allowed()
    guard.allow_real_calls()
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *_: looked_up.append(host))

    guard.forbid_real_calls()
    with pytest.raises(RealCallError):
        socket.getaddrinfo("api.openai.com", 443)
    guard.allow_real_calls()
    socket.getaddrinfo("api.openai.com", 443)

    assert ["api.openai.com"] == looked_up
    if not was_allowed:
        guard.forbid_real_calls()


def test_the_refusal_is_a_provider_error_so_that_callers_need_no_second_except() -> None:
    assert issubclass(RealCallError, ProviderError)
