"""What the tests of a persister are written with: rows to commit, and comparisons that say what was wrong.

What must not live here: a promise.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

from agentflow.errors import AgentflowError, BuildError, HeldError
from agentflow.persistence.persister import Persister
from agentflow.persistence.records import Birth, Claim, Head, Key, Mark, Pointer, Row

T = TypeVar("T")
E = TypeVar("E", bound=AgentflowError)

#: Somebody on another host: nobody here can know that they are gone.
FIRST, SECOND = "first.example.com/1/1/1", "second.example.com/1/1/1"
APP = Key("tenant", "app")
READY, DONE = Mark('{"next":"ask"}', "ready"), Mark('{"next":null}', "finished")
#: How long a test waits for what has to come, in seconds.
PATIENCE = 10.0


class SuiteOfPersister:
    """What the parts of the suite share: where the persister comes from."""

    @staticmethod
    def make() -> Persister:
        """A persister over an empty store, made anew for every test."""
        raise BuildError("this suite has no persister: make one with persister_suite(lambda: MyPersister(...)).")

    @contextmanager
    def opened(self) -> Iterator[Persister]:
        """The persister of one test."""
        persister = self.make()
        persister.initialize()
        try:
            yield persister
        finally:
            persister.close()


def row(number: int, action: str | None = "ask", snapshot: str | None = None, text: str = "{}", *blobs: str) -> Row:
    """A row to commit; a store reads nothing into its texts."""
    return Row(number, action, text, snapshot, text, blobs, 2**32 - 1 - max(number, 0))


def born(
    persister: Persister,
    key: Key = APP,
    seconds: float = 60.0,
    fork: Pointer | None = None,
    spawn: Pointer | None = None,
    text: str = "{}",
) -> Head:
    """Make an application that begins before step 0, held by `FIRST`."""
    birth = Birth(row(-1, None, "S", text), READY, fork, spawn)
    return persister.claim(key, Claim(FIRST, seconds, -1, birth))


def head_of(persister: Persister, key: Key = APP) -> Head:
    """The head of an application that has to be there."""
    found = persister.head(key)
    assert found is not None, f"head() says that there is no application {key}"
    return found


def granted(persister: Persister, claim: Claim) -> Head:
    """A claim on something whose lease runs out in a moment."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return persister.claim(APP, claim)
        except HeldError:
            assert time.monotonic() < deadline, f"a lease did not run out within {PATIENCE:.0f} seconds"


def at_once(calls: Sequence[Callable[[], T]]) -> list[T | Exception]:
    """What the calls came to, or raised, each in a thread of its own."""
    with ThreadPoolExecutor(len(calls)) as threads:
        futures = [threads.submit(call) for call in calls]
    return [future.exception() or future.result() for future in futures]  # type: ignore[misc]


def raised(kind: type[E], call: Callable[[], Any], what: str) -> E:
    """The error of a call that has to raise one."""
    try:
        found = call()
    except kind as error:
        return error
    except Exception as error:
        raise AssertionError(
            f"{what} raised {type(error).__name__}: {error}; it is to raise {kind.__name__}"
        ) from error
    raise AssertionError(f"{what} gave {found!r:.200}; it is to raise {kind.__name__}")


def same(what: str, expected: object, found: object) -> None:
    """See that something is as it has to be."""
    assert expected == found, f"{what}: expected {expected!r:.500}, found {found!r:.500}"


def about(head: Head) -> tuple[Any, ...]:
    """What of a head does not depend on a clock."""
    return head.key, head.sequence_id, head.epoch, head.mark, head.owner, head.attempt


def timeless(rows: Iterable[Row]) -> list[Row]:
    """The rows without the time they were written at."""
    return [each._replace(created_at=0.0) for each in rows]


def numbers(rows: Iterable[Row]) -> list[int]:
    """The sequence ids of rows."""
    return [each.sequence_id for each in rows]


def keys(heads: Iterable[Head]) -> list[Key]:
    """Which applications."""
    return [head.key for head in heads]
