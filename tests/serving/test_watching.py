"""Whoever watches is told where things stand, what has come so far, and what happens; also by another server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from agentflow import ApplicationBuilder, GraphBuilder, HumanDecider, State, action
from agentflow.persistence import InMemoryPersister, Key
from agentflow.serving import Service, Write, events
from agentflow.serving.problems import Refused
from tests.serving.clients import api_of, client_of, created, events_in


async def collected(stream: AsyncIterator[bytes], count: int) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    async with asyncio.timeout(10):
        async for block in stream:
            found += events_in(block.decode())
            if len(found) >= count:
                break
    await stream.aclose()  # type: ignore[attr-defined]  # it is a generator
    return found


async def test_a_watcher_sees_state_steps_tokens_and_the_state_at_the_end() -> None:
    service: Service = api_of().state.service
    await service.create("", "a", None)
    watching = asyncio.ensure_future(collected(events.watching(service, Key("", "a")), 14))
    while not service.rooms._rooms:
        await asyncio.sleep(0)
    await service.advance(Write(Key("", "a"), action="count", inputs={"note": ""}))
    kinds = [kind for kind, _ in await asyncio.wait_for(watching, 10)]
    assert ["state", "begin", "step", "decision", "begin", "step", "decision", "begin"] == kinds[:8]
    assert ["token"] * 3 == kinds[8:11]
    assert ["step", "decision", "state"] == kinds[11:]
    assert {} == service.rooms._rooms, "nothing is kept of those who have gone"


async def test_what_another_server_does_is_seen_in_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "LOOK_EVERY", 0.01)
    store = InMemoryPersister()
    mine, theirs = (api_of(persister=store).state.service for _ in range(2))
    await mine.create("", "a", None)
    watching = asyncio.ensure_future(collected(events.watching(mine, Key("", "a")), 3))
    while not mine.rooms._rooms:
        await asyncio.sleep(0)
    await asyncio.sleep(0.03)
    await theirs.advance(Write(Key("", "a"), action="count", inputs={"note": ""}))
    await asyncio.sleep(0.05)
    await theirs.delete(Key("", "a"))
    told = await asyncio.wait_for(watching, 10)
    assert ["state", "state", "deleted"] == [kind for kind, _ in told]
    assert [-1, 2] == [facts["sequence_id"] for kind, facts in told if kind == "state"]


async def test_a_silent_stream_says_now_and_then_that_it_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "LOOK_EVERY", 0.01)
    monkeypatch.setattr(events, "SILENCE", 0.02)
    service: Service = api_of().state.service
    await service.create("", "a", None)
    stream = events.watching(service, Key("", "a"))
    blocks = [await anext(stream), await anext(stream)]
    await stream.aclose()  # type: ignore[attr-defined]  # it is a generator
    assert b": still here\n\n" == blocks[1]


async def test_a_watcher_who_falls_behind_is_sent_away_and_slows_nobody_down() -> None:
    service: Service = api_of().state.service
    async with service.rooms.entered(Key("", "a")) as room:
        with room.watched() as queue:
            for number in range(5_000):
                room.tell("token", {"number": number})
            assert queue.qsize() < 2_100
            assert [None] == [event for event in (queue.get_nowait() for _ in range(queue.qsize())) if event is None]


async def test_cancelling_when_nothing_runs_changes_nothing() -> None:
    async with client_of(api_of()) as client:
        app_id = await created(client)
        answer = await client.post(f"/applications/{app_id}/cancel")
        assert (200, "ready") == (answer.status_code, answer.json()["status"])


async def test_a_server_that_ends_cancels_its_runs_and_keeps_nothing_of_their_steps() -> None:
    begun = asyncio.Event()

    @action(reads=[], writes=["x"])
    async def wait(state: State, what: str) -> State:
        begun.set()
        await asyncio.sleep(60)
        return state.update(x=what)

    graph = GraphBuilder().with_actions(wait).build()
    api = api_of(lambda app_id, _: ApplicationBuilder().with_graph(graph).with_entrypoint("wait"))
    service: Service = api.state.service
    async with api.router.lifespan_context(api):
        await service.create("", "a", None)
        running = asyncio.ensure_future(service.advance(Write(Key("", "a"), action="wait", inputs={"what": "y"})))
        await begun.wait()
    with pytest.raises(Refused, match="was cancelled"):
        await running
    said = await service.look(Key("", "a"))
    assert ("cancelled", -1, "wait") == (said["status"], said["sequence_id"], said["next_step"])


@action(reads=[], writes=["text"])
def draft(state: State, topic: str) -> State:
    """Write about a topic."""
    return state.update(text=topic)


@action(reads=["text"], writes=["text"])
def shorten(state: State) -> State:
    """Make it shorter."""
    return state.update(text=state["text"][:3])


@action(reads=["text"], writes=["sent"])
def send(state: State) -> State:
    """Send it."""
    return state.update(sent=state["text"])


ASKING = (
    GraphBuilder()
    .with_actions(draft, shorten, send)
    .with_transitions(("draft", ["shorten", "send"], HumanDecider("What now?")), ("shorten", "send"))
    .build()
)


async def test_a_choice_that_is_left_to_a_person_is_asked_and_answered() -> None:
    api = api_of(lambda app_id, _: ApplicationBuilder().with_graph(ASKING).with_entrypoint("draft"))
    async with client_of(api) as client:
        app_id = await created(client)
        path = f"/applications/{app_id}"
        said = (await client.put(f"{path}/actions/draft", json={"topic": "foxes"})).json()
        assert ("What now?", None, False) == (said["choice"]["question"], said["next_step"], said["can_run"])
        assert ["send", "shorten"] == [target["name"] for target in said["choice"]["targets"]]
        assert said == (await client.get(f"{path}/state")).json()
        assert "choice" == (await client.post(f"{path}/run")).json()["error"]
        wrong = await client.put(f"{path}/choice", json={"target": "draft"})
        assert (422, "invalid") == (wrong.status_code, wrong.json()["error"])
        end = (await client.put(f"{path}/choice", json={"target": "shorten", "reason": "too long"})).json()
        assert ({"text": "fox", "sent": "fox"}, "finished") == (end["state"], end["status"])
        steps = (await client.get(f"{path}/history")).json()["steps"]
        assert "too long" == steps[2]["decisions"][0]["reason"]
        assert 409 == (await client.put(f"{path}/choice", json={"target": "shorten"})).status_code
