"""A served application beside an endpoint that was written by hand over the same store: requests a second, one worker.

The endpoint by hand does the least that is right: it checks a token and the body, and writes what it read in one
transaction that is on the disk when it answers. Both are called as a server calls them, without one: what a server
adds is the same for both, and would make them look more alike.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.case import Case

TOKEN = "a-token-for-benchmarks"
HEADERS = [
    (b"host", b"localhost"),
    (b"authorization", f"Bearer {TOKEN}".encode()),
    (b"content-type", b"application/json"),
]


async def ask(app: Any, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
    """One request, as a server passes it on."""
    sent: list[Any] = []
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Any:
        return waiting.pop() if waiting else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [*HEADERS, (b"content-length", str(len(body)).encode())]
    scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http"}
    scope |= {"path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "", "headers": headers}
    await app(scope | {"client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80)}, receive, send)
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])


def per_second(make: Callable[[Path], tuple[Any, str, str, str]], write: bool, count: int = 300) -> Callable[[], float]:
    """Requests a second of an application, the best of several goes."""

    async def measured(folder: Path) -> float:
        app, create, look, step = make(folder)
        status, said = await ask(app, "POST", create, b"{}")
        assert status == 201, said
        place = json.loads(said)["app_id"]
        method, path, body = ("PUT", step, b'{"by": 1}') if write else ("GET", look, b"")
        best = 0.0
        for _ in range(5):
            started = time.perf_counter()
            for _ in range(count):
                status, said = await ask(app, method, path.format(place), body)
                assert status == 200, said
            best = max(best, count / (time.perf_counter() - started))
        return best

    def run() -> float:
        with tempfile.TemporaryDirectory() as folder:
            return asyncio.run(measured(Path(folder)))

    return run


def generated(folder: Path) -> tuple[Any, str, str, str]:
    from agentflow import ApplicationBuilder, GraphBuilder, State, action
    from agentflow.persistence import SQLitePersister
    from agentflow.serving import create_api

    @action(reads=["total"], writes=["total"])
    def add(state: State, *, by: int) -> State:
        return state.update(total=state["total"] + by)

    graph = GraphBuilder().with_actions(add).with_transitions(("add", "add")).build()
    text = "a value of the size that states have " * 20
    builder = ApplicationBuilder().with_graph(graph).with_entrypoint("add").with_state(total=0, text=text)
    api = create_api(lambda app_id, _: builder, persister=SQLitePersister(folder / "runs.db"), token=TOKEN)
    place = "/applications/{}"
    return api, "/applications", f"{place}/state", f"{place}/actions/add"


def by_hand(folder: Path) -> tuple[Any, str, str, str]:
    import secrets

    from fastapi import Depends, FastAPI, Header, HTTPException
    from pydantic import BaseModel

    class Add(BaseModel):
        by: int

    class Shown(BaseModel):
        app_id: str
        sequence_id: int
        state: dict[str, Any]

    database = sqlite3.connect(folder / "runs.db", check_same_thread=False, isolation_level=None)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = FULL")
    database.execute("CREATE TABLE app (app_id TEXT PRIMARY KEY, sequence_id INTEGER, state TEXT)")

    def bearer(authorization: str = Header()) -> None:
        if not secrets.compare_digest(authorization, f"Bearer {TOKEN}"):
            raise HTTPException(401)

    app = FastAPI(dependencies=[Depends(bearer)])

    def found(app_id: str) -> Shown:
        row = database.execute("SELECT sequence_id, state FROM app WHERE app_id = ?", (app_id,)).fetchone()
        if row is None:
            raise HTTPException(404)
        return Shown(app_id=app_id, sequence_id=row[0], state=json.loads(row[1]))

    def create() -> Shown:
        app_id, text = secrets.token_hex(16), "a value of the size that states have " * 20
        state = {"total": 0, "text": text}
        database.execute("INSERT INTO app VALUES (?, -1, ?)", (app_id, json.dumps(state)))
        return Shown(app_id=app_id, sequence_id=-1, state=state)

    def add(app_id: str, body: Add) -> Shown:
        database.execute("BEGIN IMMEDIATE")
        shown = found(app_id)
        shown.state["total"] += body.by
        shown.sequence_id += 1
        database.execute(
            "UPDATE app SET sequence_id = ?, state = ? WHERE app_id = ?",
            (shown.sequence_id, json.dumps(shown.state), app_id),
        )
        database.execute("COMMIT")
        return shown

    add.__annotations__["body"] = Add
    for function in (found, create, add):
        function.__annotations__["return"] = Shown
    app.add_api_route("/create", create, methods=["POST"], status_code=201)
    app.add_api_route("/{app_id}/state", found, methods=["GET"])
    app.add_api_route("/{app_id}/add", add, methods=["PUT"])
    return app, "/create", "/{}/state", "/{}/add"


def _at_least_half(median: Any) -> bool:
    return bool(median["agentflow"] >= median["by hand"] / 2)


CASES = [
    Case(
        "looking at a served application",
        "requests/s",
        {"agentflow": per_second(generated, False), "by hand": per_second(by_hand, False)},
        "at least half of an endpoint written by hand over SQLite",
        _at_least_half,
    ),
    Case(
        "a step of a served application that asks no model",
        "requests/s",
        {"agentflow": per_second(generated, True), "by hand": per_second(by_hand, True)},
        "at least half of an endpoint written by hand over SQLite",
        _at_least_half,
    ),
]
