"""The email assistant's own endpoints: the ones a page was promised, over the graph as it is."""

from __future__ import annotations

import stat
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import unquote

import httpx
import pytest

from agentflow.persistence import InMemoryPersister
from agentflow.testing import ScriptedProvider
from tests.serving.clients import TOKEN, ask, client_of
from tests.serving.hostile_ids import EVERY, in_address

EXAMPLES = Path(__file__).parents[2] / "examples"
EMAIL = "Subject: Dinner\n\nWould you like to join us for dinner?\nRobin"


@pytest.fixture(autouse=True)
def llm(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedProvider]:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    from email_assistant import scripted

    with ScriptedProvider(scripted.answer).answering() as provider:
        yield provider


@pytest.fixture
async def client(llm: ScriptedProvider) -> AsyncIterator[httpx.AsyncClient]:
    from email_assistant.server import web

    async with client_of(web(InMemoryPersister(), token=TOKEN)) as client:
        yield client


@pytest.mark.parametrize(("method", "last"), [("PUT", "process_feedback"), ("POST", "provide_feedback")])
async def test_a_whole_conversation_over_the_five_endpoints(client: httpx.AsyncClient, method: str, last: str) -> None:
    begun = (await client.post("/create")).json()
    app_id = begun["app_id"]
    assert {"email_to_respond": None, "drafts": [], "next_step": "process_input"}.items() <= begun.items()

    body = {"email_to_respond": EMAIL, "response_instructions": "Accept"}
    asked = (await client.put(f"/initialize_draft/{app_id}/", json=body)).json()
    assert "clarify_instructions" == asked["next_step"]
    assert asked == (await client.get(f"/{app_id}/state")).json()

    answers = {"answers": ["Yes"] * len(asked["questions"])}
    drafted = (await client.put(f"/clarify_instructions/{app_id}", json=answers)).json()
    assert (1, "process_feedback") == (len(drafted["drafts"]), drafted["next_step"])

    again = (await client.request(method, f"/{last}/{app_id}", json={"feedback": "Make it shorter"})).json()
    assert (2, ["Make it shorter"]) == (len(again["drafts"]), again["feedback_history"])

    done = (await client.request(method, f"/{last}/{app_id}", json={"feedback": ""})).json()
    assert (again["drafts"][-1], None) == (done["final_draft"], done["next_step"])
    assert {
        *("app_id", "email_to_respond", "response_instructions", "questions", "answers", "drafts"),
        *("feedback_history", "final_draft", "next_step"),
    } == done.keys()


async def test_what_is_said_to_an_older_step_is_refused(client: httpx.AsyncClient) -> None:
    begun = await client.post("/create")
    where, body = (
        f"/initialize_draft/{begun.json()['app_id']}",
        {"email_to_respond": EMAIL, "response_instructions": ""},
    )
    went_on = await client.put(where, json=body, headers={"if-match": begun.headers["etag"]})
    late = await client.put(where, json=body, headers={"if-match": begun.headers["etag"]})
    assert (200, 409, went_on.headers["etag"]) == (went_on.status_code, late.status_code, late.headers["etag"])


async def test_each_endpoint_has_a_name_of_its_own(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()  # one that is given twice is a warning, and that an error
    names = [way["operationId"] for path in document["paths"].values() for way in path.values() if "operationId" in way]
    assert len(set(names)) == len(names) > 5


async def test_looking_at_a_conversation_asks_no_model(client: httpx.AsyncClient, llm: ScriptedProvider) -> None:
    app_id = (await client.post("/create")).json()["app_id"]
    body = {"email_to_respond": EMAIL, "response_instructions": "Accept, because I am free on Friday"}
    await client.put(f"/initialize_draft/{app_id}", json=body)
    calls = llm.calls
    for _ in range(5):
        assert 200 == (await client.get(f"/{app_id}/state")).status_code
    assert calls == llm.calls


async def test_the_page_needs_no_token_and_loads_nothing_from_elsewhere(client: httpx.AsyncClient) -> None:
    client.headers.pop("authorization")
    for path in ("/", "/page/page.css", "/page/page.js"):
        answer = await client.get(path)
        assert 200 == answer.status_code, path
        assert "default-src 'self'" in answer.headers["content-security-policy"]
        for foreign in ("http://", "https://", "innerHTML", "style=", "onclick", "<script>"):
            assert foreign not in answer.text.replace("http://www.w3.org/2000/svg", ""), path
    assert 401 == (await client.post("/create")).status_code


async def test_hostile_ids_lead_to_no_conversation_and_to_no_file(llm: ScriptedProvider) -> None:
    from email_assistant.server import web

    api = web(InMemoryPersister(), token=TOKEN)
    for number, app_id in enumerate(EVERY):
        place = in_address(app_id, bool(number % 2))
        body = {"email_to_respond": "", "response_instructions": ""}
        for method, address in (
            ("GET", f"/{place}/state"),
            ("PUT", f"/initialize_draft/{place}"),
            ("GET", f"/page/{place}"),
        ):
            status, said = await ask(api, method, address, body if method == "PUT" else None)
            assert status in ((404, 405, 422) if "/" in unquote(place) else (404, 422)), (address, said)
    assert 0 == llm.calls


def test_the_token_is_kept_for_its_owner_only(tmp_path: Path) -> None:
    from email_assistant.server import kept_token

    made = kept_token(tmp_path / "token")
    assert made == kept_token(tmp_path / "token")
    assert len(made) > 30
    assert 0o600 == stat.S_IMODE((tmp_path / "token").stat().st_mode)
