"""Anthropic's HTTP: messages. Source of the forms: what litellm 1.105 sends and reads."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from agentflow.testing.dialects.wire import body, events, next_id, text_in
from agentflow.testing.exchange import Reply, Request, only, tokens_of

if TYPE_CHECKING:
    import httpx


def reads(request: httpx.Request) -> bool:
    """Whether this is one of ours."""
    return request.url.path.endswith("/v1/messages")


def parse(request: httpx.Request) -> Request:
    """What it asks, free of the dialect."""
    raw = json.loads(request.content)
    system = [{"role": "system", "content": text_in(raw["system"])}] if raw.get("system") else []
    said = [{"role": each["role"], "content": text_in(each["content"])} for each in raw["messages"]]
    form = raw.get("output_format") or (raw.get("output_config") or {}).get("format") or {}
    tools = {tool["name"]: tool.get("input_schema", {}) for tool in raw.get("tools") or () if "name" in tool}
    forced = _forced(raw.get("tool_choice") or {}, list(tools))
    schema, stream = form.get("schema"), bool(raw.get("stream"))
    return Request("anthropic", raw["model"], (*system, *said), stream, schema, tools, forced, raw=raw)


def render(reply: Reply, request: Request) -> httpx.Response:
    """The reply as this provider says it."""
    blocks = _blocks(reply)
    stop = "tool_use" if reply.tool_calls else {"stop": "end_turn", "length": "max_tokens"}[reply.finish_reason]
    usage = {"input_tokens": tokens_of(request.text), "output_tokens": tokens_of(reply.text)}
    message = {"id": next_id("msg"), "type": "message", "role": "assistant", "model": request.model}
    if request.stream:
        return events(_events(reply, blocks, message, usage, stop), named=True)
    return body({**message, "content": blocks, "stop_reason": stop, "stop_sequence": None, "usage": usage})


def error(status: int, message: str) -> Mapping[str, Any]:
    """The body of an error."""
    kinds = {401: "authentication_error", 429: "rate_limit_error", 529: "overloaded_error"}
    kind = kinds.get(status, "invalid_request_error" if status < 500 else "api_error")
    return {"type": "error", "error": {"type": kind, "message": message}}


def _forced(choice: Mapping[str, Any], tools: list[str]) -> str | None:
    if choice.get("type") == "tool":
        return str(choice["name"])
    return only(tools) if choice.get("type") == "any" else None


def _blocks(reply: Reply) -> list[dict[str, Any]]:
    text = [{"type": "text", "text": reply.text}] if reply.text or not reply.tool_calls else []
    calls = [
        {"type": "tool_use", "id": next_id("toolu"), "name": name, "input": dict(arguments)}
        for name, arguments in reply.tool_calls
    ]
    return [*text, *calls]


def _events(
    reply: Reply, blocks: list[dict[str, Any]], message: Mapping[str, Any], usage: Mapping[str, int], stop: str
) -> Iterator[Mapping[str, Any]]:
    begun = {
        **message,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {**usage, "output_tokens": 1},
    }
    yield {"type": "message_start", "message": begun}
    for index, block in enumerate(blocks):
        is_text = block["type"] == "text"
        empty = {"type": "text", "text": ""} if is_text else {**block, "input": {}}
        yield {"type": "content_block_start", "index": index, "content_block": empty}
        for piece in reply.streamed if is_text else (json.dumps(block["input"]),):
            kind = (
                {"type": "text_delta", "text": piece}
                if is_text
                else {"type": "input_json_delta", "partial_json": piece}
            )
            yield {"type": "content_block_delta", "index": index, "delta": kind}
        yield {"type": "content_block_stop", "index": index}
    ended = {"stop_reason": stop, "stop_sequence": None}
    yield {"type": "message_delta", "delta": ended, "usage": {"output_tokens": usage["output_tokens"]}}
    yield {"type": "message_stop"}
