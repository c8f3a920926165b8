"""A provider's HTTP for the tests of the deciders, over respx and through the real litellm; and how they are driven."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import Any

import httpx
import respx

from agentflow.select import Target
from agentflow.select.decider import Decider

CHAT = "https://api.openai.com/v1/chat/completions"
EMBEDDINGS = "https://api.openai.com/v1/embeddings"

DRAW = Target("draw", "Draw a picture for the user.")
WRITE = Target("write", "Write a text for the user.")
ASK = Target("ask", "Ask the user for details.")
TARGETS = (ASK, DRAW, WRITE)


def chat_body(text: str | None, finish: str = "stop") -> dict[str, Any]:
    return {
        "id": "c1",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-4o-mini-2024-07-18",
        "choices": [{"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": text}}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
    }


def chosen(target: str, reason: str = "", confidence: float | None = None) -> str:
    """What a well-behaved model writes."""
    return json.dumps({"next_action": target, "reason": reason, "confidence": confidence})


class Provider:
    """Answers chat requests in turn, the last answer for ever; remembers what it was asked."""

    def __init__(self, router: respx.MockRouter) -> None:
        self.route = router.post(CHAT)
        self.reply("")

    def reply(self, *answers: str | int | Callable[[dict[str, Any]], str]) -> None:
        """An answer is a text, an HTTP status, or a function of the request that gives a text."""
        waiting = list(answers)

        def respond(request: httpx.Request) -> httpx.Response:
            answer = waiting.pop(0) if len(waiting) > 1 else waiting[0]
            if isinstance(answer, int):
                return httpx.Response(answer, json={"error": {"message": "no"}})
            text = answer(json.loads(request.content)) if callable(answer) else answer
            return httpx.Response(200, json=chat_body(text))

        self.route.mock(side_effect=respond)

    @property
    def requests(self) -> list[dict[str, Any]]:
        return [json.loads(call.request.content) for call in self.route.calls]

    @property
    def calls(self) -> int:
        return len(self.route.calls)


class Colour:
    """Asks a decider in one colour, so that a test is written once."""

    def __init__(self, name: str) -> None:
        self.name = name

    def select(self, decider: Decider, state: Any, targets: Sequence[Target] = TARGETS) -> Any:
        if self.name == "blocking":
            return decider.select(state, targets)
        return asyncio.run(decider.aselect(state, targets))

    def wait(self, blocking: Callable[[], Any], waiting: Callable[[], Any]) -> Any:
        if self.name == "blocking":
            return blocking()

        async def waited() -> Any:
            return await waiting()

        return asyncio.run(waited())
