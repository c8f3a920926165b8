"""A request that is refused changes nothing: not what the store says of the last attempt, nor whose it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agentflow import ApplicationBuilder, GraphBuilder, State, action
from agentflow.persistence import InMemoryPersister, SQLitePersister
from tests.serving.clients import api_of, client_of, created

PLACE = "/applications/a"


@action(reads=[], writes=["to"])
def address(state: State, to: str) -> State:
    return state.update(to=to)


@action(reads=["to"], writes=[])
def look_up(state: State) -> State:
    raise LookupError(state["to"])


@action(reads=["to"], writes=[], kind="at_most_once")
def send(state: State) -> State:
    raise OSError("the line broke")


def failing(*, broken: Any) -> Any:
    ways = (("address", broken.name), (broken.name, "address"))
    graph = GraphBuilder().with_actions(address, broken).with_transitions(*ways).build()
    return lambda app_id, partition_key: ApplicationBuilder().with_graph(graph).with_entrypoint("address").with_state()


REFUSED: list[tuple[str, str, dict[str, Any], str]] = [
    ("PUT", "actions/address", {"json": {"to": "bob@example.com"}}, "not_next"),
    ("PUT", "actions/address", {"json": {"to": "bob@example.com"}, "headers": {"if-match": '"7"'}}, "conflict"),
    ("PUT", "choice", {"json": {"target": "address"}}, "no_choice"),
]


@pytest.mark.parametrize(("broken", "status"), [(look_up, "failed"), (send, "uncertain")])
@pytest.mark.parametrize(("method", "verb", "more", "word"), REFUSED, ids=[word for *_, word in REFUSED])
async def test_how_the_last_attempt_ended_outlasts_a_refusal(
    tmp_path: Path, broken: Any, status: str, method: str, verb: str, more: Any, word: str
) -> None:
    with SQLitePersister(tmp_path / "runs.db") as persister:
        async with client_of(api_of(failing(broken=broken), persister)) as client:
            await created(client, app_id="a")
            await client.put(f"{PLACE}/actions/address", json={"to": "ada@example.com"})
            before = (await client.get(f"{PLACE}/state")).json()
            answer = await client.request(method, f"{PLACE}/{verb}", **more)
            assert (409, word) == (answer.status_code, answer.json()["error"])
            assert status == before["status"]
            assert before["error"]
            assert before == (await client.get(f"{PLACE}/state")).json()
            assert [""] == [head.owner for head in persister.all_heads()]


async def test_a_run_without_the_input_it_needs_leaves_the_failure_it_follows() -> None:
    @action(reads=[], writes=[])
    def ask(state: State, topic: str) -> State:
        raise LookupError(topic)

    made = ApplicationBuilder().with_actions(ask).with_transitions(("ask", "ask")).with_entrypoint("ask").with_state()
    async with client_of(api_of(lambda app_id, partition_key: made)) as client:
        await created(client, app_id="a")
        await client.put(f"{PLACE}/actions/ask", json={"topic": "cats"})
        before = (await client.get(f"{PLACE}/state")).json()
        assert ("failed", "The last attempt at 'ask' failed with LookupError.") == (before["status"], before["error"])
        assert "input" == (await client.post(f"{PLACE}/run")).json()["error"]
        assert before == (await client.get(f"{PLACE}/state")).json()


@pytest.mark.parametrize(("method", "verb"), [("DELETE", ""), ("POST", "/fork"), ("POST", "/cancel")])
async def test_who_thinks_it_is_at_another_step_changes_nothing(method: str, verb: str) -> None:
    async with client_of(api_of()) as client:
        await created(client, app_id="a")
        late = await client.request(method, f"{PLACE}{verb}", headers={"if-match": '"7"'})
        said = {"error": "conflict", "message": "The application is at step -1 now, and not at 7.", "sequence_id": -1}
        assert (409, said, '"-1"') == (late.status_code, late.json(), late.headers["etag"])
        assert ["a"] == [each["app_id"] for each in (await client.get("/applications")).json()["applications"]]
        assert (await client.request(method, f"{PLACE}{verb}", headers={"if-match": '"-1"'})).is_success


async def test_a_fork_that_was_made_is_answered_again_also_when_its_origin_has_moved_on() -> None:
    async with client_of(api_of()) as client:
        await created(client, app_id="a")
        asked = {"if-match": '"-1"', "idempotency-key": "k"}
        first = await client.post(f"{PLACE}/fork", headers=asked)
        await client.put(f"{PLACE}/actions/count", json={"note": ""})
        again = await client.post(f"{PLACE}/fork", headers=asked)
        assert (201, first.json()) == (again.status_code, again.json())


@pytest.mark.parametrize("step", [99, -1])
async def test_a_fork_from_a_step_that_is_not_there_says_which_one_the_application_is_at(step: int) -> None:
    persister = InMemoryPersister()
    async with client_of(api_of(persister=persister)) as client:
        await created(client, app_id="a")
        await client.put(f"{PLACE}/actions/count", json={"note": ""})
        persister.prune("a")
        answer = await client.post(f"{PLACE}/fork", json={"sequence_id": step})
        message = f"The application has no step {step} to go on from: it is at step 2."
        assert (409, {"error": "no_step", "message": message, "sequence_id": 2}) == (answer.status_code, answer.json())


async def test_a_fork_under_an_id_that_is_taken_says_so_as_a_new_application_does() -> None:
    async with client_of(api_of()) as client:
        await created(client, app_id="a")
        one = await client.post("/applications", json={"app_id": "a"})
        other = await client.post(f"{PLACE}/fork", json={"app_id": "a"})
        assert "exists" == other.json()["error"]
        assert (one.status_code, one.json()) == (other.status_code, other.json())
