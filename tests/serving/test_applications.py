"""The verbs of a served graph: create, list, look, perform, go on, fork, delete."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from agentflow import ApplicationBuilder, GraphBuilder, State, action, expr
from agentflow.errors import BuildError
from agentflow.serving.picture import picture
from tests.serving.clients import api_of, client_of, counting, created, events_in


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(api_of()) as client:
        yield client


async def test_a_new_application_says_what_comes_next_and_what_it_takes(client: httpx.AsyncClient) -> None:
    answer = await client.post("/applications", json={"app_id": "one"})
    assert (201, '"-1"') == (answer.status_code, answer.headers["etag"])
    said = answer.json()
    assert ("one", -1, "ready", "count", False) == tuple(
        said[name] for name in ("app_id", "sequence_id", "status", "next_step", "can_run")
    )
    assert {"by", "note"} == said["next_inputs"]["properties"].keys()
    assert ["note"] == said["next_inputs"]["required"]
    assert {"total": 0} == said["state"]


async def test_performing_an_action_goes_on_to_where_input_is_needed_again(client: httpx.AsyncClient) -> None:
    app_id = await created(client)
    answer = await client.put(f"/applications/{app_id}/actions/count", json={"by": 3, "note": ""})
    assert 200 == answer.status_code, answer.text
    said = answer.json()
    assert {"total": 3, "doubled": 6, "text": "it is 6"} == said["state"]
    assert (2, "count", "halted") == (said["sequence_id"], said["next_step"], said["status"])
    assert said == (await client.get(f"/applications/{app_id}/state")).json()


async def test_an_application_that_is_finished_says_so_and_refuses_to_go_on(client: httpx.AsyncClient) -> None:
    app_id = await created(client)
    said = (await client.put(f"/applications/{app_id}/actions/count", json={"by": 100, "note": ""})).json()
    assert ("finished", None, False) == (said["status"], said["next_step"], said["can_run"])
    assert "finished" == (await client.get(f"/applications/{app_id}/state")).json()["status"]
    again = await client.post(f"/applications/{app_id}/run")
    assert (409, "finished") == (again.status_code, again.json()["error"])


async def test_input_that_does_not_fit_is_refused_by_name_and_nothing_runs(client: httpx.AsyncClient) -> None:
    app_id = await created(client)
    for body in ({"by": "many", "note": ""}, {"by": 1}, {"note": "", "unknown": 1}, []):
        answer = await client.put(f"/applications/{app_id}/actions/count", json=body)
        assert (422, "invalid") == (answer.status_code, answer.json()["error"])
        assert "body" in answer.json()["message"]
    assert -1 == (await client.get(f"/applications/{app_id}/state")).json()["sequence_id"]


async def test_a_run_that_needs_input_says_whose(client: httpx.AsyncClient) -> None:
    app_id = await created(client)
    answer = await client.post(f"/applications/{app_id}/run")
    assert (409, "input", "count") == (answer.status_code, answer.json()["error"], answer.json()["next_step"])


async def test_an_application_that_is_not_there_is_a_404_for_every_verb(client: httpx.AsyncClient) -> None:
    body = {"note": ""}
    for method, path, sent in (
        ("GET", "state", None),
        ("GET", "history", None),
        ("GET", "events", None),
        ("POST", "run", None),
        ("POST", "cancel", None),
        ("POST", "fork", {}),
        ("PUT", "actions/count", body),
        ("PUT", "choice", {"target": "x"}),
        ("DELETE", "", None),
    ):
        answer = await client.request(method, f"/applications/nobody/{path}".rstrip("/"), json=sent)
        assert (404, "not_found") == (answer.status_code, answer.json()["error"]), path
    assert [] == (await client.get("/applications")).json()["applications"]


async def test_applications_are_listed_page_by_page(client: httpx.AsyncClient) -> None:
    for number in range(5):
        await created(client, app_id=f"a{number}")
    seen, after = [], None
    while True:
        page = (await client.get("/applications", params={"limit": 2, **({"after": after} if after else {})})).json()
        seen += [each["app_id"] for each in page["applications"]]
        after = page["next"]
        if after is None:
            break
    assert ["a0", "a1", "a2", "a3", "a4"] == seen


async def test_the_history_tells_each_step_and_the_choices_that_led_to_it(client: httpx.AsyncClient) -> None:
    app_id = await created(client)
    for _ in range(2):
        await client.put(f"/applications/{app_id}/actions/count", json={"note": ""})
    told = (await client.get(f"/applications/{app_id}/history")).json()
    assert [None, "count", "double", "tell", "count", "double", "tell"] == [step["action"] for step in told["steps"]]
    assert {"total": 1} == told["steps"][1]["set"]
    assert [("tell", "count")] == [(each["source"], each["target"]) for each in told["steps"][4]["decisions"]]
    page = (await client.get(f"/applications/{app_id}/history", params={"after": 1, "limit": 2})).json()
    assert ([2, 3], 3) == ([step["sequence_id"] for step in page["steps"]], page["next"])


async def test_a_fork_goes_on_from_an_earlier_step_and_leaves_the_other_alone(client: httpx.AsyncClient) -> None:
    app_id = await created(client)
    for _ in range(2):
        await client.put(f"/applications/{app_id}/actions/count", json={"note": ""})
    answer = await client.post(f"/applications/{app_id}/fork", json={"app_id": "other", "sequence_id": 2})
    assert 201 == answer.status_code, answer.text
    assert (await client.get("/applications/other/state")).json() == answer.json()
    said = (await client.put("/applications/other/actions/count", json={"by": 10, "note": ""})).json()
    assert 11 == said["state"]["total"]
    assert 2 == (await client.get(f"/applications/{app_id}/state")).json()["state"]["total"]
    nowhere = await client.post(f"/applications/{app_id}/fork", json={"sequence_id": 99})
    assert 409 == nowhere.status_code


async def test_what_is_deleted_is_gone(client: httpx.AsyncClient) -> None:
    app_id = await created(client)
    assert 204 == (await client.delete(f"/applications/{app_id}")).status_code
    assert 404 == (await client.get(f"/applications/{app_id}/state")).status_code
    assert 404 == (await client.delete(f"/applications/{app_id}")).status_code


async def test_a_request_may_ask_for_the_events_of_its_run(client: httpx.AsyncClient) -> None:
    app_id = await created(client)
    answer = await client.put(
        f"/applications/{app_id}/actions/count", json={"note": ""}, headers={"accept": "text/event-stream"}
    )
    assert "text/event-stream" in answer.headers["content-type"]
    kinds = [kind for kind, _ in events_in(answer.text)]
    assert ["begin", "step", "decision"] == kinds[:3]
    assert ["it", "is", "2"] == [facts["item"]["delta"] for kind, facts in events_in(answer.text) if kind == "token"]
    assert "state" == kinds[-1]
    assert 1 == kinds.count("state")
    assert 1 == events_in(answer.text)[-1][1]["state"]["total"]


async def test_an_event_stream_of_a_request_that_is_refused_ends_with_why(client: httpx.AsyncClient) -> None:
    answer = await client.post("/applications/nobody/run", headers={"accept": "text/event-stream"})
    ((kind, facts),) = events_in(answer.text)
    assert ("failed", 404, "not_found") == (kind, facts["status"], facts["error"])


async def test_the_graph_is_laid_out_without_shapes_on_top_of_each_other(client: httpx.AsyncClient) -> None:
    drawn = (await client.get("/graph")).json()
    boxes = [shape for shape in drawn["shapes"] if shape["kind"] == "action"]
    assert {"count", "double", "tell"} == {box["key"] for box in boxes}
    for one in boxes:
        for other in boxes:
            apart = abs(one["y"] - other["y"]) >= one["height"] or abs(one["x"] - other["x"]) >= one["width"]
            assert one is other or apart
    assert ("tell", "count") in {(arrow["start"], arrow["end"]) for arrow in drawn["arrows"]}


def test_an_arrow_that_would_run_through_a_shape_goes_around_it() -> None:
    @action(reads=[], writes=[])
    def step(state: State) -> State:
        return state

    graph = (
        GraphBuilder()
        .with_actions(first=step, between_with_a_long_name=step, last=step)
        .with_transitions(
            ("first", "last", expr("True == True")),
            ("first", "between_with_a_long_name"),
            ("between_with_a_long_name", "last"),
            ("last", "first"),
        )
        .build()
    )
    drawn = picture(graph, "first")
    boxes = {shape["key"]: shape for shape in drawn["shapes"]}
    arrows = {(arrow["start"], arrow["end"]): arrow for arrow in drawn["arrows"]}
    between = boxes["between_with_a_long_name"]
    around, straight = arrows["first", "last"], arrows["between_with_a_long_name", "last"]
    assert 0 < around["x"] < between["x"] - between["width"] / 2
    assert f"L{around['x']:.0f} " in around["path"]
    assert between["x"] == straight["x"]
    assert drawn["width"] > between["x"] + between["width"] / 2


def test_a_factory_that_cannot_be_called_is_named() -> None:
    def factory() -> ApplicationBuilder:
        return counting("a", None)

    with pytest.raises(BuildError, match="factory' cannot be called with two arguments .*define it as"):
        api_of(factory)


async def test_a_factory_may_be_async_and_so_may_what_calls_create_api() -> None:
    asked: list[str] = []

    async def looked_up(app_id: str, partition_key: str | None) -> ApplicationBuilder:
        await asyncio.sleep(0)
        asked.append(app_id)
        return counting(app_id, partition_key)

    async with client_of(api_of(looked_up)) as client:
        app_id = await created(client)
        answer = await client.put(f"/applications/{app_id}/actions/count", json={"note": ""})
        assert 1 == answer.json()["state"]["total"]
    assert ["example", app_id, app_id] == asked
