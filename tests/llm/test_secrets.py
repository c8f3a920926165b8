"""Keys appear nowhere: not in errors, logs, attempts, reprs or results."""

from __future__ import annotations

import logging
import traceback
from dataclasses import replace

import pytest

from agentflow.errors import ProviderError
from agentflow.llm import redact
from agentflow.llm.requests import build
from tests.llm.driving import KEY, OPENAI, QUICK, Driver, at
from tests.llm.faulty_server import FaultyServer


@pytest.mark.parametrize("fault", ["400", "401", "429", "500", "garbage", "wrong-schema", "reset"])
def test_no_key_in_errors_logs_and_attempts(
    server: FaultyServer, call: Driver, model: str, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The server repeats the key it was sent, as providers do."""
    with caplog.at_level(logging.DEBUG), pytest.raises(ProviderError) as caught:
        call("complete", model, "hello", **at(server.scenario(fault, 100), model, policy=replace(QUICK, retries=1)))

    shown = [str(caught.value), repr(caught.value), repr(caught.value.log), repr(caught.value.__dict__)]
    shown += traceback.format_exception(caught.value)
    shown += [logging.Formatter().format(record) for record in caplog.records]
    assert [] == [text for text in shown if KEY in text]


def test_a_key_from_the_environment_is_hidden_whatever_it_looks_like(
    server: FaultyServer, call: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "open sesame 7")

    with pytest.raises(ProviderError) as caught:
        call("complete", OPENAI, "hello", **at(server.scenario("401", 1), OPENAI, api_key=None))

    assert "open sesame" not in str(caught.value)
    assert "[redacted]" in str(caught.value)


def test_no_key_in_the_repr_of_a_request() -> None:
    request = build(OPENAI, "hello", {"api_key": KEY})

    assert KEY not in repr(request) + repr(request.call())


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("key sk-proj-abcdefgh1234 is wrong", "key [redacted] is wrong"),
        ("AIzaSyA1234567890abcdef", "[redacted]"),
        ("Authorization: Bearer abc.def-ghi", "Authorization: Bearer [redacted]"),
        ('{"x-api-key": "0123456789"}', '{"x-api-key": "[redacted]"}'),
        ("api_key=0123456789&x=1", "api_key=[redacted]&x=1"),
        ("a task of risk-free asking", "a task of risk-free asking"),
    ],
)
def test_what_looks_like_a_key_is_hidden(text: str, clean: str) -> None:
    assert clean == redact(text)


def test_the_secrets_given_are_hidden_and_short_ones_are_no_secrets() -> None:
    assert "user [redacted] said no" == redact("user hunter22 said no", "hunter22", "no", None)
