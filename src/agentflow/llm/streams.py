"""`stream` and `astream`: a model's answer piece by piece.

A stream is retried until its first piece has come; after that a failure is final, because what was handed out cannot
be taken back. What must not live here: retries, and anything a whole answer needs.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self, Unpack

from agentflow.llm import backend, flow
from agentflow.llm.completing import chat
from agentflow.llm.faults import Fault, FaultError
from agentflow.llm.requests import Options, Request, build
from agentflow.llm.responses import tool_calls_of, usage_of
from agentflow.llm.results import Attempt, Message, ToolCall
from agentflow.runtime import ASYNC, BLOCKING, Runtime, each, run_blocking
from agentflow.usage import Usage


def stream(model: str, messages: str | Sequence[Message], **options: Unpack[Options]) -> TextStream:
    """Ask a model and iterate over its answer as it comes; nothing is sent before the first piece is asked for.

    Args:
        model: Any litellm model name; see `complete`.
        messages: A prompt or a chat history.
        **options: See `Options`. `timeout` is the longest silence between two pieces.

    Raises:
        ProviderError: While iterating: no piece ever came, or the stream broke off.

    Example:
        >>> from agentflow.llm import stream
        >>> answer = stream("gpt-4o-mini", "Tell me a story.")    # doctest: +SKIP
        >>> for piece in answer:                                  # doctest: +SKIP
        ...     print(piece, end="")
        >>> answer.usage.output_tokens                            # doctest: +SKIP
    """
    return TextStream(BLOCKING, build(model, messages, options))


def astream(model: str, messages: str | Sequence[Message], **options: Unpack[Options]) -> AsyncTextStream:
    """The twin of `stream` for async code: iterate with `async for`; the same parameters, facts and errors."""
    return AsyncTextStream(ASYNC, build(model, messages, options))


class _Progress:
    """What both kinds of stream tell about themselves.

    Attributes:
        text: What has come so far.
        usage: What the call used; None until the stream has ended or was closed.
        attempts: Every try, in order.
        finish_reason: Why the model stopped; None until it has.
        tool_calls: The tools it wants called; known at the end.
    """

    def __init__(self, runtime: Runtime, request: Request) -> None:
        self.text = ""
        self.usage: Usage | None = None
        self.attempts: tuple[Attempt, ...] = ()
        self.finish_reason: str | None = None
        self.tool_calls: tuple[ToolCall, ...] = ()
        self._pieces = _pieces(runtime, request, self)


class TextStream(_Progress, Iterator[str]):
    """The pieces of an answer; a context manager that closes itself."""

    def __next__(self) -> str:
        piece = run_blocking(_next_of(self._pieces))
        if piece is None:
            raise StopIteration
        return piece

    def close(self) -> None:
        """Stop early; what came so far is counted."""
        run_blocking(_close(self._pieces))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncTextStream(_Progress, AsyncIterator[str]):
    """The pieces of an answer, for async code; an async context manager that closes itself."""

    async def __anext__(self) -> str:
        piece = await _next_of(self._pieces)
        if piece is None:
            raise StopAsyncIteration
        return piece

    async def aclose(self) -> None:
        """Stop early; what came so far is counted."""
        await _close(self._pieces)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


@dataclass(slots=True)
class _Opened:
    """A stream whose first piece has come.

    Attributes:
        source: What litellm gave, which claims to be iterable in both colours and is in one.
        items: Its chunks, always as an async iterator.
        seen: Every chunk so far; tokens and cost are counted from them.
        first: The first piece of text, "" when the stream ended without any.
    """

    runtime: Runtime
    source: Any
    items: AsyncIterator[Any] = field(init=False)
    seen: list[Any] = field(default_factory=list)
    first: str = ""
    finish_reason: str | None = None

    def __post_init__(self) -> None:
        self.items = each(self.runtime.pick((chunk for chunk in self.source), self.source))

    async def pull(self) -> str | None:
        """The next piece of text, None at the end."""
        async for chunk in self.items:
            self.seen.append(chunk)
            choice = chunk.choices[0] if chunk.choices else None
            if choice is None:
                continue
            self.finish_reason = choice.finish_reason or self.finish_reason
            if choice.delta.content:
                return str(choice.delta.content)
        return None

    @property
    def says_something(self) -> bool:
        """Whether text came, a tool call, or at least the provider's count of tokens.

        litellm makes a proper end of any body at all, so that an error page looks like an empty answer.
        """
        counted = any(getattr(chunk, "usage", None) for chunk in self.seen)
        return bool(self.first or counted or any(_calls_tool(chunk) for chunk in self.seen))

    async def close(self) -> None:
        """Give the connection back without reading the rest; the streams inside litellm's differ in what they offer."""
        stream = getattr(self.source, "completion_stream", None)
        response = getattr(stream, "response", None)
        for owner in (stream, getattr(stream, "streaming_response", None), response):
            for verb in self.runtime.pick(("close",), ("aclose", "close")):
                if callable(close := getattr(owner, verb, None)):
                    await self.runtime.call(close)
                    return


