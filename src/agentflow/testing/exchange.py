"""What goes over the wire, free of any provider's dialect: a request, and the reply or fault that answers it.

What must not live here: JSON, HTTP, or which reply answers which request.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Request:
    """One request to a model.

    Attributes:
        provider: The dialect it was spoken in: "openai", "anthropic" or "gemini".
        model: The model's name, as the provider hears it.
        messages: The chat history, system message included, as {"role": ..., "content": text}.
        stream: Whether the reply is wanted piece by piece.
        response_schema: The JSON schema the reply must fit, None when any text will do.
        tools: The JSON schemas of the tools offered, by name.
        forced_tool: The tool that has to be called, None when it need not call one.
        texts: The texts to embed; empty unless it asks for embeddings.
        raw: The whole body.
    """

    provider: str
    model: str
    messages: tuple[Mapping[str, str], ...] = ()
    stream: bool = False
    response_schema: Mapping[str, Any] | None = None
    tools: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    forced_tool: str | None = None
    texts: tuple[str, ...] = ()
    raw: Mapping[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """Everything that was said, the newest last."""
        return "\n".join(message["content"] for message in self.messages)

    @property
    def prompt(self) -> str:
        """The last message."""
        return self.messages[-1]["content"] if self.messages else ""

    @property
    def choices(self) -> tuple[str, ...]:
        """The names a decision may take, when this asks for one; empty otherwise."""
        return choices_in(self.response_schema) or next(filter(None, map(choices_in, self.tools.values())), ())


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model says.

    Attributes:
        text: Its text.
        pieces: The same in the pieces it is streamed in; by default word by word.
        tool_calls: The tools it wants called: name and arguments.
        vectors: Embeddings, one a text.
        finish_reason: Why it stopped: "stop" or "length".
    """

    text: str = ""
    pieces: tuple[str, ...] = ()
    tool_calls: tuple[tuple[str, Mapping[str, Any]], ...] = ()
    vectors: tuple[Sequence[float], ...] = ()
    finish_reason: str = "stop"

    @property
    def streamed(self) -> tuple[str, ...]:
        """The pieces to stream."""
        return self.pieces or tuple(_words(self.text))


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong instead of a reply.

    Attributes:
        kind: "status", "hang" (no answer before the client gives up), "cut" (half a body) or "garbage" (no JSON).
        status: The HTTP status of a "status".
        retry_after: Its Retry-After header, in seconds.
        message: What its body says.
    """

    kind: str = "status"
    status: int = 500
    retry_after: float | None = None
    message: str = "scripted fault"


def tokens_of(text: str) -> int:
    """About as many tokens as a text has: four characters each."""
    return max(1, len(text) // 4)


def only(names: Sequence[str]) -> str | None:
    """The one name there is; None when there are more, or none."""
    return names[0] if len(names) == 1 else None


def choices_in(schema: Mapping[str, Any] | None) -> tuple[str, ...]:
    """The names that `next_action` may take in a schema; empty when there is no such field."""
    if not schema:
        return ()
    field_schema: Mapping[str, Any] = schema.get("properties", {}).get("next_action", {})
    for part in (field_schema, *field_schema.get("anyOf", ())):
        if "enum" in part:
            return tuple(part["enum"])
        if "const" in part:
            return (part["const"],)
    return ()


def _words(text: str) -> list[str]:
    words = text.split(" ")
    return [word if number == 0 else f" {word}" for number, word in enumerate(words)] if text else []
