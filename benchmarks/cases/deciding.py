"""What agentflow adds to a call of a model: a structured answer, a decision, a thousand of them in the lab.

Both sides go through litellm, send the same messages, and are answered below httpx. Each figure is a ratio measured in
one process, with both sides taking turns, because litellm's own time moves by more than what is looked for.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from benchmarks.case import Case

TARGETS = {"draw": "Draw a picture.", "write": "Write a text.", "search": "Look something up."}
STATE = {"query": "Please paint a small cat that sits in the sun."}
CALLS = 300
#: The lab's part: so many cases, so many at a time, and how long the provider takes, in seconds.
LABELLED, AT_ONCE, LATENCY = 1_000, 50, 0.02
PARTS, PROBES = 5, 60


@contextmanager
def answered(latency: float = 0.0) -> Iterator[list[Any]]:
    """Answer every request below httpx with a decision, at the least cost; the bodies that were sent."""
    import httpx

    said = json.dumps({"next_action": "draw", "reason": "a picture is asked for", "confidence": 0.9})
    message = {"role": "assistant", "content": said}
    usage = {"prompt_tokens": 120, "completion_tokens": 20, "total_tokens": 140}
    choices = [{"index": 0, "finish_reason": "stop", "message": message}]
    body = {"id": "c1", "object": "chat.completion", "created": 1, "model": "gpt-4o-mini"}
    content = json.dumps({**body, "choices": choices, "usage": usage}).encode()
    headers = {"content-type": "application/json"}
    sent: list[Any] = []

    def handle(transport: Any, request: httpx.Request) -> httpx.Response:
        sent.append(request.read())
        if latency:
            time.sleep(latency)
        return httpx.Response(200, headers=headers, content=content)

    async def ahandle(transport: Any, request: httpx.Request) -> httpx.Response:
        sent.append(await request.aread())
        if latency:
            await asyncio.sleep(latency)
        return httpx.Response(200, headers=headers, content=content)

    with (
        mock.patch.dict("os.environ", {"OPENAI_API_KEY": "sk-benchmark"}),
        mock.patch.object(httpx.HTTPTransport, "handle_request", handle),
        mock.patch.object(httpx.AsyncHTTPTransport, "handle_async_request", ahandle),
    ):
        yield sent


def decider_and_targets() -> tuple[Any, Any]:
    from agentflow.select import LLMDecider, Target

    return LLMDecider("gpt-4o-mini", reads=["query"]), tuple(Target(*each) for each in sorted(TARGETS.items()))


def choice_of(decider: Any, targets: Any) -> Any:
    from agentflow.select.choice import Choice, Edges

    return Choice(Edges("decide", targets, selector=decider, selector_targets=targets))


def same_request(sent: list[Any]) -> dict[str, Any]:
    """The arguments with which litellm sends what agentflow sent last."""
    body = json.loads(sent[-1])
    return {**body, "max_retries": 0, "timeout": 60.0}


def decided_blocking(runtime: Any) -> Callable[[], Any]:
    from agentflow import State
    from agentflow.runtime import run_blocking

    choice, state = choice_of(*decider_and_targets()), State(STATE)
    return lambda: run_blocking(choice.ask(runtime, state))


def decided_async(runtime: Any) -> Callable[[], Awaitable[Any]]:
    from agentflow import State

    choice, state = choice_of(*decider_and_targets()), State(STATE)
    return lambda: choice.ask(runtime, state)


def structured_arguments() -> dict[str, Any]:
    from agentflow.select.decision_model import create_decision_model

    _, targets = decider_and_targets()
    return {
        "response_model": create_decision_model(targets),
        "model": "gpt-4o-mini",
        "messages": [{"role": "user", "content": STATE["query"]}],
        "max_tokens": 100,
    }


def blocking_ratio(what: str) -> Callable[[], float]:
    def measured() -> float:
        from agentflow.llm import backend, structured
        from agentflow.runtime import BLOCKING

        with answered() as sent:
            given = structured_arguments()
            ours = decided_blocking(BLOCKING) if what == "decision" else lambda: structured(**given)
            ours()
            litellm, bare = backend.load(), same_request(sent)
            return alternating(ours, lambda: litellm.completion(**bare))

    return measured


def async_ratio(what: str) -> Callable[[], float]:
    async def measured() -> float:
        from agentflow.llm import astructured, backend
        from agentflow.runtime import ASYNC

        with answered() as sent:
            given = structured_arguments()
            ours = decided_async(ASYNC) if what == "decision" else lambda: astructured(**given)
            await ours()
            litellm, bare = backend.load(), same_request(sent)
            return await aalternating(ours, lambda: litellm.acompletion(**bare))

    return lambda: asyncio.run(measured())


def alternating(ours: Callable[[], Any], bare: Callable[[], Any]) -> float:
    """How many times as long as the bare call ours takes, call by call in turns."""
    taken: dict[Any, list[float]] = {ours: [], bare: []}
    for _ in range(CALLS):
        for call in taken:
            started = time.perf_counter()
            call()
            taken[call].append(time.perf_counter() - started)
    return usual(taken[ours]) / usual(taken[bare])


async def aalternating(ours: Callable[[], Awaitable[Any]], bare: Callable[[], Awaitable[Any]]) -> float:
    """The same in an event loop."""
    taken: dict[Any, list[float]] = {ours: [], bare: []}
    for _ in range(CALLS):
        for call in taken:
            started = time.perf_counter()
            await call()
            taken[call].append(time.perf_counter() - started)
    return usual(taken[ours]) / usual(taken[bare])


def usual(seconds: list[float]) -> float:
    """What it takes when nothing comes in between: the lower quartile."""
    return sorted(seconds)[len(seconds) // 4]


def labelled(count: int) -> list[tuple[str, str]]:
    return [(f"Paint cat number {number}.", "draw") for number in range(count)]


def lab_blocking() -> float:
    """What the lab takes, over the waiting and litellm's own time for as many calls; in parts that take turns."""
    from agentflow.llm import backend
    from agentflow.runtime import BLOCKING
    from agentflow.select.lab import evaluate

    decider, targets = decider_and_targets()
    cases, taken, own = labelled(LABELLED // PARTS), 0.0, 0.0
    with answered() as sent:
        decided_blocking(BLOCKING)()
        litellm, bare = backend.load(), same_request(sent)
    for _ in range(PARTS):
        with answered():
            started = time.perf_counter()
            for _ in range(PROBES):
                litellm.completion(**bare)
            own += time.perf_counter() - started
        with answered(LATENCY):
            started = time.perf_counter()
            evaluate(decider, targets, cases, concurrency=AT_ONCE)
            taken += time.perf_counter() - started
    return over_ideal(taken, own)


async def lab_async() -> float:
    """The same in an event loop."""
    from agentflow.llm import backend
    from agentflow.runtime import ASYNC
    from agentflow.select.lab import aevaluate

    decider, targets = decider_and_targets()
    cases, taken, own = labelled(LABELLED // PARTS), 0.0, 0.0
    with answered() as sent:
        await decided_async(ASYNC)()
        litellm, bare = backend.load(), same_request(sent)
    for _ in range(PARTS):
        with answered():
            started = time.perf_counter()
            for _ in range(PROBES):
                await litellm.acompletion(**bare)
            own += time.perf_counter() - started
        with answered(LATENCY):
            started = time.perf_counter()
            await aevaluate(decider, targets, cases, concurrency=AT_ONCE)
            taken += time.perf_counter() - started
    return over_ideal(taken, own)


def over_ideal(taken: float, probes: float) -> float:
    return taken / (LABELLED / AT_ONCE * LATENCY + LABELLED * probes / (PARTS * PROBES))


def no_more_than_a_tenth(figures: Any) -> bool:
    return all(figures[way] <= 1.1 for way in ("blocking", "async"))


CASES = [
    Case(
        f"{name}, over the same call through litellm alone",
        "times",
        {"blocking": blocking_ratio(what), "async": async_ratio(what)},
        "at most 1.1 times",
        no_more_than_a_tenth,
    )
    for what, name in (("decision", "a decision by a model"), ("structured", "a structured answer"))
]
CASES.append(
    Case(
        f"{LABELLED:,} labelled cases, {AT_ONCE} at once, over {LATENCY * 1e3:g} ms each and litellm's own time",
        "times",
        {"blocking": lab_blocking, "async": lambda: asyncio.run(lab_async())},
        "at most 1.3 times",
        lambda figures: all(figures[way] <= 1.3 for way in ("blocking", "async")),
    )
)
