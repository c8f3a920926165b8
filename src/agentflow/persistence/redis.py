"""RedisPersister: a store as durable as its Redis is set up to be, over one Lua script.

Every verb that writes is one call of the script, which Redis performs all or nothing; a claim looks first, and takes
only what it saw. What must not live here: the form of what is stored (`redis_texts.py`).
"""

from __future__ import annotations

import os
import warnings
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import resources
from typing import TYPE_CHECKING, Any

from agentflow.errors import BuildError, MissingExtraError, StoreError
from agentflow.persistence.persister import Persister, fenced, missing, refusal, unforkable
from agentflow.persistence.records import Claim, Head, Key, Mark, Pointer, Row
from agentflow.persistence.redis_texts import head_from, member_of, paired, pointed, row_pairs, rows_from, text_of
from agentflow.persistence.serde import Serde

if TYPE_CHECKING:
    from redis import Redis

#: How long a call waits for the server, in seconds.
PATIENCE = 30.0


class RedisPersister(Persister):
    """Saves runs in Redis.

    Its `promise` is "durable" only where the server has `appendfsync always`; else it is "cache-grade", and a warning
    says so once: with the machine, the last seconds may be lost, but never a part of a step.

    Args:
        url: Where it is: `redis://host:6379/0`.
        serde: How values become text.
        prefix: What its keys begin with.

    Raises:
        MissingExtraError: redis is not installed.
        StoreError: The server cannot be reached; every verb says so.

    Example:
        >>> persister = RedisPersister("redis://cache.example.com/0")
    """

    def __init__(self, url: str, serde: Serde | None = None, prefix: str = "agentflow") -> None:
        super().__init__(serde)
        try:
            import redis
        except ImportError as error:
            raise MissingExtraError("RedisPersister", "redis") from error
        if not prefix or "{" in prefix or "}" in prefix:
            raise BuildError(f"prefix={prefix!r} cannot begin a key: give a plain name.")
        self.url = url
        self.prefix = prefix
        self._errors: type[Exception] = redis.RedisError
        self._client: Redis | None = None
        self._script: Any = None
        _everywhere.add(self)

    def initialize(self) -> None:
        with self._explained():
            self._connected().ping()

    def is_initialized(self) -> bool:
        with self._explained():
            return bool(self._connected().ping())

    def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return RedisPersister, (self.url, self.serde, self.prefix)

    # -- the verbs

    def claim(self, key: Key, claim: Claim) -> Head:
        while True:
            head = self.head(key)
            if head is None:
                made = self._born(key, claim)
            else:
                refused = refusal(claim, head)
                if refused is not None:
                    raise refused
                made = self._call("take", key, head.epoch, head.sequence_id, claim.owner, claim.seconds)
            found = head_from(key, made) if made else None  # None: somebody was faster, so look again
            if found is not None:
                return found

    def _born(self, key: Key, claim: Claim) -> Any:
        birth = claim.birth
        if birth is None:
            raise missing(key)
        fields = {"position": birth.mark.position, "status": birth.mark.status, "graph": birth.graph}
        fields |= pointed("fork", birth.fork) | pointed("spawn", birth.spawn)
        fork, step = birth.fork, "" if birth.fork is None else birth.fork.sequence_id
        about = (member_of(key), claim.owner, claim.seconds, birth.row.sequence_id, step, *paired(fields))
        rows = (*row_pairs([birth.row], 1), *paired(birth.blobs))
        families = [*self._families(fork, birth.spawn), *(() if fork is None else (self._own(fork.key, "steps"),))]
        made = self._call("bear", key, *about, *rows, families=families)
        if made == -1 and fork is not None:
            raise unforkable(fork)
        return made

    def renew(self, key: Key, epoch: int, seconds: float) -> bool:
        return bool(self._call("renew", key, epoch, seconds))

    def release(self, key: Key, epoch: int, mark: Mark | None = None) -> None:
        about = ("0", "", "") if mark is None else ("1", mark.position, mark.status)
        self._call("release", key, epoch, *about)

    def commit(
        self,
        key: Key,
        epoch: int,
        rows: Sequence[Row],
        mark: Mark,
        blobs: Mapping[str, str],
        durable: bool = True,
        release: bool = False,
    ) -> None:
        before, last = rows[0].sequence_id - 1, rows[-1].sequence_id
        about = (epoch, before, last, mark.position, mark.status, int(release), *row_pairs(rows, epoch), *paired(blobs))
        if not self._call("commit", key, *about):
            raise self._overtaken(key)

    def note(self, key: Key, epoch: int, head: int, mark: Mark, failed: bool = False, durable: bool = True) -> None:
        if not self._call("note", key, epoch, head, mark.position, mark.status, int(failed)):
            raise self._overtaken(key)

    def head(self, key: Key) -> Head | None:
        return head_from(key, self._call("head", key))

    def heads(self, partition: str | None = None, after: Key | None = None, limit: int | None = None) -> list[Head]:
        low = "-" if partition is None else f"[{partition}\0"
        low = low if after is None else f"({member_of(after)}"
        high = "+" if partition is None else f"({partition}\1"
        with self._explained():
            client = self._connected()
            members = client.zrangebylex(self._shared("index"), low, high, start=0, num=-1 if limit is None else limit)
            return self._heads(members)

    def trail(self, key: Key, upto: int) -> list[Row]:
        return rows_from(self._call("rows", key, "snapshot", upto, _ALL))

    def rows(self, key: Key, after: int | None = None, limit: int | None = None) -> list[Row]:
        return rows_from(
            self._call("rows", key, -2 if after is None else after + 1, "", _ALL if limit is None else limit)
        )

    def blob(self, digest: str) -> str | None:
        with self._explained():
            found = self._connected().hget(self._shared("blobs"), digest)
            return None if found is None else str(found)

    def offspring(self, key: Key) -> tuple[list[Head], list[Head]]:
        with self._explained():
            client = self._connected()
            spawned, forked = (self._heads(sorted(client.smembers(self._own(key, kind)))) for kind in _FAMILIES)
        return (
            [head for head in spawned if head.spawn is not None and head.spawn.key == key],
            [head for head in forked if head.fork is not None and head.fork.key == key],
        )

    def replace(self, key: Key, row: Row, blobs: Mapping[str, str]) -> None:
        self._call("replace", key, row.sequence_id, text_of(row, row.epoch), *paired(blobs))

    def remove(self, key: Key, before: int | None = None) -> bool:
        head = self.head(key)
        if head is None:
            return True
        families = self._families(head.fork, head.spawn)
        return bool(self._call("trim", key, "" if before is None else before, member_of(key), families=families))

    # -- inside

    def _call(self, operation: str, key: Key, *arguments: Any, families: Sequence[str] = ()) -> Any:
        with self._explained():
            self._connected()
            return self._script([*self._keys(key), *families], [operation, *arguments])

    def _keys(self, key: Key) -> list[str]:
        own = [self._own(key, kind) for kind in ("app", "steps", "snapshots")]
        return [*own, *(self._shared(kind) for kind in ("index", "blobs", "uses"))]

    def _heads(self, members: Iterable[object]) -> list[Head]:
        keys = [_key(member) for member in members]
        asked = self._connected().pipeline(transaction=False)
        for key in keys:
            self._script(self._keys(key), ["head"], client=asked)
        found = (head_from(key, answer) for key, answer in zip(keys, asked.execute(), strict=True))
        return [head for head in found if head is not None]

    def _families(self, fork: Pointer | None, spawn: Pointer | None) -> list[str]:
        """The lists that an application is in: of the children of one, of the forks of another."""
        pointers = zip(_FAMILIES, (spawn, fork), strict=True)
        return [self._own(pointer.key, kind) for kind, pointer in pointers if pointer is not None]

    def _overtaken(self, key: Key) -> Exception:
        head = self.head(key)
        return fenced(key, None if head is None else head.sequence_id)

    def _shared(self, kind: str) -> str:
        return f"{{{self.prefix}}}:{kind}"

    def _own(self, key: Key, kind: str) -> str:
        return f"{{{self.prefix}}}:{kind}:{member_of(key)}"

    def _connected(self) -> Redis:
        if self._client is None:
            import redis
            from redis.backoff import NoBackoff
            from redis.retry import Retry

            client = redis.Redis.from_url(
                self.url,
                decode_responses=True,
                encoding_errors="surrogateescape",
                socket_timeout=PATIENCE,
                retry=Retry(NoBackoff(), 0),  # a commit that is sent twice looks like somebody else's the second time
            )
            self._look_at_promise(client)
            self._script = client.register_script(_source())
            self._client = client
        return self._client

    def _look_at_promise(self, client: Redis) -> None:
        import redis

        try:
            found = dict(client.config_get("append*"))
        except redis.ResponseError:  # a hosted server does not say
            found = {}
        always = found.get("appendonly") == "yes" and found.get("appendfsync") == "always"
        self.promise = "durable" if always else "cache-grade"
        if not always and self.url not in _warned:
            _warned.add(self.url)
            warnings.warn(
                "this Redis does not write to its disk before it answers: with its machine, the last seconds of runs "
                "may be lost. Set `appendonly yes` and `appendfsync always` for durable runs.",
                stacklevel=4,
            )

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except self._errors as error:
            raise StoreError(
                f"Redis could not do it ({type(error).__name__}: {error}): see that it runs and can be reached, and "
                "run again."
            ) from error

    def _forget(self) -> None:
        self._client = None  # in a forked child the connections are the parent's


_ALL = 2**40
_FAMILIES = ("spawned", "forked")
_warned: set[str] = set()
_everywhere: weakref.WeakSet[RedisPersister] = weakref.WeakSet()


def _forget() -> None:
    for persister in _everywhere:
        persister._forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def _key(member: object) -> Key:
    partition, _, app_id = str(member).partition("\0")
    return Key(partition, app_id)


def _source() -> str:
    return resources.files("agentflow.persistence").joinpath("redis.lua").read_text(encoding="utf-8")
