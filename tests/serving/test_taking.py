"""An application is loaded and claimed in one go; whatever interrupts that leaves it to others."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from agentflow import ApplicationBuilder, State, action
from agentflow.persistence import Head, Key, SQLitePersister
from agentflow.persistence.records import Claim
from agentflow.serving.desk import Desk

KEY = Key("", "a")


class Held(SQLitePersister):
    """Claims, and comes back when it is told to."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.claimed, self.go_on = threading.Event(), threading.Event()
        self.go_on.set()

    def claim(self, key: Key, claim: Claim) -> Head:
        head = super().claim(key, claim)
        self.claimed.set()
        assert self.go_on.wait(30)
        return head


@action(reads=["n"], writes=["n"])
def count(state: State) -> State:
    return state.update(n=state["n"] + 1)


def desk(persister: SQLitePersister, *hooks: Any) -> Desk:
    made = ApplicationBuilder().with_actions(count).with_transitions(("count", "count")).with_hooks(*hooks)
    made.with_entrypoint("count").with_state(n=0)
    return Desk(lambda app_id, partition: made, persister)


def owner(persister: SQLitePersister) -> str:
    head = persister.head(KEY)
    assert head is not None
    return head.owner


@pytest.mark.parametrize(("expected", "held"), [(None, True), (-1, True), (3, False)])
async def test_it_is_claimed_unless_it_is_at_another_step(tmp_path: Path, expected: int | None, held: bool) -> None:
    with SQLitePersister(tmp_path / "runs.db") as persister:
        served = desk(persister)
        await served.created(KEY)
        application = await served.taken(KEY, (), expected)
        assert held == application._machine.journal.held == bool(owner(persister))


async def test_a_cancelled_request_leaves_no_claim_behind(tmp_path: Path) -> None:
    with Held(tmp_path / "runs.db") as persister:
        served = desk(persister)
        await served.created(KEY)
        persister.claimed.clear()
        persister.go_on.clear()
        taking = asyncio.ensure_future(served.taken(KEY, (), None))
        await asyncio.to_thread(persister.claimed.wait, 30)
        taking.cancel()
        persister.go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await taking
        assert "" == owner(persister)


async def test_a_hook_that_raises_leaves_no_claim_behind(tmp_path: Path) -> None:
    class Refusing:
        def post_application_create(self, *, app_id: str, **_: Any) -> None:
            raise LookupError(app_id)

    with SQLitePersister(tmp_path / "runs.db") as persister:
        await desk(persister).created(KEY)
        with pytest.raises(LookupError, match="a"):
            await desk(persister, Refusing()).taken(KEY, (), None)
        assert "" == owner(persister)
