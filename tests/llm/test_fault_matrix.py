"""Every fault a provider can have, once, twice and for ever, over real HTTP."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import pytest

from agentflow.errors import ProviderError
from agentflow.llm import limits
from agentflow.runtime import AsyncRuntime, BlockingRuntime
from tests.effort import THOROUGH
from tests.llm.driving import ANTHROPIC, OPENAI, QUICK, Choice, Driver, at
from tests.llm.faulty_server import FOR_EVER, PERMANENT, REPLY_FAULTS, TRANSIENT, FaultyServer

pytestmark = pytest.mark.slow

CALLERS = tuple(product((OPENAI, ANTHROPIC), ("blocking", "waiting")))
#: Three attempts or so: how many fit in says more about the machine than about the layer.
ENDLESS = replace(QUICK, retries=1000, backoff=0.25, max_backoff=0.3, timeout=0.25, deadline=0.6)
KINDS = {
    **dict.fromkeys(
        ("500", "502", "503", "529", "garbage", "truncated", "empty", "wrong-schema", "bad-utf8"), "server"
    ),
    **dict.fromkeys(("reset", "cut-body"), "connection"),
    **dict.fromkeys(("408", "hang"), "timeout"),
    **dict.fromkeys(("401", "403"), "auth"),
    **dict.fromkeys(("400", "404"), "bad_request"),
    **dict.fromkeys(REPLY_FAULTS, "malformed"),
    "429": "rate_limit",
}


@dataclass(frozen=True)
class Outcome:
    calls: int
    seconds: float
    value: Any = None
    error: Any = None
    outcomes: tuple[str, ...] = ()


Key = tuple[str, str, str, int]
FAULTS = (*product(TRANSIENT, (1, 2, FOR_EVER)), *product(PERMANENT, (FOR_EVER,)))
#: Every fault to every caller; to one of them, by turns, in a quick run.
CASES: list[Key] = [
    (*caller, *fault)
    for number, fault in enumerate(FAULTS)
    for caller in (CALLERS if THOROUGH else (CALLERS[number % len(CALLERS)],))
]


def name_of(case: Key) -> str:
    model, colour, fault, times = case
    return f"{model.partition('/')[0]}-{colour}-{fault}-{'for-ever' if times == FOR_EVER else times}"


def perform(server: FaultyServer, case: Key) -> Outcome:
    model, colour, fault, times = case
    scenario = server.scenario(fault, times)
    endless = times == FOR_EVER and fault in TRANSIENT
    policy = ENDLESS if endless else replace(QUICK, timeout=2.0) if fault == "hang" else QUICK
    begun = time.monotonic()
    try:
        answer = Driver(colour)("structured", Choice, model, "Which?", **at(scenario, model, policy=policy))
    except ProviderError as error:
        log: Any = error.log
        outcomes = tuple(attempt.outcome for attempt in log)
        return Outcome(scenario.calls, time.monotonic() - begun, error=error, outcomes=outcomes)
    outcomes = tuple(attempt.outcome for attempt in answer.attempts)
    return Outcome(scenario.calls, time.monotonic() - begun, answer.value, outcomes=outcomes)


@pytest.fixture(scope="module")
def outcomes(server: FaultyServer) -> dict[Key, Outcome]:
    """Several cases at once, as most of their time is waiting; with many, each would wait for a processor too."""
    limits.configure(breaker_failures=0)
    with ThreadPoolExecutor(6) as pool:
        return dict(zip(CASES, pool.map(lambda case: perform(server, case), CASES), strict=True))


@pytest.mark.parametrize("case", [case for case in CASES if case[3] != FOR_EVER], ids=name_of)
def test_a_transient_fault_is_survived(case: Key, outcomes: dict[Key, Outcome]) -> None:
    _, _, fault, times = case
    outcome = outcomes[case]

    assert Choice(next_action="draft", reason="the mail is new") == outcome.value
    assert (*[KINDS[fault]] * times, "ok") == outcome.outcomes
    assert times + 1 == outcome.calls


@pytest.mark.parametrize("case", [case for case in CASES if case[3] == FOR_EVER and case[2] in TRANSIENT], ids=name_of)
def test_a_fault_that_never_ends_is_a_typed_error_soon_after_the_deadline(
    case: Key, outcomes: dict[Key, Outcome]
) -> None:
    outcome = outcomes[case]

    assert outcome.error.kind in (KINDS[case[2]], "timeout")  # the deadline may cut the last attempt off
    assert outcome.error.attempts == len(outcome.outcomes)
    cut_off = outcome.outcomes.count("timeout")  # some of these may never have reached the server
    assert outcome.error.attempts - cut_off <= outcome.calls <= outcome.error.attempts
    assert outcome.seconds <= ENDLESS.deadline + 1.0
    if case[2] in REPLY_FAULTS:  # re-asking has a budget of its own, which ends sooner
        assert outcome.calls <= 1 + ENDLESS.reasks
    else:
        assert outcome.seconds >= ENDLESS.deadline - ENDLESS.max_backoff  # as long as another attempt was possible


@pytest.mark.parametrize("case", [case for case in CASES if case[2] in PERMANENT], ids=name_of)
def test_a_permanent_fault_costs_exactly_one_call(case: Key, outcomes: dict[Key, Outcome]) -> None:
    outcome = outcomes[case]

    assert 1 == outcome.calls
    assert (KINDS[case[2]], int(case[2])) == (outcome.error.kind, outcome.error.status)


@pytest.mark.parametrize(("status", "header"), [("429", {"retry-after": "0.2"}), ("503", {"retry-after-ms": "200"})])
def test_retry_after_is_honoured_within_a_tenth(
    server: FaultyServer,
    call: Driver,
    model: str,
    status: str,
    header: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slept: list[float] = []
    for runtime in (BlockingRuntime, AsyncRuntime):
        monkeypatch.setattr(runtime, "sleep", noting(runtime.sleep, slept))
    scenario = server.scenario(status, 1, headers=header)

    answer = call("complete", model, "hello", **at(scenario, model))

    assert [pytest.approx(0.2, rel=0.1)] == slept  # how late a busy machine wakes up is not for the layer to say
    assert 0.2 <= answer.attempts[1].waited


def noting(sleep: Any, slept: list[float]) -> Any:
    """`sleep`, and a note of how long it was told to."""

    async def noted(runtime: Any, seconds: float) -> None:
        slept.append(seconds)
        await sleep(runtime, seconds)

    return noted


def test_a_retry_after_that_is_too_long_fails_at_once(server: FaultyServer, call: Driver, model: str) -> None:
    scenario = server.scenario("429", FOR_EVER, headers={"retry-after": "3600"})

    with pytest.raises(ProviderError) as caught:
        call("complete", model, "hello", **at(scenario, model))

    assert ("rate_limit", 1) == (caught.value.kind, scenario.calls)
