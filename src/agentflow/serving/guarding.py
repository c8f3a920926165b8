"""What a request must be before anybody looks at it: to a known host, from a known page, JSON, small and in time.

A page on another site can send requests to a server on this machine; that it cannot read the answers does not make it
harmless. What must not live here: who the caller is (`asking.py`).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agentflow.serving.problems import Refused

#: Hosts that a server on this machine answers to, on whatever port.
LOOPBACK: Final = ("127.0.0.1", "localhost", "[::1]")

#: What every answer says; `self` alone, so that no script runs but those in files of the server's own.
HEADERS: Final = {
    "content-security-policy": "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    "object-src 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
WRITES: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})


@dataclass(frozen=True, slots=True)
class Limits:
    """What a request may be.

    Attributes:
        hosts: Names it may be sent to, without a port; `*.example.com` stands for every name below `example.com`.
        origins: Pages of other hosts that may send it, such as `https://app.example.com`; none by default.
        body_bytes: The longest body.
        body_seconds: The longest that the body may take to arrive.
    """

    hosts: Collection[str] = LOOPBACK
    origins: Collection[str] = ()
    body_bytes: int = 1_000_000
    body_seconds: float = 20.0


class Guard:
    """ASGI middleware that lets through what keeps the limits, and gives every answer the headers of a careful server.

    Args:
        app: What it guards.
        limits: What a request may be.
    """

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self.app = app
        self.limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return  # there are no websockets
        dressed = _dressed(send)
        try:
            body = await self._looked_at(scope, receive)
        except Refused as refused:
            await _answer(dressed, refused)
            return
        await self.app(scope, _replayed(body, receive), dressed)

    async def _looked_at(self, scope: Scope, receive: Receive) -> bytes:
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        host = headers.get("host", "")
        if not _is_known(_name_of(host), self.limits.hosts):
            raise Refused(421, "wrong_host", "This server does not answer to that host: name it in allowed_hosts.")
        origin = headers.get("origin")
        if origin is not None and not self._may_ask(origin, scope, host):
            raise Refused(403, "wrong_origin", "Pages of that origin may not ask this server: see allowed_origins.")
        if origin is None and headers.get("sec-fetch-site") == "cross-site":
            raise Refused(403, "wrong_origin", "Pages of other sites may not ask this server: see allowed_origins.")
        if scope["method"] not in WRITES:
            return b""
        length = headers.get("content-length", "")
        if length.isdigit() and int(length) > self.limits.body_bytes:
            raise self._too_long()
        body = await self._body(receive)
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if body and kind != "application/json":
            raise Refused(415, "not_json", "The body has to be JSON: send Content-Type: application/json.")
        return body

    def _may_ask(self, origin: str, scope: Scope, host: str) -> bool:
        return origin == f"{scope['scheme']}://{host}" or origin in self.limits.origins

    async def _body(self, receive: Receive) -> bytes:
        try:
            async with asyncio.timeout(self.limits.body_seconds):
                return await self._whole_body(receive)
        except TimeoutError:
            raise Refused(408, "too_slow", "The body took too long to arrive: send it at once.") from None

    async def _whole_body(self, receive: Receive) -> bytes:
        parts: list[bytes] = []
        length = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Refused(400, "went_away", "The body ended early: send all of it.")
            parts.append(message.get("body", b""))
            length += len(parts[-1])
            if length > self.limits.body_bytes:
                raise self._too_long()
            if not message.get("more_body"):
                return b"".join(parts)

    def _too_long(self) -> Refused:
        return Refused(413, "too_long", f"The body is longer than {self.limits.body_bytes} bytes: send less.")


def _name_of(host: str) -> str:
    """A Host header without its port."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
    return f"[{name}]" if ":" in name else name


def _is_known(name: str, hosts: Iterable[str]) -> bool:
    return any(name == host or (host.startswith("*.") and name.endswith(host[1:])) for host in hosts)


def _replayed(body: bytes, receive: Receive) -> Receive:
    """The body that was read already, and then whatever else the server has to say."""
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return waiting.pop() if waiting else await receive()

    return again


def _dressed(send: Send) -> Send:
    async def dressed(message: Message) -> None:
        if message["type"] == "http.response.start":
            given: list[Any] = list(message.get("headers", ()))
            known = {name.lower() for name, _ in given}
            given += [(n.encode(), v.encode()) for n, v in HEADERS.items() if n.encode() not in known]
            message = {**message, "headers": given}
        await send(message)

    return dressed


async def _answer(send: Send, refused: Refused) -> None:
    body = json.dumps({"error": refused.error, "message": str(refused)}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if refused.status in (408, 413):
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": refused.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
