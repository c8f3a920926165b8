"""Service: what may be asked of the applications of one graph, each verb once, without HTTP.

What must not live here: routes, statuses of HTTP beyond those of a `Refused`, or how things are told (`shapes.py`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from agentflow.application import Application
from agentflow.errors import ConflictError, DecideError
from agentflow.graph import Graph
from agentflow.ids import new_id
from agentflow.persistence.records import Head, Key
from agentflow.runtime import ASYNC
from agentflow.serving import receipts, shapes, telling
from agentflow.serving.desk import Desk, Standing, exists, head_of, is_run, step_number, view
from agentflow.serving.problems import Refused, told
from agentflow.serving.receipts import Asked, Receipt
from agentflow.serving.rooms import Reporter, Room, Rooms

#: An answer: its HTTP status and what it says.
Answer = tuple[int, dict[str, Any]]
#: So many applications, or steps, are told at once at most.
PAGE: Final = 500


@dataclass(frozen=True, slots=True)
class Write:
    """Somebody's wish to change an application.

    Attributes:
        key: Which.
        expected: The step they think it is at (`If-Match`); None when they do not say.
        idempotency_key: Names the request, so that it counts once however often it is sent.
        action: The action that is to be performed next; None for whatever comes next.
        inputs: What it is given.
        target: What a person chose, where that was left to one.
        reason: Why.
    """

    key: Key
    expected: int | None = None
    idempotency_key: str | None = None
    action: str | None = None
    inputs: Mapping[str, Any] = field(default_factory=dict)
    target: str | None = None
    reason: str | None = None

    def asked(self) -> Asked | None:
        """The same as a request that counts once; None when it has no key."""
        if self.idempotency_key is None:
            return None
        what = f"advance {self.key.app_id} {self.action} {self.target}"
        body = {"inputs": telling.plain(dict(self.inputs)), "reason": self.reason}
        return Asked.of(self.key.partition, self.idempotency_key, what, body)


class Service:
    """The applications of one graph.

    Attributes:
        entrypoint: Where they begin.
        shapes: How they are told.
        rooms: What this process is doing with them.
    """

    def __init__(self, desk: Desk, graph: Graph, entrypoint: str, served: shapes.Shapes, max_steps: int) -> None:
        self.desk = desk
        self.graph = graph
        self.entrypoint = entrypoint
        self.shapes = served
        self.rooms: Rooms = Rooms()
        self._max_steps = max_steps

    # -- looking

    async def look(self, key: Key) -> dict[str, Any]:
        """An application as it stands."""
        return await view(await self.desk.opened(key), self.shapes, self.rooms.is_running(key))

    async def head(self, key: Key) -> Head:
        """The head of an application.

        Raises:
            Refused: There is none.
        """
        found = await self.desk.store(self.desk.persister.head, key)
        if found is None or found.spawn is not None:
            raise Refused(404, "not_found", f"There is no application '{key.app_id}'.")
        return found

    async def listed(self, partition: str, after: str | None, limit: int) -> dict[str, Any]:
        """Applications of a partition, by id; children of others are not among them."""
        shown: list[Head] = []
        place = None if after is None else Key(partition, after)
        while True:
            heads = await self.desk.store(self.desk.persister.heads, partition, place, PAGE)
            shown += [head for head in heads if head.spawn is None]
            if len(heads) < PAGE or len(shown) > limit:
                break
            place = heads[-1].key
        more = len(shown) > limit
        return {
            "applications": [_listed(head) for head in shown[:limit]],
            "next": shown[limit - 1].app_id if more else None,
        }

    async def history(self, key: Key, after: int | None, limit: int) -> dict[str, Any]:
        """Steps of an application, oldest first."""
        await self.head(key)
        records = await self.desk.store(self.desk.persister.history, key.app_id, key.partition, after, limit + 1)
        steps = [telling.step_of(record) for record in records[:limit]]
        return {"steps": steps, "next": steps[-1]["sequence_id"] if len(records) > limit else None}

    # -- changing

    async def create(self, partition: str, app_id: str | None, idempotency_key: str | None) -> Answer:
        """A new application."""
        asked = None
        if idempotency_key is not None:
            asked = Asked.of(partition, idempotency_key, "create", {"app_id": app_id})
            app_id = app_id or asked.app_id
        key = Key(partition, app_id or new_id())

        async def work(room: Room) -> Answer:
            return await self._once(asked, key, lambda receipt: self._created(key, asked, receipt))

        return await self.rooms.run(key, work)

    async def _created(self, key: Key, asked: Asked | None, receipt: Receipt | None) -> Answer:
        exists = await self.desk.store(self.desk.persister.head, key) is not None
        if asked is not None and receipt is None and not exists:
            await self.desk.store(receipts.begun, self.desk.persister, asked, key, 0, -1)
        begun_before = exists and receipt is not None
        application = await (self.desk.opened(key) if begun_before else self.desk.created(key))
        return 201, await view(application, self.shapes)

    async def advance(self, write: Write) -> Answer:
        """Perform the next step with what it is given, and go on to where input is needed again."""

        async def work(room: Room) -> Answer:
            try:
                status, said = await self._once(write.asked(), write.key, lambda r: self._advanced(room, write, r))
            except Exception as error:
                room.tell("failed", told(error)[1])
                raise
            room.tell("state", said)
            return status, said

        return await self.rooms.run(write.key, work)

    async def fork(
        self, key: Key, app_id: str | None, sequence_id: int | None, idempotency_key: str | None, expected: int | None
    ) -> Answer:
        """A new application that goes on from a step of this one."""
        asked = None
        if idempotency_key is not None:
            what = {"app_id": app_id, "sequence_id": sequence_id}
            asked = Asked.of(key.partition, idempotency_key, f"fork {key.app_id}", what)
            app_id = app_id or asked.app_id
        new = Key(key.partition, app_id or new_id())

        async def forked(receipt: Receipt | None) -> Answer:
            head = await self.head(key)
            if receipt is None or await self.desk.store(self.desk.persister.head, new) is None:
                _expect(head.sequence_id, expected)
                if asked is not None and receipt is None:
                    await self.desk.store(receipts.begun, self.desk.persister, asked, new, 0, -1)
                await self._forked(head, new, head.sequence_id if sequence_id is None else sequence_id)
            return 201, await view(await self.desk.opened(new), self.shapes)

        async def work(room: Room) -> Answer:
            return await self._once(asked, new, forked)

        return await self.rooms.run(new, work)

    async def _forked(self, head: Head, new: Key, at: int) -> None:
        verb, partition = self.desk.persister.fork, new.partition
        try:
            await self.desk.store(verb, head.app_id, new.app_id, at, partition, partition)
        except ConflictError as error:
            if await self.desk.store(self.desk.persister.head, new) is not None:
                raise exists(new) from error
            said = f"The application has no step {at} to go on from: it is at step {head.sequence_id}."
            raise Refused(409, "no_step", said, sequence_id=head.sequence_id) from error

    async def cancel(self, key: Key, expected: int | None = None) -> dict[str, Any]:
        """Cancel the run that is under way; nothing of its step is kept, and what came before it stays.

        Raises:
            Refused: Another process runs it, or it is at another step.
        """
        head = await self.head(key)
        _expect(head.sequence_id, expected)
        if not await self.rooms.cancel(key) and is_run(head):
            raise Refused(409, "held", "Another process runs this application: ask that one to cancel it.")
        said = await self.look(key)
        async with self.rooms.entered(key) as room:
            room.tell("state", said)
        return said

    async def delete(self, key: Key, expected: int | None = None) -> None:
        """Delete an application with everything it spawned.

        Raises:
            Refused: There is none, or it is being run, or it is at another step.
        """
        if self.rooms.is_running(key) or is_run(await self.head(key)):
            raise Refused(409, "held", "This application is being run: cancel that, or wait for it.")

        async def work(room: Room) -> None:
            _expect((await self.head(key)).sequence_id, expected)
            await self.desk.store(self.desk.persister.delete, key.app_id, key.partition)
            room.tell("deleted", {"app_id": key.app_id})

        await self.rooms.run(key, work)

    # -- inside

    async def _once(
        self, asked: Asked | None, about: Key, answer: Callable[[Receipt | None], Awaitable[Answer]]
    ) -> Answer:
        """What was answered before, or the answer, kept for whoever asks again."""
        if asked is None:
            return await answer(None)
        receipt = await self.desk.store(receipts.found, self.desk.persister, asked)
        if receipt is not None and receipt.status is not None:
            return receipt.status, receipt.answer
        status, said = await answer(receipt)
        await self.desk.store(receipts.answered, self.desk.persister, asked, about, status, said)
        return status, said

    async def _advanced(self, room: Room, write: Write, receipt: Receipt | None) -> Answer:
        key = write.key
        application = await self.desk.taken(key, (Reporter(room, key.app_id),), write.expected)
        journal = application._machine.journal
        try:
            if receipt is not None and await self.desk.store(receipts.was_committed, self.desk.persister, key, receipt):
                write = Write(key)  # its first step is there already: what is left is to go on
                if not (await view(application, self.shapes))["can_run"]:
                    return 200, await view(application, self.shapes)
            await self._check(application, write)
            await journal.open(application._machine, ASYNC)
            await self._begun(application, write)
            if write.target is not None:
                await application.achoose(write.target, write.reason)
            await self._run(application, room, write.inputs)
        finally:
            if journal.held:  # it ended before its run began: how it stands is still what the store says
                await self.desk.store(journal.abandon)
        return 200, await view(application, self.shapes)

    async def _begun(self, application: Application[Any], write: Write) -> None:
        asked, head = write.asked(), head_of(application)
        if asked is not None and head is not None:
            persister = self.desk.persister
            await self.desk.store(receipts.begun, persister, asked, write.key, head.epoch, head.sequence_id)

    async def _check(self, application: Application[Any], write: Write) -> None:
        """Refuse what does not fit where the application stands; nothing has run yet."""
        at, standing = step_number(application), await Standing.of(application)
        facts = {"sequence_id": at, "next_step": standing.next_name}
        _expect(at, write.expected, next_step=standing.next_name)
        if standing.finished:
            raise Refused(
                409, "finished", "The application is finished: fork it to go on from an earlier step.", **facts
            )
        asked = application.pending_choice
        if write.target is not None:
            self._check_choice(asked, write.target, facts)
        elif asked is not None:
            raise Refused(409, "choice", f"What comes next is for a person to choose: {asked.question}", **facts)
        elif write.action is not None and write.action != standing.next_name:
            coming = f"'{standing.next_name}' comes next" if standing.next_name else "what comes next is to be decided"
            raise Refused(409, "not_next", f"The action '{write.action}' does not come next: {coming}.", **facts)
        elif write.action is None and standing.next_name in self.shapes.needing:
            raise Refused(409, "input", f"'{standing.next_name}' comes next, and needs input.", **facts)

    @staticmethod
    def _check_choice(asked: Any, target: str, facts: dict[str, Any]) -> None:
        if asked is None:
            raise Refused(409, "no_choice", "No choice waits for a person.", **facts)
        try:
            asked.picked(target)
        except DecideError as error:
            raise Refused(422, "invalid", str(error), **facts) from error

    async def _run(self, application: Application[Any], room: Room, inputs: Mapping[str, Any]) -> None:
        """Go on to the next pause, telling the room of each piece and step."""
        steps = application.astream_iterate(halt_before=self.shapes.pauses, inputs=inputs, max_steps=self._max_steps)
        async with contextlib.aclosing(steps):
            async for action, container in steps:
                about = {"sequence_id": step_number(application) + 1, "action": action.name}
                async for item in container:
                    room.tell("token", {**about, "item": telling.plain(item)})
                await container.get()
                room.tell("step", {"sequence_id": step_number(application), "action": action.name})


def _expect(at: int, expected: int | None, **facts: Any) -> None:
    """Refuse who thinks that an application is at another step."""
    if expected is not None and expected != at:
        said = f"The application is at step {at} now, and not at {expected}."
        raise Refused(409, "conflict", said, **{"sequence_id": at, **facts})


def _listed(head: Head) -> dict[str, Any]:
    return {
        "app_id": head.app_id,
        "sequence_id": head.sequence_id,
        "status": "running" if is_run(head) else head.status,
        "created_at": head.created_at,
        "updated_at": head.updated_at,
    }
