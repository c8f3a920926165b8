"""What is written of a long list, and read of it: each item once, and nothing that nobody looks at."""

from __future__ import annotations

from typing import Any

import pytest

from agentflow import Application, ApplicationBuilder, State, action
from agentflow.persistence import InMemoryPersister, Key
from agentflow.state import Log, Shelf


class Counting(InMemoryPersister):
    """Counts the large values that are read."""

    read = 0

    def blob(self, digest: str) -> str | None:
        self.read += 1
        return super().blob(digest)


@action(reads=[], writes=["turns", "last"])
def talk(state: State, text: str) -> State:
    return state.append(turns=text).update(last=text[:5])


def chat(persister: InMemoryPersister) -> Application[Any]:
    made = ApplicationBuilder().with_actions(talk).with_transitions(("talk", "talk")).with_identifiers(app_id="chat")
    made.with_state_persister(persister)
    return made.initialize_from(persister, default_state={"turns": []}, default_entrypoint="talk").build()


def test_a_long_list_is_written_once_and_read_when_it_is_looked_at() -> None:
    persister = Counting()
    app = chat(persister)
    for number in range(1_000):
        app.step(inputs={"text": f"{number:05}" + "x" * 1_000})
    rows = persister.rows(Key("", "chat"))
    digests = {digest for row in rows for digest in row.blobs}
    stored = sum(len(row.delta) + len(row.snapshot or "") for row in rows)
    stored += sum(len(persister.blob(digest) or "") for digest in digests)
    assert stored < 2.2 * 1_000 * 1_010
    persister.read = 0
    again = chat(persister)
    again.step(inputs={"text": "01000"})
    assert 0 == persister.read
    assert [f"{number:05}" for number in range(1_001)] == [text[:5] for text in again.state["turns"]]
    assert len(digests) >= persister.read > 0


def test_a_list_that_is_written_anew_is_stored_anew() -> None:
    persister = Counting()

    @action(reads=["turns"], writes=["turns"])
    def rewrite(state: State, by: str) -> State:
        return state.update(turns=[f"{by}{text[1:]}" for text in state["turns"]])

    made = ApplicationBuilder().with_actions(rewrite).with_transitions(("rewrite", "rewrite"))
    made.with_identifiers(app_id="one").with_state_persister(persister).with_entrypoint("rewrite")
    app = made.with_state(turns=[f"a{number}" + "x" * 1_000 for number in range(100)]).build()
    for by in "bcd":
        app.step(inputs={"by": by})
    loaded = persister.load(None, "one")
    assert loaded is not None
    assert app.state == loaded["state"]
    first = persister.history("one")[0].change.set["turns"]
    assert ("a0", 100) == (first[0][:2], len(first))


def test_a_fork_shares_what_is_stored_and_keeps_it() -> None:
    persister = Counting()
    app = chat(persister)
    for number in range(200):
        app.step(inputs={"text": f"{number:05}" + "x" * 1_000})
    persister.fork("chat", "fork", 150)
    persister.delete("chat")
    loaded = persister.load(None, "fork")
    assert loaded is not None
    assert [f"{number:05}" for number in range(151)] == [text[:5] for text in loaded["state"]["turns"]]


def test_a_shelf_fetches_its_first_items_once_and_only_for_who_looks_at_them() -> None:
    fetched: list[str] = []

    def fetch() -> list[int]:
        fetched.append("now")
        return [1, 2, 3]

    log = Log(Shelf(3, fetch), 3)
    grown = log.grown([4]).grown([5])
    assert (5, [4, 5], [5], []) == (len(grown), grown.since(3), grown.since(4), fetched)
    assert ([1, 2, 3, 4, 5], [1, 2, 3], [2, 3, 4, 5]) == (grown.items(), log.items(), grown.since(1))
    assert ["now"] == fetched
    other = log.grown([9])
    assert ([1, 2, 3, 9], [1, 2, 3, 4, 5]) == (other.items(), grown.items())


@pytest.mark.parametrize("damage", [None, "null", '["x"'])
def test_a_chunk_that_is_gone_or_damaged_is_an_error_where_it_is_looked_at(damage: str | None) -> None:
    persister = Counting()
    app = chat(persister)
    for _ in range(100):
        app.step(inputs={"text": "x" * 1_000})
    again = chat(persister)
    persister._blobs = {} if damage is None else dict.fromkeys(persister._blobs, damage)
    with pytest.raises(Exception, match="turns") as caught:
        again.state["turns"]
    assert "CorruptRecord" == type(caught.value).__name__
