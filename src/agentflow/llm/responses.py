"""Reading litellm's responses: text, tool calls, tokens and cost.

What must not live here: deciding whether an answer is good enough.
"""

from __future__ import annotations

from typing import Any

from agentflow.llm.faults import Fault, FaultError
from agentflow.llm.results import ToolCall
from agentflow.usage import Usage


def usage_of(response: Any, model: str, provider: str) -> Usage:
    """Tokens and cost of one response; tokens count as 0 when the provider does not tell."""
    counted = getattr(response, "usage", None)
    hidden = getattr(response, "_hidden_params", None) or {}
    return Usage(
        model=model,
        provider=provider,
        input_tokens=int(getattr(counted, "prompt_tokens", None) or 0),
        output_tokens=int(getattr(counted, "completion_tokens", None) or 0),
        cost=hidden.get("response_cost"),
    )


def choice_of(response: Any) -> Any:
    """The first choice of a response; a response without any is as broken as a cut body."""
    choices = getattr(response, "choices", None)
    if not choices:
        raise FaultError(Fault("server", "the response holds no choice", 200, transient=True))
    return choices[0]


def text_of(choice: Any) -> str:
    """What the model said; "" when it said nothing."""
    return choice.message.content or ""


def tool_calls_of(choice: Any) -> tuple[ToolCall, ...]:
    """The tools the model wants called."""
    calls = getattr(choice.message, "tool_calls", None) or ()
    return tuple(ToolCall(call.id or "", call.function.name or "", call.function.arguments or "") for call in calls)
