"""How many calls at once, and none for a while after a provider kept failing."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

import agentflow.llm
from agentflow.errors import ProviderError
from agentflow.llm import limits
from agentflow.llm.faults import Fault, FaultError
from agentflow.llm.limits import Gate
from agentflow.runtime import ASYNC, BLOCKING, run_blocking
from tests.llm.driving import OPENAI, QUICK, Driver, at
from tests.llm.faulty_server import FOR_EVER, FaultyServer

SERVER_FAULT = Fault("server", "it broke", 500, transient=True)
ONCE = replace(QUICK, retries=0)


def test_threads_and_tasks_share_one_cap(server: FaultyServer) -> None:
    agentflow.llm.configure(max_concurrency=3)
    scenario = server.scenario(delay=0.05)
    options = at(scenario, OPENAI)

    def in_tasks(_: int) -> int:
        async def ask() -> int:
            answers = [agentflow.llm.acomplete(OPENAI, "hello", **options) for _ in range(4)]
            return len(await asyncio.gather(*answers))

        return asyncio.run(ask())

    def in_thread(_: int) -> int:
        return len([agentflow.llm.complete(OPENAI, "hello", **options)])

    with ThreadPoolExecutor(6) as pool:
        done = [*pool.map(in_tasks, range(2)), *pool.map(in_thread, range(4))]

    assert (12, 12) == (sum(done), scenario.calls)
    assert 3 == scenario.most_busy


def test_a_call_that_finds_no_room_before_its_deadline_says_so(server: FaultyServer, call: Driver) -> None:
    agentflow.llm.configure(max_concurrency=1)
    options = at(server.scenario(text="a|b"), OPENAI)

    with agentflow.llm.stream(OPENAI, "count", **options) as stream:
        next(stream)
        with pytest.raises(ProviderError, match=r"1 calls to .* were under way all the time") as caught:
            call("complete", OPENAI, "hello", deadline=0.2, **options)
    after = call("complete", OPENAI, "hello", **options)

    assert ("timeout", 0) == (caught.value.kind, caught.value.attempts)
    assert "ok" == after.attempts[-1].outcome


def test_a_task_cancelled_in_the_queue_leaves_no_place_behind() -> None:
    limits.configure(max_concurrency=1)
    gate = Gate("somebody")

    async def story() -> None:
        await gate.admit(ASYNC, 1.0, started=False)
        waiting = asyncio.create_task(gate.admit(ASYNC, 5.0, started=False))
        next_one = asyncio.create_task(gate.admit(ASYNC, 5.0, started=False))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        gate.leave(None)
        await asyncio.wait_for(next_one, 1.0)
        gate.leave(None)
        await gate.admit(ASYNC, 0.1, started=False)

    asyncio.run(story())


def test_a_place_granted_in_the_moment_of_cancelling_is_given_back() -> None:
    limits.configure(max_concurrency=1)
    gate = Gate("somebody")

    async def story() -> None:
        await gate.admit(ASYNC, 1.0, started=False)
        waiting = asyncio.create_task(gate.admit(ASYNC, 5.0, started=False))
        await asyncio.sleep(0)
        gate.leave(None)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await gate.admit(ASYNC, 0.1, started=False)

    asyncio.run(story())


def test_a_provider_that_keeps_failing_is_left_alone_for_a_while(server: FaultyServer, call: Driver) -> None:
    agentflow.llm.configure(breaker_failures=3, breaker_seconds=30)
    scenario = server.scenario("500", FOR_EVER)

    kinds = []
    for _ in range(5):
        with pytest.raises(ProviderError) as caught:
            call("complete", OPENAI, "hello", **at(scenario, OPENAI, policy=ONCE))
        kinds.append(caught.value.kind)

    assert ["server", "server", "server", "circuit_open", "circuit_open"] == kinds
    assert 3 == scenario.calls
    assert 0 == caught.value.attempts


def test_an_open_circuit_sends_a_call_to_its_fallback_at_once(server: FaultyServer, call: Driver) -> None:
    agentflow.llm.configure(breaker_failures=1, breaker_seconds=30)
    limits.gate_of("anthropic").leave(SERVER_FAULT)

    with pytest.raises(ProviderError) as caught:
        call("complete", "anthropic/claude-sonnet-4-5", "hello", fallback_models=["nobody-knows-me"])

    assert "bad_request" == caught.value.kind


def test_one_probe_decides_whether_the_circuit_closes(server: FaultyServer, call: Driver) -> None:
    agentflow.llm.configure(breaker_failures=2, breaker_seconds=0.2)
    scenario = server.scenario("500", 2)

    answer = call("complete", OPENAI, "hello", **at(scenario, OPENAI))

    assert ["server", "server", "circuit_open", "ok"] == [each.outcome for each in answer.attempts]
    assert (3, 3) == (scenario.calls, answer.usage.attempts)


def test_while_one_probes_the_others_are_refused() -> None:
    limits.configure(breaker_failures=1, breaker_seconds=0.0)
    gate = Gate("somebody")
    run_blocking(gate.admit(BLOCKING, 1.0, started=False))
    gate.leave(SERVER_FAULT)

    run_blocking(gate.admit(BLOCKING, 1.0, started=False))
    with pytest.raises(FaultError):
        run_blocking(gate.admit(BLOCKING, 1.0, started=False))
    gate.leave(None)

    run_blocking(gate.admit(BLOCKING, 1.0, started=False))


@pytest.mark.parametrize(
    "fault", [Fault("rate_limit", "slow down", 429, transient=True), Fault("bad_request", "no such model", 404)]
)
def test_a_provider_that_answers_is_not_failing(fault: Fault) -> None:
    limits.configure(breaker_failures=1, breaker_seconds=30)
    gate = Gate("somebody")

    for _ in range(3):
        run_blocking(gate.admit(BLOCKING, 1.0, started=False))
        gate.leave(fault)


def test_a_cap_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="max_concurrency is 0"):
        agentflow.llm.configure(max_concurrency=0)


def test_configure_gives_back_what_was_set_before() -> None:
    first = agentflow.llm.configure(max_concurrency=5)
    second = agentflow.llm.configure(breaker_failures=9, breaker_seconds=1.5)

    assert (64, 5) == (first.max_concurrency, second.max_concurrency)
    assert limits.Limits(5, 9, 1.5) == agentflow.llm.configure()
