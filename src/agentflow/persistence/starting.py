"""Where a built application begins: in a store, at its entrypoint, or as a fork; and what will save it.

What must not live here: the commit protocol (`journal.py`), or the builder's own checks.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from agentflow.errors import BuildError, SerializationError
from agentflow.graph import Graph
from agentflow.persistence.journal import Journal
from agentflow.persistence.persister import Persister
from agentflow.persistence.records import Key, Pointer
from agentflow.persistence.resuming import Fit, Progress, Resumed, put, read
from agentflow.persistence.serde import Serde, types_of
from agentflow.persistence.terms import Terms
from agentflow.runtime import BLOCKING, Runtime
from agentflow.state import State, TypingSystem


@dataclass(frozen=True, slots=True)
class Source:
    """What an application is initialised from.

    Attributes:
        initializer: Where it is loaded from.
        default_state: What it starts with when nothing is saved.
        default_entrypoint: Where it starts then.
        fork_from: Another application, and one of its steps or None for the last, that it goes on from.
        fit: How what is saved is fitted to the graph.
    """

    initializer: Any
    default_state: Mapping[str, Any] = field(default_factory=dict)
    default_entrypoint: str | None = None
    fork_from: tuple[Key, int | None] | None = None
    fit: Fit = field(default_factory=Fit)


@dataclass(frozen=True, slots=True)
class Saving:
    """What saves an application, and on which terms."""

    persister: Any
    terms: Terms


def serde_for(persister: Persister, typing: TypingSystem | None) -> Serde:
    """How a persister's values become text, with the types that the graph's own state declares."""
    if typing is None:
        return persister.serde
    return persister.serde.with_types(types_of(typing.state_type))


def journal_of(
    saving: Saving | None,
    key: Key,
    graph: Graph,
    typing: TypingSystem | None = None,
    fit: Fit | None = None,
    spawn: Pointer | None = None,
    beginning: str | None = None,
) -> Any:
    """What saves the application; None when nobody does. See `Journal` for what the rest says.

    Raises:
        BuildError: It cannot keep what the graph wants to be kept.
    """
    if saving is None:
        return None
    persister = saving.persister
    if isinstance(persister, Persister):
        return Journal(persister, key, saving.terms, serde_for(persister, typing), typing, fit, spawn, beginning)
    from agentflow.persistence.foreign import ForeignJournal

    return ForeignJournal(persister, key, graph)


def beginning_of(saving: Saving, state: State[Any], inputs: Mapping[str, Any], typing: TypingSystem | None) -> str:
    """A digest of what a child starts from; what cannot be saved does not count."""
    persister = saving.persister
    serde = serde_for(persister, typing) if isinstance(persister, Persister) else Serde()
    digest = hashlib.sha256()
    for name, values in (("state", state.get_all()), ("inputs", dict(inputs))):
        for key, value in sorted(values.items()):
            with contextlib.suppress(SerializationError):
                text = json.dumps([name, key, serde.encode(value, key)], sort_keys=True)
                digest.update(text.encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


async def found(runtime: Runtime, source: Source, key: Key, typing: TypingSystem | None) -> Resumed | None:
    """What is saved of an application; None when nothing is.

    A fork that has been saved under its own id goes on as itself.

    Raises:
        ConflictError: There is nothing to fork from.
        CorruptRecord: What is saved is damaged.
    """
    initializer = source.initializer
    if not isinstance(initializer, Persister):
        from agentflow.persistence.foreign import loaded_from

        return await loaded_from(runtime, initializer, source, key, typing)

    def look() -> Resumed | None:
        head = initializer.head(key)
        if head is None and source.fork_from is not None:
            origin, step = source.fork_from
            head = initializer.fork(origin.app_id, key.app_id, step, origin.partition, key.partition)
        return None if head is None else read(initializer, head, serde_for(initializer, typing), typing, source.fit)

    if initializer.waits and runtime is not BLOCKING:
        return await runtime.complete(look)
    return look()


def placed(resumed: Resumed, progress: Progress, source: Source, journal: Any) -> None:
    """Have a machine go on with what was found, and its journal know that.

    Raises:
        GraphMismatch: It does not fit the graph.
    """
    put(resumed, progress, source.fit)
    if isinstance(journal, Journal) and journal.persister is source.initializer:
        journal.took(resumed)


#: Those that were named by a URL, so that one URL is one object for all who name it.
_by_url: weakref.WeakValueDictionary[str, Persister] = weakref.WeakValueDictionary()


def _named(url: str) -> Persister:
    from agentflow.persistence import persister_from

    found = _by_url.get(url)
    if found is None:
        found = _by_url[url] = persister_from(url)
    return found


def checked(persister: Any, verb: str) -> Any:
    """A persister, or something of the older load/save shape.

    Raises:
        BuildError: It is neither.
    """
    wanted = ("load",) if verb == "initialize_from" else ("save",)
    if isinstance(persister, str):
        return _named(persister)
    if isinstance(persister, Persister):
        return persister
    if isinstance(persister, type) or not all(callable(getattr(persister, name, None)) for name in wanted):
        raise BuildError(f"{verb}() takes a persister, such as SQLitePersister('agents.db'), not {persister!r}.")
    return persister