async def _pieces(runtime: Runtime, request: Request, told: _Progress) -> AsyncIterator[str]:
    call = request.call()

    async def send(model: str, seconds: float) -> _Opened:
        asked: dict[str, object] = {"stream": True, "stream_options": {"include_usage": True}}
        source = await chat(runtime, request, request.messages, model, seconds, **asked)
        opened = _Opened(runtime, source)
        opened.first = await opened.pull() or ""
        return opened

    def read(model: str, opened: _Opened) -> tuple[str, _Opened]:
        if not opened.says_something:
            raise FaultError(Fault("server", "the stream ended without saying anything", 200, transient=True))
        return model, opened

    model, opened = await flow.perform(runtime, call, send, read, keeps_place=True)
    told.attempts = tuple(call.log)
    gate = call.gate(model)
    fault: Fault | None = None
    try:
        piece: str | None = opened.first
        while piece is not None and fault is None:
            if piece:
                told.text += piece
                yield piece
            piece, fault = await _continue(opened, call)
    finally:
        gate.leave(fault)
        told.finish_reason = opened.finish_reason
        whole = _whole(opened, request)
        call.pay(_counted(whole, model, call.provider(model)))
        told.tool_calls = tool_calls_of(whole.choices[0]) if whole is not None and whole.choices else ()
        if fault is not None:
            call.log[-1] = replace(call.log[-1], outcome=fault.kind, status=fault.status, reason=fault.reason)
        told.attempts, told.usage = tuple(call.log), call.settle()
        await opened.close()
    if fault is not None:
        raise flow.final_error(call, fault)


async def _continue(opened: _Opened, call: flow.Call) -> tuple[str | None, Fault | None]:
    """The next piece, or why there is none."""
    left = call.deadline - time.monotonic()
    if left <= 0:
        return None, Fault("timeout", "the stream was still going on")
    try:
        return await flow.bounded(opened.runtime, left + flow.GRACE, opened.pull()), None
    except Exception as error:
        caught = error
    return None, flow.judged(caught, call)


def _calls_tool(chunk: Any) -> bool:
    return bool(chunk.choices and getattr(chunk.choices[0].delta, "tool_calls", None))


def _whole(opened: _Opened, request: Request) -> Any:
    """The chunks put together, None when there are none; litellm estimates the tokens nobody counted."""
    if not opened.seen:
        return None
    return backend.load().stream_chunk_builder(opened.seen, messages=list(request.messages))


def _counted(whole: Any, model: str, provider: str) -> Usage:
    usage = usage_of(whole, model, provider)
    if usage.cost is None and whole is not None:
        usage = replace(usage, cost=backend.price_of(whole, model))
    return usage


async def _next_of(pieces: AsyncIterator[str]) -> str | None:
    return await anext(pieces, None)


async def _close(pieces: Any) -> None:
    await pieces.aclose()
