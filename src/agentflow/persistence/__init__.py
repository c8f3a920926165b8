"""Persistence: every step saved as it is committed, and applications gone on with, forked, listed and deleted.

A committed step is never lost, never duplicated and never reordered. An action runs at least once; it runs at most once
if you ask for it. The stores: memory, SQLite, PostgreSQL, Redis. What must not live here: the engine.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, cast

from agentflow.errors import BuildError

if TYPE_CHECKING:
    from agentflow.persistence.memory import DevNullPersister, InMemoryPersister
    from agentflow.persistence.persister import Persister
    from agentflow.persistence.records import Head, Key, Pointer, StepRecord
    from agentflow.persistence.serde import Serde, register_field_serde, register_type
    from agentflow.persistence.sqlite import SQLitePersister, SQLLitePersister
    from agentflow.persistence.terms import Terms

_HOMES = {
    "AsyncInMemoryPersister": "memory",
    "DevNullPersister": "memory",
    "Head": "records",
    "InMemoryPersister": "memory",
    "Key": "records",
    "Persister": "persister",
    "Pointer": "records",
    "PostgresPersister": "postgres",
    "RedisPersister": "redis",
    "SQLLitePersister": "sqlite",
    "SQLitePersister": "sqlite",
    "Serde": "serde",
    "StepRecord": "records",
    "Terms": "terms",
    "register_field_serde": "serde",
    "register_type": "serde",
}


def persister_from(url: str) -> Persister:
    """The persister that a URL names.

    Args:
        url: `sqlite:///relative/or//absolute/path`, a path that ends in `.db`, `postgresql://...`, `redis://...`, or
            `memory:`.

    Raises:
        BuildError: It names none.

    Example:
        >>> persister_from("sqlite:///agents.db")
    """
    scheme, _, rest = url.partition(":")
    if url.endswith((".db", ".sqlite")) and "://" not in url:
        scheme, rest = "sqlite", url
    if scheme not in _SCHEMES:
        raise BuildError(
            f"{url!r} names no store: use sqlite:///path, postgresql://host/database, redis://host or memory:."
        )
    kind = _named(_SCHEMES[scheme])
    if scheme == "memory":
        return cast("Persister", kind())
    return cast("Persister", kind(rest.removeprefix("///") or "agentflow.db" if scheme == "sqlite" else url))


#: Which persister a URL's scheme stands for.
_SCHEMES = {
    "memory": "InMemoryPersister",
    "postgres": "PostgresPersister",
    "postgresql": "PostgresPersister",
    "redis": "RedisPersister",
    "rediss": "RedisPersister",
    "sqlite": "SQLitePersister",
}


def _named(name: str) -> Any:
    return getattr(importlib.import_module(f"agentflow.persistence.{_HOMES[name]}"), name)


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return _named(name)
    raise AttributeError(f"module 'agentflow.persistence' has no attribute {name!r}")


__all__ = [
    "DevNullPersister",
    "Head",
    "InMemoryPersister",
    "Key",
    "Persister",
    "Pointer",
    "SQLLitePersister",
    "SQLitePersister",
    "Serde",
    "StepRecord",
    "Terms",
    "persister_from",
    "register_field_serde",
    "register_type",
]
