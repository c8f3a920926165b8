"""Desk: applications as the store has them, read anew for each request, and told as an answer.

No application is kept between requests: another process may have moved it on. What must not live here: running one
(`rooms.py`), or HTTP.
"""

from __future__ import annotations

import asyncio
import copy
import inspect
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

from agentflow.application import Application
from agentflow.builder import ApplicationBuilder
from agentflow.engine.created import tell_created
from agentflow.errors import BuildError
from agentflow.graph import Graph
from agentflow.persistence.owner import alive
from agentflow.persistence.persister import Persister
from agentflow.persistence.reading import position_of
from agentflow.persistence.records import Head, Key
from agentflow.runtime import ASYNC, BLOCKING, name_of, run_blocking
from agentflow.select.selector import END
from agentflow.serving import shapes, telling
from agentflow.serving.problems import Refused, explained
from agentflow.state import TypingSystem

#: Makes the application of an id and a partition: a builder, which is given its persister and identifiers here, or a
#: built application, whose builder is used.
Factory = Callable[[str, str | None], Any]

T = TypeVar("T")

#: How applications stand whose last attempt at a step came to nothing.
UNWELL: Final = frozenset({"failed", "timed_out", "cancelled", "uncertain"})


class Desk:
    """Opens applications.

    Args:
        factory: Makes the application of an id and a partition.
        persister: Where applications are saved.
    """

    def __init__(self, factory: Factory, persister: Persister) -> None:
        self.factory = factory
        self.persister = persister

    async def store(self, verb: Callable[..., T], /, *args: Any, **options: Any) -> T:
        """Call a verb of the store, in a thread if it waits."""
        if self.persister.waits:
            return await asyncio.to_thread(verb, *args, **options)
        return verb(*args, **options)

    async def opened(self, key: Key) -> Application[Any]:
        """The application as it is saved.

        Raises:
            Refused: It is not.
        """
        return await self.store(_opened, await self._builder(key, ()), key)

    async def taken(self, key: Key, hooks: tuple[Any, ...], expected: int | None) -> Application[Any]:
        """The same, and claimed for a run unless it is at another step than is expected; one way to the store for both.

        Raises:
            Refused: It is not saved.
            HeldError: Somebody else runs it.
        """
        taken: list[Application[Any]] = []
        runtime = ASYNC if self.persister.waits else BLOCKING
        try:
            await runtime.complete(_take, await self._builder(key, hooks), key, expected, taken)
            await tell_created(taken[0]._machine, ASYNC)
        except BaseException:  # a cancellation may come when it is claimed already
            for application in taken:
                application._machine.journal.abandon()
            raise
        return taken[0]

    async def created(self, key: Key) -> Application[Any]:
        """A new application, saved.

        Raises:
            Refused: There is one with this id.
        """
        builder = await self._builder(key, ())
        if await self.store(self.persister.head, key) is not None:
            raise exists(key)
        application: Application[Any] = builder._assemble(None)
        await application.asave()
        await tell_created(application._machine, ASYNC)
        return application

    def about(self) -> tuple[Graph, str, TypingSystem | None]:
        """The graph that is served, where it begins, and its typing.

        Raises:
            BuildError: The factory makes something else, or cannot be called with an id and a partition.
        """
        try:
            inspect.signature(self.factory).bind("example", None)
        except TypeError as error:
            raise BuildError(
                f"the factory '{name_of(self.factory)}' cannot be called with two arguments ({error}): define it as "
                "`def factory(app_id, partition_key)`, giving an ApplicationBuilder."
            ) from None
        made = self.factory("example", None)
        builder = _builder_of(_awaited(made) if inspect.isawaitable(made) else made)
        return *builder._checked_graph(), builder._typing

    async def _builder(self, key: Key, hooks: tuple[Any, ...]) -> ApplicationBuilder:
        made = self.factory(key.app_id, key.partition or None)
        if inspect.isawaitable(made):
            made = await made
        builder = copy.copy(_builder_of(made))  # the factory may give the same one to several requests at once
        builder.with_identifiers(app_id=key.app_id).with_hooks(*hooks)
        builder._partition_key = key.partition or None  # whatever the factory says: it is the caller's
        if builder._saving is None or builder._saving.persister is not self.persister:
            builder.with_state_persister(self.persister)
        if builder._source is None:
            state, entrypoint = builder._state, builder._entrypoint
            builder._state = builder._entrypoint = None
            builder.initialize_from(self.persister, default_state=state, default_entrypoint=entrypoint)
        return builder


