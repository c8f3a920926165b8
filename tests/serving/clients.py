"""What the tests of serving share: a small graph, its API, and a client for it that needs no socket."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import unquote

import httpx
from fastapi import FastAPI

from agentflow import ApplicationBuilder, GraphBuilder, State, action, expr, streaming_action
from agentflow.persistence import InMemoryPersister, Persister
from agentflow.serving import create_api

TOKEN = "a-token-for-the-tests"
BASE = "http://127.0.0.1"


@action(reads=["total"], writes=["total"])
def count(state: State, by: int = 1, *, note: str) -> State:
    """Add to the total."""
    return state.update(total=state["total"] + by)


@action(reads=["total"], writes=["doubled"])
def double(state: State) -> State:
    """Double it."""
    return state.update(doubled=state["total"] * 2)


@streaming_action(reads=["doubled"], writes=["text"])
async def tell(state: State):
    """Say it in words."""
    for word in ("it", "is", str(state["doubled"])):
        yield {"delta": word}, None
    yield {"text": "it is"}, state.update(text=f"it is {state['doubled']}")


#: count -> double -> tell -> count -> ..., until the total is 100
GRAPH = (
    GraphBuilder()
    .with_actions(count, double, tell)
    .with_transitions(("count", "double"), ("double", "tell"), ("tell", "count", expr("total < 100")))
    .build()
)


def counting(app_id: str, partition_key: str | None) -> ApplicationBuilder:
    return ApplicationBuilder().with_graph(GRAPH).with_entrypoint("count").with_state(total=0)


def api_of(factory: Any = counting, persister: Persister | None = None, **options: Any) -> FastAPI:
    options.setdefault("token", TOKEN)
    return create_api(factory, persister=persister or InMemoryPersister(), **options)


@asynccontextmanager
async def client_of(api: Any, token: str | None = TOKEN, base: str = BASE) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"authorization": f"Bearer {token}"} if token else {}
    transport = httpx.ASGITransport(api)
    async with httpx.AsyncClient(transport=transport, base_url=base, headers=headers) as client:
        yield client


async def ask(api: Any, method: str, address: str, body: Any = None) -> tuple[int, Any]:
    """One request as a server passes it on: clients tidy addresses up before they send them."""
    text = b"" if body is None else json.dumps(body).encode()
    waiting = [{"type": "http.request", "body": text, "more_body": False}]
    said: list[Any] = []

    async def receive() -> Any:
        return waiting.pop() if waiting else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        said.append(message)

    path, _, query = address.partition("?")
    headers = [(b"host", b"localhost"), (b"authorization", f"Bearer {TOKEN}".encode())]
    scope = {"type": "http", "method": method, "scheme": "http", "root_path": "", "http_version": "1.1"}
    scope |= {"path": unquote(path), "raw_path": path.encode("ascii"), "query_string": query.encode("ascii")}
    await api(scope | {"headers": [*headers, (b"content-type", b"application/json")]}, receive, send)
    answer = b"".join(message.get("body", b"") for message in said[1:])
    return said[0]["status"], json.loads(answer) if answer else None


async def created(client: httpx.AsyncClient, **body: Any) -> str:
    answer = await client.post("/applications", json=body)
    assert 201 == answer.status_code, answer.text
    return str(answer.json()["app_id"])


def events_in(text: str) -> list[tuple[str, Any]]:
    """The events of a stream that has ended."""
    found = []
    for block in text.split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line and not line.startswith(":"))
        if lines:
            found.append((lines["event"], json.loads(lines["data"])))
    return found
