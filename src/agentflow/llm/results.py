"""What a call to a model gives back: values, and the facts of how they were got.

What must not live here: anything that makes a call.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from agentflow.usage import Usage

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try of a call.

    Attributes:
        number: 1 for the first try of the call; fallback models count on.
        model: The model that was asked.
        outcome: "ok", or why it failed: "auth", "bad_request", "rate_limit", "server", "connection", "timeout",
            "malformed", "refused" or "circuit_open".
        status: The HTTP status, None when no complete response came.
        waited: Seconds that passed before this try since the one before: back-off, Retry-After, or a full queue.
        seconds: How long the try itself took.
        reason: What went wrong, in words, without secrets; "" when nothing did.
    """

    number: int
    model: str
    outcome: str
    status: int | None
    waited: float
    seconds: float
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool the model wants called.

    Attributes:
        id: The provider's name for this call, to answer it by.
        name: The tool.
        arguments: Its arguments, as the JSON text the model wrote.
    """

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Completion:
    """A model's answer as text.

    Attributes:
        text: The answer; "" when the model only called tools.
        usage: What it used.
        attempts: Every try, in order; the last one succeeded.
        finish_reason: Why the model stopped, in the provider-neutral words of litellm ("stop", "length",
            "tool_calls", "content_filter").
        tool_calls: The tools it wants called.
    """

    text: str
    usage: Usage
    attempts: tuple[Attempt, ...]
    finish_reason: str = "stop"
    tool_calls: tuple[ToolCall, ...] = ()

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Structured(Generic[T]):
    """A model's answer as the pydantic model that was asked for.

    Attributes:
        value: The validated answer.
        usage: What it used, re-asks included.
        attempts: Every try, in order; the last one succeeded.
        raw: The text `value` was read from.
    """

    value: T
    usage: Usage
    attempts: tuple[Attempt, ...]
    raw: str


@dataclass(frozen=True, slots=True)
class Embedding:
    """Texts as vectors.

    Attributes:
        vectors: One vector a text, in the order of the texts.
        usage: What it used.
        attempts: Every try, in order; the last one succeeded.
    """

    vectors: tuple[tuple[float, ...], ...]
    usage: Usage
    attempts: tuple[Attempt, ...]


Message = dict[str, Any]
