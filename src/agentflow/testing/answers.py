"""What may be scripted, and how it becomes a reply or a fault of the wire.

What must not live here: which answer belongs to which request, and any provider's JSON.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from agentflow.testing.exchange import Fault, Reply, Request, choices_in

if TYPE_CHECKING:
    import httpx


class Model(Protocol):
    """A pydantic model."""

    def model_dump(self, *, mode: str) -> dict[str, Any]:
        """Its fields, as plain data."""


#: What a script may answer with; a mapping or a pydantic model is a structured reply.
Said = str | Mapping[str, Any] | Model | Reply | Fault
#: The same, or a function of the request that says it.
Scripted = Said | Callable[[Request], Said]


def decision(target: str, reason: str, confidence: float | None) -> Callable[[Request], Said]:
    """What answers a request for a decision; a field that its schema does not have is left out."""

    def said(request: Request) -> Said:
        given = {"next_action": target, "reason": reason, "confidence": confidence}
        schema = next(filter(choices_in, (request.response_schema, *request.tools.values())), None)
        if schema is None:  # the schema is in the prompt, in words
            return {name: value for name, value in given.items() if value is not None}
        return {name: value for name, value in given.items() if name in schema["properties"]}

    return said


def said_to(scripted: Scripted, request: Request) -> Said:
    """What is said to a request."""
    return scripted(request) if callable(scripted) else scripted


def reply_to(said: str | Mapping[str, Any] | Model | Reply, request: Request) -> Reply:
    """What was said, as a reply: structured data is the call of a tool where one has to be called, JSON elsewhere."""
    if isinstance(said, Reply):
        return said
    if isinstance(said, str):
        return Reply(said)
    data = dict(said) if isinstance(said, Mapping) else said.model_dump(mode="json")
    tool = request.forced_tool or _deciding_tool(request)
    return Reply(json.dumps(data)) if tool is None else Reply(tool_calls=((tool, data),))


def _deciding_tool(request: Request) -> str | None:
    if request.response_schema is not None:
        return None
    return next((name for name, schema in request.tools.items() if choices_in(schema)), None)


def faulty(
    fault: Fault, whole: httpx.Response, error: Mapping[str, Any], request: Request, sent: httpx.Request
) -> httpx.Response:
    """The response, or the error, that a fault is; `whole` and `error` are what the provider says otherwise."""
    import httpx

    if fault.kind == "hang":
        raise httpx.ReadTimeout("scripted: no answer came", request=sent)
    headers = {"content-type": whole.headers["content-type"]}
    if fault.kind == "garbage":
        return httpx.Response(200, headers=headers, text="<html>not what you asked for</html>")
    if fault.kind == "cut":
        half = whole.content[: len(whole.content) // 2]
        if request.stream:
            return httpx.Response(200, headers=headers, stream=broken_stream(half))
        return httpx.Response(200, headers=headers, content=half)
    after = {} if fault.retry_after is None else {"retry-after": f"{fault.retry_after:g}"}
    return httpx.Response(fault.status, headers=after, json=error)


def broken_stream(given: bytes) -> httpx.SyncByteStream:
    """A body that breaks off, as it does when the other side goes away; for both colours."""
    import httpx

    gone = httpx.RemoteProtocolError("scripted: the body broke off")

    class Broken(httpx.SyncByteStream, httpx.AsyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            yield given
            raise gone

        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield given
            raise gone

    return Broken()
