"""What happens to an application as server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html).

Whoever comes is told where things stand, then what has come of the running step so far, then what happens. What another
process does is seen in the store: its steps, and not its tokens. What must not live here: making anything happen.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any, Final

from agentflow.persistence.records import Key
from agentflow.serving.problems import Refused, told
from agentflow.serving.rooms import Event
from agentflow.serving.service import Answer, Service, Write

#: How often the store is asked what other processes have done (seconds), and how often a silent stream says so.
LOOK_EVERY: Final = 1.0
SILENCE: Final = 15.0

Queue = asyncio.Queue[Event | None]


def encoded(kind: str, facts: Any) -> bytes:
    """One event; JSON has no line breaks of its own, so it is one line."""
    return f"event: {kind}\ndata: {json.dumps(facts, separators=(',', ':'))}\n\n".encode()


async def watching(service: Service, key: Key) -> AsyncIterator[bytes]:
    """What happens to an application from here on, until whoever watches goes away or it is deleted."""
    async with service.rooms.entered(key) as room:
        with room.watched() as queue:
            so_far = list(room.so_far)
            said = await service.look(key)
            yield encoded("state", said)
            for event in so_far:
                yield encoded(*event)
            async for sent in _following(service, key, queue, _sign(said)):
                yield sent


async def _following(service: Service, key: Key, queue: Queue, seen: tuple[Any, ...]) -> AsyncIterator[bytes]:
    spoken = time.monotonic()
    while True:
        try:
            async with asyncio.timeout(LOOK_EVERY):
                event = await queue.get()
        except TimeoutError:
            if time.monotonic() - spoken > SILENCE:
                spoken = time.monotonic()
                yield b": still here\n\n"
            said = None if service.rooms.is_running(key) else await _changed(service, key, seen)
            if said is None:
                continue
            event = ("state" if "status" in said else "deleted"), said
        if event is None:
            return
        seen = _sign(event[1]) if event[0] == "state" else seen
        spoken = time.monotonic()
        yield encoded(*event)
        if event[0] == "deleted":
            return


async def _changed(service: Service, key: Key, seen: tuple[Any, ...]) -> dict[str, Any] | None:
    """The application as it stands, if that is not what was told last."""
    try:
        said = await service.look(key)
    except Refused as gone:
        return told(gone)[1]
    return said if _sign(said) != seen else None


def _sign(said: dict[str, Any]) -> tuple[Any, ...]:
    return said["sequence_id"], said["status"], said["next_step"], said["choice"] is None


async def performing(service: Service, write: Write) -> AsyncIterator[bytes]:
    """The events of one request to go on, up to the state it ends in; the run goes on if whoever asked goes away."""
    async with service.rooms.entered(write.key) as room:
        with room.watched() as queue:
            working = asyncio.ensure_future(service.advance(write))
            async for event in _meanwhile(working, queue):
                yield encoded(*event)
            yield await _ending(working)


async def _meanwhile(working: asyncio.Future[Answer], queue: Queue) -> AsyncIterator[Event]:
    """What comes out of a queue until some work is done, apart from how that ended."""
    while not working.done() or not queue.empty():
        waiting = asyncio.ensure_future(queue.get())
        both: list[asyncio.Future[Any]] = [waiting, working]
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if not waiting.done():
            waiting.cancel()
            continue
        event = waiting.result()
        if event is None:
            return
        if event[0] not in ("state", "failed"):
            yield event


async def _ending(working: asyncio.Future[Answer]) -> bytes:
    try:
        return encoded("state", (await working)[1])
    except Exception as error:
        status, said = told(error)
        return encoded("failed", {**said, "status": status})
