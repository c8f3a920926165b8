"""Gemini's HTTP: generateContent, streamGenerateContent and embeddings. Source of the forms: litellm 1.105."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from agentflow.testing.dialects.wire import body, events, text_in
from agentflow.testing.exchange import Reply, Request, only, tokens_of

if TYPE_CHECKING:
    import httpx

_PATH = re.compile(
    r"/models/(?P<model>[^:/]+):(?P<verb>generateContent|streamGenerateContent|embedContent|batchEmbedContents)"
)


def reads(request: httpx.Request) -> bool:
    """Whether this is one of ours."""
    return _PATH.search(request.url.path) is not None


def parse(request: httpx.Request) -> Request:
    """What it asks, free of the dialect."""
    found = _PATH.search(request.url.path)
    assert found is not None
    raw = json.loads(request.content)
    model, verb = found["model"], found["verb"]
    if "mbed" in verb:
        asked = raw.get("requests", [raw])
        return Request("gemini", model, texts=tuple(text_in(each["content"]["parts"]) for each in asked), raw=raw)
    instruction = raw.get("system_instruction") or raw.get("systemInstruction")
    system = [{"role": "system", "content": text_in(instruction["parts"])}] if instruction else []
    said = [{"role": each.get("role", "user"), "content": text_in(each["parts"])} for each in raw["contents"]]
    settings = raw.get("generationConfig") or raw.get("generation_config") or {}
    schema = (
        settings.get("response_json_schema") or settings.get("responseJsonSchema") or settings.get("response_schema")
    )
    tools = _tools(raw)
    stream, forced = verb.startswith("stream"), _forced(raw, list(tools))
    return Request("gemini", model, (*system, *said), stream, schema, tools, forced, raw=raw)


def render(reply: Reply, request: Request) -> httpx.Response:
    """The reply as this provider says it."""
    if request.texts:
        return body({"embeddings": [{"values": list(vector)} for vector in reply.vectors]})
    if request.stream:
        return events(_events(reply, request))
    parts = [{"text": reply.text}] if reply.text or not reply.tool_calls else []
    return body(_said(reply, request, [*parts, *_calls(reply)], ended=True))


def error(status: int, message: str) -> Mapping[str, Any]:
    """The body of an error."""
    kinds = {401: "UNAUTHENTICATED", 429: "RESOURCE_EXHAUSTED", 503: "UNAVAILABLE"}
    kind = kinds.get(status, "INVALID_ARGUMENT" if status < 500 else "INTERNAL")
    return {"error": {"code": status, "message": message, "status": kind}}


def _events(reply: Reply, request: Request) -> Iterator[Mapping[str, Any]]:
    for piece in reply.streamed:
        yield _said(reply, request, [{"text": piece}], ended=False)
    yield _said(reply, request, _calls(reply) or [{"text": ""}], ended=True)


def _said(reply: Reply, request: Request, parts: list[dict[str, Any]], *, ended: bool) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"parts": parts, "role": "model"}, "index": 0}
    if ended:
        candidate["finishReason"] = {"stop": "STOP", "length": "MAX_TOKENS"}[reply.finish_reason]
    sent, received = tokens_of(request.text), tokens_of(reply.text)
    usage = {"promptTokenCount": sent, "candidatesTokenCount": received, "totalTokenCount": sent + received}
    return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": request.model}


def _calls(reply: Reply) -> list[dict[str, Any]]:
    return [{"functionCall": {"name": name, "args": dict(arguments)}} for name, arguments in reply.tool_calls]


def _forced(raw: Mapping[str, Any], tools: list[str]) -> str | None:
    config = raw.get("toolConfig") or raw.get("tool_config") or {}
    calling = config.get("functionCallingConfig") or config.get("function_calling_config") or {}
    named = calling.get("allowedFunctionNames") or calling.get("allowed_function_names") or tools
    return only(named) if calling.get("mode") == "ANY" else None


def _tools(raw: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for group in raw.get("tools") or ():
        for tool in group.get("function_declarations") or group.get("functionDeclarations") or ():
            found[tool["name"]] = tool.get("parameters") or tool.get("parametersJsonSchema") or {}
    return found