def exists(key: Key) -> Refused:
    """The refusal of a new application under an id that is taken."""
    return Refused(409, "exists", f"There is an application '{key.app_id}' already: give the new one another id.")


def _opened(builder: ApplicationBuilder, key: Key) -> Application[Any]:
    saved = run_blocking(builder._look_up(BLOCKING))
    if saved is None or saved.head.spawn is not None:  # children belong to their parents
        raise Refused(404, "not_found", f"There is no application '{key.app_id}'.")
    return builder._assemble(saved)


def _take(builder: ApplicationBuilder, key: Key, expected: int | None, taken: list[Application[Any]]) -> None:
    taken.append(_opened(builder, key))
    machine = taken[0]._machine
    if expected in (None, machine.sequence_id):
        run_blocking(machine.journal.open(machine, BLOCKING))


def _builder_of(made: object) -> ApplicationBuilder:
    builder = made.builder if isinstance(made, Application) else made
    if isinstance(builder, ApplicationBuilder):
        return builder
    raise BuildError(
        f"the factory made {made!r:.80}: have it return an ApplicationBuilder, or an application built by one."
    )


def _awaited(made: Awaitable[Any]) -> Any:
    """What an async factory makes, at once, and also while a loop runs here."""

    async def waiting() -> Any:
        return await made

    with ThreadPoolExecutor(1) as aside:
        return aside.submit(asyncio.run, waiting()).result()


def head_of(application: Application[Any]) -> Head | None:
    """The head as the application last saw it."""
    journal = application._machine.journal
    head: Head | None = getattr(journal, "_head", None)
    return head


def step_number(application: Application[Any]) -> int:
    """The last step, -1 before the first."""
    return application._machine.sequence_id


class Standing:
    """What comes next in an application, without paying for a choice.

    Attributes:
        next_name: The action that comes next; None when that is not known yet, and at the end.
        finished: Whether there is nothing to go on to.
    """

    __slots__ = ("finished", "next_name")

    def __init__(self, next_name: str | None, finished: bool) -> None:
        self.next_name: str | None = next_name
        self.finished: bool = finished

    @classmethod
    async def of(cls, application: Application[Any]) -> Standing:
        """Look at an application; choices that call nobody's code are made."""
        machine = application._machine
        if machine.pending in machine.graph.contracts:
            return cls(machine.pending, False)
        choice = machine.graph.choices.get(machine.pending or machine.prior or "")
        if machine.awaiting is not None or (choice is not None and not choice.pure):
            return cls(None, False)
        action: Awaitable[Any] = application.aget_next_action()
        found = await action
        return cls(None, machine.pending == END) if found is None else cls(found.name, False)


async def view(application: Application[Any], served: shapes.Shapes, running: bool = False) -> dict[str, Any]:
    """An application as an answer tells it."""
    standing = await Standing.of(application)
    head, name = head_of(application), standing.next_name
    status = _status(application, head, running, standing.finished)
    asked = application.pending_choice
    takes_input = name in served.inputs
    needs_input = name in served.needing
    return {
        "app_id": application.uid,
        "sequence_id": step_number(application),
        "status": status,
        "next_step": name if takes_input else None,
        "next_inputs": served.schemas[name] if name is not None and takes_input else None,
        "can_run": not (standing.finished or needs_input or asked is not None or status == "running"),
        "choice": None if asked is None else _choice(asked),
        "error": _error(application, head, name) if status in UNWELL else None,
        "state": telling.plain(application.state.get_all()),
    }


def is_run(head: Head) -> bool:
    """Whether somebody runs the application, as far as can be told."""
    return bool(head.owner) and head.lease > 0 and alive(head.owner)


def _status(application: Application[Any], head: Head | None, running: bool, finished: bool) -> str:
    own = application._machine.standing
    if running:
        return "running"
    if own not in ("ready", "finished"):
        return own
    if head is not None and is_run(head) and not application._machine.journal.held and own == "ready":
        return "running"
    if finished:
        return "finished"
    return head.status if head is not None else own


def _choice(asked: Any) -> dict[str, Any]:
    targets = [{"name": target.name, "description": target.description} for target in asked.targets]
    return {"question": asked.question, "targets": targets}


def _error(application: Application[Any], head: Head | None, name: str | None) -> str | None:
    failure = application.failure
    if failure is not None:
        return explained(f"{type(failure).__name__}: {failure}", name)
    if head is None:
        return None
    return explained(position_of(application._machine.journal.persister.serde, head).get("error"), name)
