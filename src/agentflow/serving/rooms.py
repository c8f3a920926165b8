"""Rooms: what this process is doing with each application, and who watches.

A room is there while somebody runs or watches an application. Runs take turns in it, and go on when the request that
began one has gone away, so that a page that is loaded again finds its draft. What must not live here: HTTP, or loading
an application.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, Final, TypeVar

from agentflow.persistence.records import Key
from agentflow.select.selector import Decision
from agentflow.serving import telling
from agentflow.serving.problems import Refused

T = TypeVar("T")

#: Something that happened: its kind, and what is told of it.
Event = tuple[str, dict[str, Any]]
#: A watcher that is so many events behind is sent away; it may come again and is told where things stand.
BEHIND: Final = 2_000


class Room:
    """One application in this process.

    Attributes:
        turn: Held by whoever changes the application.
        running: The run that is under way.
        so_far: What happened since the last step was committed, for those who come late.
    """

    def __init__(self) -> None:
        self.turn: asyncio.Lock = asyncio.Lock()
        self.running: asyncio.Task[Any] | None = None
        self.so_far: deque[Event] = deque(maxlen=BEHIND)
        self.visitors = 0
        self._watchers: set[asyncio.Queue[Event | None]] = set()

    @property
    def is_running(self) -> bool:
        """Whether a run is under way."""
        return self.running is not None and not self.running.done()

    def tell(self, kind: str, facts: dict[str, Any]) -> None:
        """Tell everybody who watches."""
        if kind in ("step", "state", "failed"):
            self.so_far.clear()
        else:
            self.so_far.append((kind, facts))
        for queue in list(self._watchers):
            if queue.qsize() >= BEHIND:
                self._watchers.discard(queue)
                queue.put_nowait(None)
            else:
                queue.put_nowait((kind, facts))

    @contextlib.contextmanager
    def watched(self) -> Iterator[asyncio.Queue[Event | None]]:
        """A queue of what happens from here on; None in it is the end."""
        queue: asyncio.Queue[Event | None] = asyncio.Queue()
        self._watchers.add(queue)
        try:
            yield queue
        finally:
            self._watchers.discard(queue)


class Rooms:
    """All rooms of a process."""

    def __init__(self) -> None:
        self._rooms: dict[Key, Room] = {}
        self._working: set[asyncio.Task[Any]] = set()

    @contextlib.asynccontextmanager
    async def entered(self, key: Key) -> AsyncIterator[Room]:
        """The room of an application, for as long as somebody is in it."""
        room = self._rooms.setdefault(key, Room())
        room.visitors += 1
        try:
            yield room
        finally:
            room.visitors -= 1
            if not room.visitors:
                self._rooms.pop(key, None)

    async def run(self, key: Key, work: Callable[[Room], Awaitable[T]]) -> T:
        """Do some work in a room, in turn; it goes on when whoever asked for it has gone away.

        Raises:
            Refused: It was cancelled.
        """

        async def inside() -> T:
            async with self.entered(key) as room, room.turn:
                room.running = asyncio.current_task()
                room.so_far.clear()
                try:
                    return await work(room)
                finally:
                    room.running = None

        task = asyncio.create_task(inside())
        self._working.add(task)
        task.add_done_callback(self._done)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if not task.cancelled():
                raise
            raise Refused(
                409, "cancelled", "The run was cancelled; the step that was under way was not kept."
            ) from None

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._working.discard(task)
        if not task.cancelled():
            task.exception()  # whoever asked may have gone away: then nobody else looks at it

    async def cancel(self, key: Key) -> bool:
        """Cancel the run that is under way, and wait until it has ended; whether there was one."""
        room = self._rooms.get(key)
        if room is None or room.running is None:
            return False
        running = room.running
        running.cancel()
        await asyncio.wait([running])
        return True

    def is_running(self, key: Key) -> bool:
        """Whether a run is under way here."""
        room = self._rooms.get(key)
        return room is not None and room.is_running

    async def close(self) -> None:
        """Cancel every run, and wait until all have ended."""
        for task in self._working:
            task.cancel()
        if self._working:
            await asyncio.wait(self._working)


class Reporter:
    """A hook that tells a room what its application does."""

    def __init__(self, room: Room, app_id: str) -> None:
        self._room = room
        self._app_id = app_id

    def post_decide(self, *, app_id: str, decision: Decision, **_: Any) -> None:
        """A choice was made."""
        if app_id == self._app_id:  # its children have the same hooks
            self._room.tell("decision", telling.decision_of(decision))

    def pre_run_step(self, *, app_id: str, sequence_id: int, action: Any, **_: Any) -> None:
        """An action begins."""
        if app_id == self._app_id:
            self._room.tell("begin", {"sequence_id": sequence_id, "action": action.name})
