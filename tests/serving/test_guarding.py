"""What a stranger, a page of another site, and a careless client can do: nothing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any

import httpx
import pytest
from fastapi import FastAPI, Header, HTTPException

from agentflow import ApplicationBuilder, GraphBuilder, State, action
from agentflow.errors import BuildError
from agentflow.persistence import InMemoryPersister, Key, SQLitePersister
from agentflow.redaction import Secret
from agentflow.serving import create_api
from agentflow.serving.guarding import Guard, Limits
from tests.serving.clients import TOKEN, api_of, client_of, counting, created


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(api_of()) as client:
        yield client


@pytest.mark.parametrize("token", [None, "", "wrong", TOKEN[:-1], TOKEN + "x", "é" * 20])
async def test_without_the_token_nothing_is_told_and_nothing_done(token: str | None) -> None:
    api = api_of()
    async with client_of(api, None) as client:
        if token is not None:
            client.headers.encoding = "utf-8"
            client.headers["authorization"] = f"Bearer {token}"
        for method, path in (("GET", "/applications"), ("POST", "/applications"), ("GET", "/graph")):
            answer = await client.request(method, path)
            assert (401, "unauthorized") == (answer.status_code, answer.json()["error"])
        # Not even whether a body would fit.
        assert 401 == (await client.put("/applications/a/actions/count", json={"nonsense": 1})).status_code
    async with client_of(api) as client:
        assert [] == (await client.get("/applications")).json()["applications"]


def test_a_token_is_random_unless_it_is_given_and_never_short() -> None:
    one, other = (create_api(counting, persister=InMemoryPersister()).state.token for _ in range(2))
    assert one != other
    assert len(one) > 30
    with pytest.raises(BuildError, match="5 letters and can be guessed"):
        create_api(counting, persister=InMemoryPersister(), token="short")


async def test_of_other_hosts_and_other_pages_nothing_is_taken(client: httpx.AsyncClient) -> None:
    for host in (
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "",
        "[::2]",
        "127.0.0.1@evil",
        "[",
    ):
        answer = await client.get("/applications", headers={"host": host})
        assert (421, "wrong_host") == (answer.status_code, answer.json()["error"]), host
    for origin in ("https://evil.example", "null", "http://127.0.0.1:81", "https://127.0.0.1", "http://localhost"):
        answer = await client.post("/applications", headers={"origin": origin})
        assert (403, "wrong_origin") == (answer.status_code, answer.json()["error"]), origin
    assert 403 == (await client.get("/applications", headers={"sec-fetch-site": "cross-site"})).status_code
    assert 201 == (await client.post("/applications", headers={"origin": "http://127.0.0.1"})).status_code
    assert 201 == (await client.post("/applications", headers={"host": "localhost:9"})).status_code


async def test_hosts_and_pages_that_are_named_are_let_in() -> None:
    api = api_of(allowed_hosts=["api.example.com", "*.example.org"], allowed_origins=["https://app.example.com"])
    async with client_of(api, base="https://api.example.com") as client:
        assert 201 == (await client.post("/applications", headers={"origin": "https://app.example.com"})).status_code
        assert 200 == (await client.get("/applications", headers={"host": "a.example.org"})).status_code
        assert 421 == (await client.get("/applications", headers={"host": "example.org.evil.example"})).status_code


async def test_forms_of_other_pages_and_what_is_no_json_are_refused(client: httpx.AsyncClient) -> None:
    for kind in ("application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=x", ""):
        answer = await client.post("/applications", content=b'{"app_id":"a"}', headers={"content-type": kind})
        assert (415, "not_json") == (answer.status_code, answer.json()["error"])
    broken = await client.post("/applications", content=b"{", headers={"content-type": "application/json"})
    assert (422, "invalid") == (broken.status_code, broken.json()["error"])


async def test_long_bodies_are_refused_whether_they_say_so_or_not(client: httpx.AsyncClient) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b" " * 65536

    said = await client.post("/applications", content=b" " * 10_000_000, headers={"content-type": "application/json"})
    unsaid = await client.post("/applications", content=endless(), headers={"content-type": "application/json"})
    assert [(413, "too_long")] * 2 == [(each.status_code, each.json()["error"]) for each in (said, unsaid)]


async def test_a_body_that_never_ends_is_not_waited_for() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError("nobody is asked")

    async def dripping() -> dict[str, Any]:
        await asyncio.sleep(0.001)
        return {"type": "http.request", "body": b" ", "more_body": True}

    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "scheme": "http", "path": "/", "headers": [(b"host", b"localhost")]}
    await Guard(app, Limits(body_seconds=0.02))(scope, dripping, send)
    assert (408, "too_slow") == (sent[0]["status"], json.loads(sent[1]["body"])["error"])


async def test_every_answer_tells_browsers_to_be_careful(client: httpx.AsyncClient) -> None:
    for path in ("/applications", "/nothing", "/applications/../x/state", "/openapi.json"):
        headers = (await client.get(path)).headers
        policy = headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "unsafe" not in policy
        assert ("nosniff", "DENY") == (headers["x-content-type-options"], headers["x-frame-options"])
        assert not any(name.startswith("access-control") for name in headers)
    assert 404 == (await client.get("/docs")).status_code  # they would load scripts from elsewhere


async def test_a_dependency_says_whose_applications_are_asked_for_and_nobody_sees_those_of_others() -> None:
    def caller(x_user: Annotated[str | None, Header()] = None) -> str:
        if x_user is None:
            raise HTTPException(401, "Say who you are")
        return x_user

    api = api_of(partition_key=caller, token=None)
    assert api.state.token is None
    async with client_of(api, None) as client:
        assert 401 == (await client.get("/applications")).status_code
        one, other = {"x-user": "one"}, {"x-user": "other"}
        assert 201 == (await client.post("/applications", json={"app_id": "a"}, headers=one)).status_code
        for method, path in (("GET", "state"), ("GET", "history"), ("POST", "fork"), ("POST", "cancel")):
            answer = await client.request(method, f"/applications/a/{path}", headers=other)
            assert 404 == answer.status_code
        assert [] == (await client.get("/applications", headers=other)).json()["applications"]
        assert 204 == (await client.delete("/applications/a", headers=one)).status_code
        # What keeps requests with a key is no application of anybody's.
        keyed = {**one, "idempotency-key": "k"}
        await client.post("/applications", json={"app_id": "b"}, headers=keyed)
        shelf = {"x-user": "one\x1frequests"}
        assert [] == (await client.get("/applications", headers=shelf)).json()["applications"]


async def test_it_can_be_mounted_into_an_application_that_is_there() -> None:
    host = FastAPI()
    host.mount("/assistant", api_of())
    async with client_of(host) as client:
        app_id = (await client.post("/assistant/applications")).json()["app_id"]
        answer = await client.put(f"/assistant/applications/{app_id}/actions/count", json={"note": ""})
        assert 1 == answer.json()["state"]["total"]
        assert 401 == (await client.get("/assistant/applications", headers={"authorization": ""})).status_code


async def test_one_damaged_application_breaks_no_list_and_no_other(tmp_path: Any) -> None:
    import sqlite3

    store = SQLitePersister(tmp_path / "runs.db")
    async with client_of(api_of(persister=store)) as client:
        for app_id in ("good", "torn", "zzz"):
            await created(client, app_id=app_id)
        with sqlite3.connect(tmp_path / "runs.db") as raw:
            raw.execute("UPDATE agentflow_step SET delta = 'x', snapshot = '{' WHERE app = 2")
            raw.execute("UPDATE agentflow_app SET status = '<b>', position = 'torn' WHERE app_id = 'torn'")
        raw.close()
        listed = (await client.get("/applications")).json()["applications"]
        assert ["good", "torn", "zzz"] == [each["app_id"] for each in listed]
        answer = await client.get("/applications/torn/state")
        assert (500, "corrupt_record") == (answer.status_code, answer.json()["error"])
        told = (await client.get("/applications/torn/history")).json()
        assert told["steps"][0]["problem"]
        assert 200 == (await client.get("/applications/good/state")).status_code
    store.close()


async def test_what_an_action_raises_is_told_by_its_kind_alone_and_secrets_never(caplog: Any) -> None:
    @action(reads=[], writes=["key"])
    def fail(state: State, how: str) -> State:
        if how == "secret":
            return state.update(key=Secret("sk-canary-1234567890abcdef"))
        raise ValueError("password=hunter2hunter2 in /home/somebody/app.py")

    graph = GraphBuilder().with_actions(fail).build()
    api = api_of(lambda app_id, _: ApplicationBuilder().with_graph(graph).with_entrypoint("fail"))
    async with client_of(api) as client:
        app_id = await created(client)
        answer = await client.put(f"/applications/{app_id}/actions/fail", json={"how": "raise"})
        assert 500 == answer.status_code
        assert {
            "error": "failed",
            "message": "The step failed with ValueError; nothing of it was kept.",
        } == answer.json()
        said = (await client.get(f"/applications/{app_id}/state")).json()
        assert ("failed", "The last attempt at 'fail' failed with ValueError.") == (said["status"], said["error"])
        secret = await client.put(f"/applications/{app_id}/actions/fail", json={"how": "secret"})
        assert "canary" not in secret.text + (await client.get(f"/applications/{app_id}/state")).text
    assert "ValueError" in caplog.text, "whoever runs the server has to find it"


async def test_a_child_is_nobodys_to_look_at_by_its_id() -> None:
    store = InMemoryPersister()
    async with client_of(api_of(persister=store)) as client:
        app_id = await created(client)
        await client.put(f"/applications/{app_id}/actions/count", json={"note": ""}, headers={"idempotency-key": "k"})
        assert [app_id] == [each["app_id"] for each in (await client.get("/applications")).json()["applications"]]
    heads = store.heads()
    assert {Key("", app_id), Key("\x1frequests", heads[-1].app_id)} == {head.key for head in heads}
