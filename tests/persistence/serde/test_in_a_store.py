"""What the serde promises holds for an application that is saved: types, refusals before a commit, encryption."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agentflow import Application, ApplicationBuilder, State, action
from agentflow.errors import CorruptRecord, SerializationError
from agentflow.persistence import InMemoryPersister, Key, Persister, Serde, SQLitePersister

from .kinds import SAVED, TYPES
from .same import same

CANARY = "canary-5f3a"


@action(reads=["n"], writes=["n", "values"])
def keep(state: State, values: Any) -> State:
    return state.update(n=state["n"] + 1, values=values)


def build(persister: Persister) -> Application:
    return (
        ApplicationBuilder()
        .with_actions(keep)
        .with_transitions(("keep", "keep"))
        .with_identifiers(app_id="a")
        .initialize_from(persister, resume_at_next_action=True, default_state={"n": 0}, default_entrypoint="keep")
        .with_state_persister(persister)
        .build()
    )


def test_every_kind_of_value_survives_a_resume(drive: Any) -> None:
    persister = InMemoryPersister(Serde(TYPES))
    drive.step(build(persister), inputs={"values": [*SAVED.values()]})

    assert same([*SAVED.values()], build(persister).state["values"])


def test_a_value_that_cannot_be_saved_stops_the_step_before_anything_is_written(drive: Any) -> None:
    persister = InMemoryPersister()
    app = build(persister)
    drive.step(app, inputs={"values": 1})

    with pytest.raises(SerializationError, match=r"state\['values'\]\['b'\]\[1\] is a <class 'object'>"):
        drive.step(app, inputs={"values": {"b": [1, object()]}})

    assert {"n": 1, "values": 1} == app.state.get_all() == build(persister).state.get_all()
    drive.step(app, inputs={"values": 2})
    assert {"n": 2, "values": 2} == build(persister).state.get_all()


def test_an_encrypted_store_shows_no_value_and_opens_with_its_key_only(tmp_path: Path) -> None:
    key = b"k" * 32
    path = tmp_path / "runs.db"
    for values in (CANARY, [CANARY] * 10_000):
        persister = SQLitePersister(path, serde=Serde(key=key))
        build(persister).step(inputs={"values": values})
        persister.close()

    assert not [file for file in tmp_path.iterdir() if CANARY.encode() in file.read_bytes()]
    with pytest.raises(CorruptRecord):
        build(SQLitePersister(path, serde=Serde(key=b"o" * 32)))
    with pytest.raises(CorruptRecord):
        build(SQLitePersister(path))
    persister = SQLitePersister(path, serde=Serde(key=key))
    assert [CANARY] * 10_000 == build(persister).state["values"]


def test_an_encrypted_text_opens_only_where_it_was_written() -> None:
    serde = Serde(key=b"k" * 32)
    persister = InMemoryPersister(serde)
    for _ in range(3):
        build(persister).step(inputs={"values": "a" * 100_000})
    rows = [*persister.rows(Key("", "a"), None, 9)]
    texts = [text for row in rows for text in (row.delta, row.snapshot, row.facts) if text]
    keys = [(*Key("", "a"), row.sequence_id, part) for row in rows for part in ("delta", "snapshot", "facts")]

    for text in texts:
        assert 1 == sum(_opens(serde, text, key) for key in keys)


def _opens(serde: Serde, text: str, place: tuple[object, ...]) -> bool:
    try:
        serde.unseal(text, place)
    except CorruptRecord:
        return False
    return True
