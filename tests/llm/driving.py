"""How the tests of the provider layer make a call: in either colour, at a scenario of the faulty server."""

from __future__ import annotations

import asyncio
from typing import Any, Literal

from pydantic import BaseModel

import agentflow.llm
from tests.llm.faulty_server import FaultyServer, Scenario

OPENAI = "openai/gpt-4o-mini"
ANTHROPIC = "anthropic/claude-sonnet-4-5"
KEY = "sk-canary-0123456789abcdef"

#: Short enough for tests, long enough for a machine that is busy.
QUICK = agentflow.llm.RetryPolicy(backoff=0.02, max_backoff=0.05, timeout=5.0, deadline=20.0)


class Choice(BaseModel):
    """The next action."""

    next_action: Literal["draft", "send"]
    reason: str


class Driver:
    """Calls a verb in one colour, so that a test is written once."""

    def __init__(self, colour: str) -> None:
        self.colour = colour

    def __call__(self, verb: str, *args: Any, **options: Any) -> Any:
        if self.colour == "blocking":
            return getattr(agentflow.llm, verb)(*args, **options)
        return asyncio.run(getattr(agentflow.llm, f"a{verb}")(*args, **options))

    def pieces(self, stream_of: Any, into: list[str]) -> Any:
        """Read a whole stream into a list; the stream, for its facts. `stream_of` gets the verb to call."""
        if self.colour == "blocking":
            stream = stream_of(agentflow.llm.stream)
            into.extend(stream)
            return stream

        async def read() -> Any:
            stream = stream_of(agentflow.llm.astream)
            async for piece in stream:
                into.append(piece)
            return stream

        return asyncio.run(read())


def at(scenario: Scenario, model: str, **options: Any) -> dict[str, Any]:
    """The options that send a call for `model` to a scenario."""
    base = scenario.base if model.startswith("anthropic") else f"{scenario.base}/v1"
    return {"api_base": base, "api_key": KEY, "policy": QUICK, "max_tokens": 50, **options}


def warm_up(server: FaultyServer) -> None:
    """What litellm imports at its first use, and at its first failure, takes longer than the time-outs under test."""
    for model in (OPENAI, ANTHROPIC):
        for colour in ("blocking", "waiting"):
            options = at(server.scenario("500", 1), model)
            Driver(colour)("structured", Choice, model, "warm up", **options)
            Driver(colour).pieces(lambda verb, model=model, options=options: verb(model, "warm up", **options), [])
