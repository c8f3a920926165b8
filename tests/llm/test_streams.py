"""Answers piece by piece: pieces, facts at the end, and failures before and after the first piece."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import agentflow.llm
from agentflow.errors import ProviderError
from agentflow.llm import limits
from tests.llm.driving import OPENAI, Driver, at
from tests.llm.faulty_server import FOR_EVER, FaultyServer, Scenario

TEXT = "one |two |three"
PIECES = ["one ", "two ", "three"]


def opened(model: str, scenario: Scenario, **options: Any) -> Any:
    return lambda verb: verb(model, "count", **at(scenario, model, **options))


def test_pieces_come_in_order_and_usage_at_the_end(server: FaultyServer, call: Driver, model: str) -> None:
    pieces: list[str] = []

    stream = call.pieces(opened(model, server.scenario(text=TEXT)), pieces)

    assert (PIECES, "".join(PIECES), "stop") == (pieces, stream.text, stream.finish_reason)
    assert (10, 5, 1) == (stream.usage.input_tokens, stream.usage.output_tokens, stream.usage.attempts)
    assert stream.usage.cost > 0


def test_nothing_is_sent_before_the_first_piece_is_asked_for(server: FaultyServer) -> None:
    scenario = server.scenario(text=TEXT)

    agentflow.llm.stream(OPENAI, "count", **at(scenario, OPENAI))

    assert 0 == scenario.calls


@pytest.mark.parametrize("fault", ["500", "429", "reset", "garbage", "truncated", "empty", "wrong-schema", "cut-body"])
def test_a_fault_before_the_first_piece_is_survived(server: FaultyServer, call: Driver, model: str, fault: str) -> None:
    scenario = server.scenario(fault, 1, text=TEXT)
    pieces: list[str] = []

    stream = call.pieces(opened(model, scenario), pieces)

    assert (PIECES, 2) == (pieces, scenario.calls)
    assert "ok" == stream.attempts[-1].outcome


def test_a_stream_that_breaks_off_is_an_error_and_no_second_answer(
    server: FaultyServer, call: Driver, model: str
) -> None:
    scenario = server.scenario("cut-stream", FOR_EVER, text=TEXT)
    pieces: list[str] = []

    with pytest.raises(ProviderError) as caught:
        call.pieces(opened(model, scenario), pieces)

    assert ("connection", 1) == (caught.value.kind, scenario.calls)
    assert PIECES[: len(pieces)] == pieces
    assert 0 < len(pieces) < len(PIECES)


def test_a_stream_ends_at_the_deadline(server: FaultyServer, call: Driver) -> None:
    scenario = server.scenario("drip", FOR_EVER, text="|".join("abcdefghijklmnop"))

    with pytest.raises(ProviderError, match="the stream was still going on") as caught:
        call.pieces(opened(OPENAI, scenario, deadline=0.5), [])

    assert "timeout" == caught.value.kind


def test_a_permanent_fault_ends_a_stream_at_once(server: FaultyServer, call: Driver, model: str) -> None:
    scenario = server.scenario("401", FOR_EVER)

    with pytest.raises(ProviderError) as caught:
        call.pieces(opened(model, scenario), [])

    assert ("auth", 1) == (caught.value.kind, scenario.calls)


def test_closing_early_counts_what_came_and_gives_the_place_back(server: FaultyServer, model: str) -> None:
    limits.configure(max_concurrency=1)
    options = at(server.scenario(text=TEXT), model)

    with agentflow.llm.stream(model, "count", **options) as stream:
        assert "one " == next(stream)
    answer = agentflow.llm.complete(model, "hello", **options)

    assert "one " == stream.text
    assert stream.usage is not None
    assert stream.usage.output_tokens > 0
    assert "ok" == answer.attempts[-1].outcome


def test_closing_early_works_in_async_code_too(server: FaultyServer, model: str) -> None:
    limits.configure(max_concurrency=1)
    options = at(server.scenario(text=TEXT), model)

    async def read() -> tuple[str, str]:
        async with agentflow.llm.astream(model, "count", **options) as stream:
            first = await anext(stream)
        await agentflow.llm.acomplete(model, "hello", **options)
        return first, stream.text

    assert ("one ", "one ") == asyncio.run(read())
