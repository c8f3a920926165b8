"""OpenAI's HTTP, which most local servers speak too: chat completions and embeddings.

Source of the forms: what litellm 1.105 sends and reads.
"""

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
    return request.url.path.endswith(("/chat/completions", "/embeddings"))


def parse(request: httpx.Request) -> Request:
    """What it asks, free of the dialect."""
    raw = json.loads(request.content)
    if request.url.path.endswith("/embeddings"):
        texts = raw["input"] if isinstance(raw["input"], list) else [raw["input"]]
        return Request("openai", raw["model"], texts=tuple(texts), raw=raw)
    form = raw.get("response_format") or {}
    tools = {tool["function"]["name"]: tool["function"].get("parameters", {}) for tool in raw.get("tools") or ()}
    return Request(
        "openai",
        raw["model"],
        tuple({"role": said["role"], "content": text_in(said.get("content") or "")} for said in raw["messages"]),
        bool(raw.get("stream")),
        (form.get("json_schema") or {}).get("schema"),
        tools,
        _forced(raw.get("tool_choice"), list(tools)),
        raw=raw,
    )


def render(reply: Reply, request: Request) -> httpx.Response:
    """The reply as this provider says it."""
    if request.texts:
        return body(_embeddings(reply, request))
    head = {"id": next_id("chatcmpl"), "created": 1, "model": request.model}
    finish = "tool_calls" if reply.tool_calls else reply.finish_reason
    if request.stream:
        return events(_chunks(reply, request, head, finish), done=True)
    message = {"role": "assistant", "content": reply.text or None, **_tool_calls(reply)}
    choice = {"index": 0, "finish_reason": finish, "message": message}
    return body({**head, "object": "chat.completion", "choices": [choice], "usage": _usage(reply, request)})


def error(status: int, message: str) -> Mapping[str, Any]:
    """The body of an error."""
    kinds = {401: "authentication_error", 429: "rate_limit_error"}
    kind = kinds.get(status, "invalid_request_error" if status < 500 else "server_error")
    return {"error": {"message": message, "type": kind, "param": None, "code": None}}


def _forced(choice: Any, tools: list[str]) -> str | None:
    if isinstance(choice, dict):
        return str(choice["function"]["name"])
    return only(tools) if choice == "required" else None


def _chunks(reply: Reply, request: Request, head: Mapping[str, Any], finish: str) -> Iterator[Mapping[str, Any]]:
    def chunk(delta: Mapping[str, Any], ended: str | None = None) -> Mapping[str, Any]:
        choice = {"index": 0, "delta": delta, "finish_reason": ended}
        return {**head, "object": "chat.completion.chunk", "choices": [choice]}

    yield chunk({"role": "assistant", "content": ""})
    for piece in reply.streamed:
        yield chunk({"content": piece})
    if reply.tool_calls:
        yield chunk({"tool_calls": [{"index": n, **call} for n, call in enumerate(_tool_calls(reply)["tool_calls"])]})
    yield chunk({}, finish)
    yield {**head, "object": "chat.completion.chunk", "choices": [], "usage": _usage(reply, request)}


def _tool_calls(reply: Reply) -> dict[str, Any]:
    if not reply.tool_calls:
        return {}
    calls = [
        {"id": next_id("call"), "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
        for name, arguments in reply.tool_calls
    ]
    return {"tool_calls": calls}


def _usage(reply: Reply, request: Request) -> dict[str, int]:
    sent, received = tokens_of(request.text), tokens_of(reply.text)
    return {"prompt_tokens": sent, "completion_tokens": received, "total_tokens": sent + received}


def _embeddings(reply: Reply, request: Request) -> dict[str, Any]:
    sent = sum(map(tokens_of, request.texts))
    data = [{"object": "embedding", "index": n, "embedding": list(v)} for n, v in enumerate(reply.vectors)]
    usage = {"prompt_tokens": sent, "total_tokens": sent}
    return {"object": "list", "model": request.model, "data": data, "usage": usage}
