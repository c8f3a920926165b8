"""Types and fields that are registered are saved in the way they say; nothing else becomes possible by that."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from agentflow import ApplicationBuilder, State, action
from agentflow.errors import BuildError, CorruptRecord, DuplicateNameError, SerializationError
from agentflow.persistence import InMemoryPersister
from agentflow.persistence.serde import Serde, register_field_serde, register_type, registry


class Money:
    def __init__(self, amount: int, unit: str) -> None:
        self.amount, self.unit = amount, unit

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Money) and (self.amount, self.unit) == (other.amount, other.unit)

    __hash__ = None  # type: ignore[assignment]


class Mood(enum.Enum):
    GOOD = 1


@dataclasses.dataclass
class Note:
    mood: Mood
    price: Any = None


class Client:
    def __init__(self, name: str) -> None:
        self.name = name


@pytest.fixture(autouse=True)
def _own_registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(registry, "_registered", {})
    monkeypatch.setattr(registry, "_fields", {})
    registry._version[0] += 1
    yield
    registry._version[0] += 1


def register_money(name: str | None = None) -> None:
    register_type(Money, lambda money: (money.amount, money.unit), lambda parts: Money(*parts), name=name)


def test_a_registered_type_is_saved_by_every_serde_also_by_older_ones() -> None:
    serde = Serde()
    with pytest.raises(SerializationError, match="say how it is saved with register_type"):
        serde.encode(Money(1, "EUR"), "state")

    register_money()

    assert {"a": [Money(1, "EUR")]} == serde.loads(serde.dumps({"a": [Money(1, "EUR")]}, "state"), "state")


def test_a_registered_type_brings_the_types_of_its_annotations() -> None:
    register_type(Note)

    assert Note(Mood.GOOD, (1,)) == Serde().loads(Serde().dumps(Note(Mood.GOOD, (1,)), "state"), "state")


def test_an_own_name_lets_a_type_move() -> None:
    register_money(name="money")
    text = Serde().dumps(Money(1, "EUR"), "state")
    registry._registered.clear()

    class Amount(Money):
        pass

    register_type(Amount, lambda money: (money.amount, money.unit), lambda parts: Amount(*parts), name="money")

    assert type(Serde().loads(text, "state")) is Amount


def test_an_own_name_is_never_one_that_is_built_in() -> None:
    register_money(name="tuple")

    assert (1, 2) == Serde().loads(Serde().dumps((1, 2), "state"), "state")
    assert Money(1, "EUR") == Serde().loads(Serde().dumps(Money(1, "EUR"), "state"), "state")


def test_what_was_registered_wins_over_what_was_given() -> None:
    register_type(Note, lambda note: note.mood.name, lambda name: Note(Mood[name], "by hand"))

    assert "by hand" == Serde([Note]).loads(Serde([Note]).dumps(Note(Mood.GOOD), "state"), "state").price


def test_a_record_from_before_the_registration_is_still_read() -> None:
    text = Serde([Note]).dumps(Note(Mood.GOOD, 1), "state")
    register_type(Note, lambda note: note.mood.name, lambda name: Note(Mood[name], "by hand"), name="note")

    assert Note(Mood.GOOD, 1) == Serde([Note]).loads(text, "state")


def test_a_class_that_is_defined_again_replaces_the_first() -> None:
    register_type(_note_again())
    again = _note_again()
    register_type(again)

    assert again is type(Serde().loads(Serde().dumps(again(), "state"), "state"))


def _note_again() -> type:
    @dataclasses.dataclass
    class Again:
        value: int = 1

    return Again


def test_one_name_for_two_types_is_refused() -> None:
    register_money(name="money")

    with pytest.raises(DuplicateNameError, match="both registered as 'name:money'"):
        register_type(Client, lambda client: client.name, Client, name="money")
    with pytest.raises(DuplicateNameError, match="register one of them under another name"):
        Serde([_note_again(), _note_again()])


def test_what_is_built_in_is_not_registered_again() -> None:
    for cls in (tuple, str, list, bool, type(None)):
        with pytest.raises(DuplicateNameError, match="is saved already"):
            register_type(cls, list, tuple)


def test_half_a_registration_is_refused() -> None:
    with pytest.raises(BuildError, match="one of encode and decode"):
        register_type(Money, encode=vars)
    with pytest.raises(BuildError, match=r"register_type\(Money, encode=..., decode=...\)"):
        register_type(Money)
    with pytest.raises(BuildError, match=r"register_type\(Money, encode=..., decode=...\)"):
        Serde([Money])


def test_an_encoder_that_fails_is_named_with_the_value() -> None:
    register_type(Money, lambda money: 1 // 0, Money)

    with pytest.raises(SerializationError, match=r"state\['a'\]\[0\] is a .*Money.* encoder raised ZeroDivisionError"):
        Serde().encode([Money(1, "EUR")], "state['a']")


def test_a_decoder_that_fails_means_a_corrupt_record() -> None:
    register_money(name="money")

    with pytest.raises(CorruptRecord, match=r"state\['a'\] is no Money as one is saved \(TypeError"):
        Serde().loads('{"@":"name:money","of":[1]}', "state['a']")


def test_an_encoder_may_answer_values_that_are_encoded_in_turn() -> None:
    register_type(Mood)
    register_type(Client, lambda client: {"moods": {Mood.GOOD}, client.name: 1}, lambda found: Client(str(found)))

    assert "{'moods': {<Mood.GOOD: 1>}, 'a': 1}" == Serde().loads(Serde().dumps(Client("a"), "state"), "state").name


def test_encoders_that_lead_around_in_a_circle_are_stopped() -> None:
    register_type(Money, lambda money: Client("a"), Money)
    register_type(Client, lambda client: Money(1, "EUR"), Client)

    with pytest.raises(SerializationError, match="nested more than 200 levels"):
        Serde().encode(Money(1, "EUR"), "state")


class Spot(NamedTuple):
    x: int


def test_a_field_is_saved_in_its_own_way() -> None:
    register_field_serde("client", lambda client: {"name": client.name}, lambda found: Client(found["name"]))
    plain = Serde().encode(Client("a"), "state['client']", "client")

    assert "a" == Serde().decode(plain, "state['client']", "client").name
    with pytest.raises(SerializationError):
        Serde().encode(Client("a"), "state['other']", "other")


def test_a_field_that_was_saved_before_is_read_as_it_was_saved() -> None:
    plain = Serde().encode((1, 2), "state['pair']", "pair")
    register_field_serde("pair", list, tuple)

    assert (1, 2) == Serde().decode(plain, "state['pair']", "pair")


def test_a_field_that_is_no_longer_registered_says_so() -> None:
    register_field_serde("client", lambda client: client.name, Client)
    plain = Serde().encode(Client("a"), "state['client']", "client")
    registry._fields.clear()

    with pytest.raises(CorruptRecord, match="call `register_field_serde` for its key"):
        Serde().decode(plain, "state['client']", "client")


@action(reads=["clients"], writes=["clients", "client"])
def meet(state: State) -> State:
    return state.append(clients=Client("new")).update(client=Client("last"))


def test_a_run_with_clients_in_its_state_goes_on_where_it_stopped() -> None:
    register_field_serde("client", lambda client: client.name, Client)
    register_field_serde(
        "clients", lambda clients: [client.name for client in clients], lambda names: [Client(name) for name in names]
    )
    persister = InMemoryPersister()

    def build() -> Any:
        return (
            ApplicationBuilder()
            .with_actions(meet)
            .with_transitions(("meet", "meet"))
            .with_identifiers(app_id="a")
            .initialize_from(
                persister, resume_at_next_action=True, default_state={"clients": []}, default_entrypoint="meet"
            )
            .with_state_persister(persister)
            .build()
        )

    build().step()
    build().step()
    state = build().state

    assert ["new", "new"] == [client.name for client in state["clients"]]
    assert "last" == state["client"].name


def test_a_named_tuple_does_not_lose_its_type() -> None:
    with pytest.raises(SerializationError, match=r"Serde\(types=\[Spot\]\)"):
        Serde().encode(Spot(1), "state")
