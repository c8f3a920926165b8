"""Ids that no store could keep, or would take for another, are refused by all of them, and before anything runs."""

from __future__ import annotations

import pytest

from agentflow.errors import BuildError
from agentflow.persistence import InMemoryPersister, Key, Persister
from tests.drivers import Driver
from tests.persistence.test_saved_runs import builder

UNUSABLE = [
    ("", "is empty"),
    ("a\0b", "holds a NUL character"),
    ("\ud800", "holds half of a character"),
    ("é" * 501, "is 1,002 bytes long, and 1 to 1,000 can be saved"),
    (7, "is no text"),
]


@pytest.mark.parametrize(("name", "why"), UNUSABLE, ids=[why for _, why in UNUSABLE])
def test_an_id_that_cannot_be_saved_is_refused_wherever_it_is_given(name: str, why: str) -> None:
    persister = InMemoryPersister()
    asked = [
        lambda: persister.load("p", name),
        lambda: persister.history(name),
        lambda: persister.delete(name),
        lambda: persister.prune(name),
        lambda: persister.fork(name, "new"),
    ]
    for ask in asked:
        with pytest.raises(BuildError, match=f"app_id=.* {why}"):
            ask()
    if name:
        with pytest.raises(BuildError, match=f"partition_key=.* {why}"):
            persister.load(name, "a")


def test_a_run_under_such_an_id_is_refused_when_it_is_built(drive: Driver) -> None:
    with pytest.raises(BuildError, match="app_id='a.x00b' holds a NUL character"):
        drive.build(builder(InMemoryPersister(), "a\0b"))


def test_the_longest_ids_are_kept(persister: Persister) -> None:
    longest = Key.of("é" * 500, "x" * 1_000)
    builder(persister, longest.app_id).with_identifiers(partition_key=longest.partition).build().step()
    assert [longest] == [head.key for head in persister.applications()]
