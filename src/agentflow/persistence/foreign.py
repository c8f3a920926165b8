"""Persisters of the older shape, `load(...)` and `save(...)` of whole states, plain or async, as some people have them.

They can promise no more than their `save` does: there is no claim, so two who run one application are told apart only
where the store itself refuses a sequence id. What must not live here: the commit protocol.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from agentflow.actions import AT_MOST_ONCE
from agentflow.errors import BuildError, ConflictError
from agentflow.graph import Graph
from agentflow.persistence.records import Head, Key, Mark
from agentflow.persistence.resuming import Fit, Progress, Resumed, put, upgraded
from agentflow.runtime import Runtime
from agentflow.state import State, TypingSystem
from agentflow.usage import Usage

if TYPE_CHECKING:
    from agentflow.persistence.starting import Source


class ForeignJournal:
    """Saves one application object by somebody's `save`, after every step and after a failed one.

    Raises:
        BuildError: An action may run at most once, and such a store has no place for its intent.
    """

    held = False
    durability = "older persister: what its own save promises"

    def __init__(self, persister: Any, key: Key, graph: Graph) -> None:
        for name, contract in graph.contracts.items():
            if contract.options.kind == AT_MOST_ONCE:  # it would be performed again after each crash and error
                raise BuildError(
                    f"'{name}' may run at most once, and {type(persister).__name__} cannot keep that it was begun: "
                    "save the application in a store of agentflow's, such as SQLitePersister, or leave kind= out."
                )
        self.persister = persister
        self.key = key
        self.attempt: int = 1
        self._ready = False

    async def open(self, progress: Progress, runtime: Runtime) -> None:
        """See that the store is ready."""
        if self._ready:
            return
        asked = getattr(self.persister, "is_initialized", None)
        if asked is not None and not await runtime.call(asked):
            await runtime.call(self.persister.initialize)
        self._ready = True

    async def begin(self) -> None:
        """An action is about to be performed; such a store is not told."""

    async def noted(self, progress: Progress, runtime: Runtime, what: str = "") -> None:
        """A choice was made; such a store has no place for it."""

    async def commit(
        self, progress: Progress, runtime: Runtime, name: str, state: State[Any], usages: tuple[Usage, ...] = ()
    ) -> None:
        """Save the state after a step, and then move the machine."""
        await self._save(progress, runtime, progress.sequence_id + 1, name, state, "completed")
        progress.commit(name, state)
        self.attempt = 1

    async def failed(self, progress: Progress, runtime: Runtime, status: str, error: BaseException) -> None:
        """Save that a step failed, with the state before it."""
        self.attempt += 1
        try:
            name = progress.pending or progress.prior or progress.entrypoint
            await self._save(progress, runtime, progress.sequence_id + 1, name, progress.state, "failed")
        except Exception as problem:
            error.add_note(f"and that could not be saved: {problem}")

    async def changed(self, progress: Progress, runtime: Runtime) -> None:
        """Save the state as it was changed from outside, in the place of the last step's."""
        name = progress.prior or progress.entrypoint
        if progress.sequence_id >= 0:
            await self._save(progress, runtime, progress.sequence_id, name, progress.state, "completed")

    async def reload(self, progress: Progress, runtime: Runtime) -> None:
        """Take the newest state from the store."""
        found = await _loaded(runtime, self.persister, self.key, None)
        if found is None:
            raise ConflictError(f"application {self.key.app_id!r} is not in the store: run a step first.")
        put(_resumed(found, self.key, None, Fit()), progress, Fit())

    async def close(self, progress: Progress, runtime: Runtime, status: str) -> None:
        """The run is over; such a store is not told."""

    def abandon(self) -> None:
        """The run is over; such a store is not told."""

    async def _save(
        self, progress: Progress, runtime: Runtime, number: int, name: str, state: State[Any], status: str
    ) -> None:
        about = (self.key.partition or None, self.key.app_id, number, name, state, status)
        await runtime.call(self.persister.save, *about)


async def loaded_from(
    runtime: Runtime, initializer: Any, source: Source, key: Key, typing: TypingSystem | None
) -> Resumed | None:
    """What an older loader has of an application, or of what it is forked from."""
    found = await _loaded(runtime, initializer, key, None)
    if found is None and source.fork_from is not None:
        origin, step = source.fork_from
        found = await _loaded(runtime, initializer, origin, step)
        if found is None:
            raise ConflictError(f"there is no application {origin.app_id!r} to fork.", origin.app_id)
    return None if found is None else _resumed(found, key, typing, source.fit)


async def _loaded(runtime: Runtime, loader: Any, key: Key, number: int | None) -> Mapping[str, Any] | None:
    found = await runtime.call(loader.load, key.partition or None, key.app_id, number)
    if found is not None and not isinstance(found, Mapping):
        raise BuildError(f"load() of {type(loader).__name__} gave {type(found).__name__}: return a dict or None.")
    return found


def _resumed(found: Mapping[str, Any], key: Key, typing: TypingSystem | None, fit: Fit) -> Resumed:
    state = found["state"]
    values = upgraded(fit, state.get_all() if isinstance(state, State) else dict(state))
    failed = found.get("status") == "failed"
    number = int(found.get("sequence_id") or 0) - (1 if failed else 0)
    position = {"prior": None if failed else found.get("position"), "next": found.get("position") if failed else None}
    made: State[Any] = State(values, typing)
    return Resumed(Head(key, number, 0, Mark("", str(found.get("status", "")))), made, made, position, 0, 0)
