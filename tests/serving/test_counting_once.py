"""Requests that are sent twice, late, at once or in the wrong order: each step is taken once, and everybody is told.

`AGENTFLOW_FUZZ=1000` sends that many posts late and twice.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest

from agentflow import ApplicationBuilder, GraphBuilder, State, action
from agentflow.persistence import InMemoryPersister, SQLitePersister
from tests.effort import tries
from tests.serving.clients import api_of, client_of, created

POSTS = tries(40, thorough=120)


@action(reads=["total"], writes=["total"])
def add(state: State, by: int = 1, *, who: str) -> State:
    """Add to the total."""
    if by < 0:
        raise ValueError("too little")
    return state.update(total=state["total"] + by)


ADDING = GraphBuilder().with_actions(add).with_transitions(("add", "add")).build()


def adding(app_id: str, partition_key: str | None) -> ApplicationBuilder:
    return ApplicationBuilder().with_graph(ADDING).with_entrypoint("add").with_state(total=0)


async def add_to(client: httpx.AsyncClient, app_id: str, **headers: Any) -> httpx.Response:
    named = {name.replace("_", "-"): str(value) for name, value in headers.items()}
    return await client.put(f"/applications/{app_id}/actions/add", json={"who": "me"}, headers=named)


async def test_a_step_that_is_thought_to_come_after_another_one_is_refused_with_where_it_is() -> None:
    async with client_of(api_of(adding)) as client:
        app_id = await created(client)
        assert '"0"' == (await add_to(client, app_id, if_match='"-1"')).headers["etag"]
        late = await add_to(client, app_id, if_match='"-1"')
        assert (409, "conflict", 0) == (late.status_code, late.json()["error"], late.json()["sequence_id"])
        assert '"0"' == late.headers["etag"]
        for accepted in ('"0"', "1", 'W/"2"', "*"):
            assert 200 == (await add_to(client, app_id, if_match=accepted)).status_code, accepted
        assert 422 == (await add_to(client, app_id, if_match="abc")).status_code


@pytest.mark.parametrize("kept", ["memory", "file"])
async def test_two_clients_with_fifty_steps_each_are_accounted_for(kept: str, tmp_path: Path) -> None:
    store = InMemoryPersister() if kept == "memory" else SQLitePersister(tmp_path / "runs.db")
    # Two servers over one store, as two workers are; each has locks of its own.
    async with client_of(api_of(adding, store)) as one, client_of(api_of(adding, store)) as other:
        app_id = await created(one)
        said = await asyncio.gather(*(add_to(client, app_id) for client in (one, other) for _ in range(50)))
        statuses = Counter(answer.status_code for answer in said)
        assert statuses.keys() <= {200, 409}
        assert 100 == statuses.total()
        end = (await one.get(f"/applications/{app_id}/state")).json()
        assert (statuses[200], statuses[200] - 1) == (end["state"]["total"], end["sequence_id"])
        steps = (await one.get(f"/applications/{app_id}/history", params={"limit": 500})).json()["steps"]
        assert list(range(-1, statuses[200])) == [step["sequence_id"] for step in steps]
    store.close()


async def test_within_one_server_steps_take_turns_and_all_are_taken() -> None:
    async with client_of(api_of(adding)) as client:
        app_id = await created(client)
        said = await asyncio.gather(*(add_to(client, app_id) for _ in range(100)))
        assert [200] * 100 == [answer.status_code for answer in said]
        assert set(range(100)) == {answer.json()["sequence_id"] for answer in said}


async def test_posts_that_come_late_twice_and_out_of_order_count_once_for_each_step() -> None:
    chance = random.Random(7)
    async with client_of(api_of(adding)) as client:
        app_id = await created(client)
        taken: Counter[int] = Counter()
        steps = POSTS // 6
        posts = [(number - 1, f"{number}-{way}") for number in range(steps) for way in range(2) for _ in range(3)]
        posts.sort(key=lambda post: post[0] + chance.uniform(-2, 2))  # some early, some late, each key three times
        answers: dict[str, set[int]] = {}

        async def post(before: int, key: str) -> None:
            answer = await add_to(client, app_id, if_match=f'"{before}"', idempotency_key=key)
            assert answer.status_code in (200, 409), answer.text
            if answer.status_code == 200:
                taken[answer.json()["sequence_id"]] += 1
                answers.setdefault(key, set()).add(answer.json()["sequence_id"])

        while posts:
            batch, posts = posts[:12], posts[12:]
            await asyncio.gather(*(post(*each) for each in batch))
        end = (await client.get(f"/applications/{app_id}/state")).json()
        assert end["state"]["total"] == end["sequence_id"] + 1 == len(taken) > 0
        assert all(len(numbers) == 1 for numbers in answers.values())
        assert len(answers) == len(taken), "one key was taken for each step"


async def test_a_key_gets_the_same_answer_after_more_has_happened_and_in_another_server(tmp_path: Path) -> None:
    store = SQLitePersister(tmp_path / "runs.db")
    async with client_of(api_of(adding, store)) as client:
        app_id = await created(client)
        first = await add_to(client, app_id, idempotency_key="mine")
        await add_to(client, app_id)
    async with client_of(api_of(adding, store)) as client:
        again = await add_to(client, app_id, idempotency_key="mine")
        assert (first.status_code, first.json()) == (again.status_code, again.json())
        assert 2 == (await client.get(f"/applications/{app_id}/state")).json()["state"]["total"]
        other = await client.put(
            f"/applications/{app_id}/actions/add", json={"who": "you"}, headers={"idempotency-key": "mine"}
        )
        assert (422, "key_reused") == (other.status_code, other.json()["error"])
    store.close()


async def test_making_and_forking_with_a_key_make_one(tmp_path: Path) -> None:
    async with client_of(api_of(adding)) as client:
        key = {"idempotency-key": "k"}
        made = await asyncio.gather(*(client.post("/applications", headers=key) for _ in range(5)))
        assert 1 == len({answer.json()["app_id"] for answer in made})
        assert [201] * 5 == [answer.status_code for answer in made]
        app_id = made[0].json()["app_id"]
        forks = [await client.post(f"/applications/{app_id}/fork", headers={"idempotency-key": "f"}) for _ in range(3)]
        assert 1 == len({answer.json()["app_id"] for answer in forks})
        assert 2 == len((await client.get("/applications")).json()["applications"])
        named = [await client.post("/applications", json={"app_id": "a"}) for _ in range(2)]
        assert [201, 409] == [answer.status_code for answer in named]


async def test_a_request_that_failed_may_be_sent_again_with_its_key() -> None:
    async with client_of(api_of(adding)) as client:
        app_id = await created(client)
        for _ in range(2):
            failed = await client.put(
                f"/applications/{app_id}/actions/add", json={"who": "", "by": -1}, headers={"idempotency-key": "k"}
            )
            assert 500 == failed.status_code
        assert 200 == (await add_to(client, app_id)).status_code, "nobody holds it"


async def test_deleting_an_application_deletes_what_is_kept_of_its_requests() -> None:
    store = InMemoryPersister()
    async with client_of(api_of(adding, store)) as client:
        app_id = await created(client)
        for number in range(3):
            await add_to(client, app_id, idempotency_key=number)
        assert 4 == len(store.heads())
        assert 204 == (await client.delete(f"/applications/{app_id}")).status_code
        assert [] == store.heads()
