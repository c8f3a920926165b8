"""What the tests of serving share: a small graph, its API, and a client for it that needs no socket."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

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
