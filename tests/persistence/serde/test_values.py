"""Values come back as they went in, or are refused before anything is written."""

from __future__ import annotations

import dataclasses
import functools
import json
from typing import Any

import pytest
from pydantic import BaseModel, create_model

from agentflow.errors import CorruptRecord, SerializationError
from agentflow.persistence.serde import Serde, register_type, registry

from .kinds import KEYS, REFUSED, SAVED, TYPES, Trap, made
from .same import same

SERDE = Serde(TYPES)


@pytest.mark.parametrize("value", SAVED.values(), ids=SAVED)
def test_a_value_comes_back_as_it_went_in(value: Any) -> None:
    text = SERDE.dumps({"a": [value]}, "state")
    back = SERDE.loads(text, "state")["a"][0]

    assert same(value, back)
    assert text == SERDE.dumps({"a": [back]}, "state")


@pytest.mark.parametrize("value", SAVED.values(), ids=SAVED)
def test_the_text_is_strict_json_that_any_store_can_keep(value: Any) -> None:
    text = SERDE.dumps(value, "state")

    text.encode("utf-8")
    json.loads(text, parse_constant=pytest.fail)


@pytest.mark.parametrize("value", KEYS.values(), ids=KEYS)
def test_a_value_comes_back_as_a_key(value: Any) -> None:
    assert same({value: 1}, SERDE.loads(SERDE.dumps({value: 1}, "state"), "state"))


@pytest.mark.parametrize(("value", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_saved_is_refused_with_its_path_and_its_type(value: Any, message: str) -> None:
    with pytest.raises(SerializationError) as caught:
        SERDE.dumps({"b": [1, 2, 3, value]}, "state['a']")

    assert str(caught.value).startswith("state['a']['b'][3]")
    assert message in str(caught.value)


def test_the_path_leads_through_containers_objects_and_keys() -> None:
    class Client:
        pass

    draft = SAVED["dataclass"].__class__("a", past=[None])
    draft.past.append(({"c": Client(), 1: 2},))

    with pytest.raises(SerializationError) as caught:
        SERDE.encode([draft], "state['a']")

    assert str(caught.value).startswith("state['a'][0].past[1][0]['c'] is a <class '")


def test_a_long_path_is_cut_in_the_middle() -> None:
    value: Any = object()
    for _ in range(50):
        value = [value]

    with pytest.raises(SerializationError, match=r"^state(\[0\]){6}\.\.\.\(38 more\)\.\.\.(\[0\]){6} is a"):
        SERDE.encode(value, "state")


def test_what_is_written_can_be_read_at_the_deepest_level() -> None:
    lists: Any = "a"
    tuples: Any = "a"
    for _ in range(201):
        lists = [lists]
    for _ in range(100):
        tuples = (tuples,)

    for value in (lists, tuples):
        assert value == SERDE.loads(SERDE.dumps(value, "state"), "state")
    with pytest.raises(SerializationError):
        SERDE.encode([lists], "state")
    above = lists
    for _ in range(8):  # so much deeper it may stand in a row
        above = [above]
        assert above == SERDE.decode(above, "state")
    above = [above]
    with pytest.raises(CorruptRecord, match="more than 200 levels"):
        SERDE.decode(above, "state")


def test_what_is_too_long_to_be_read_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agentflow.persistence.serde.serde.MAX_TEXT", 12)

    assert "0123456789" == SERDE.loads(SERDE.dumps("0123456789", "state"), "state")
    with pytest.raises(SerializationError, match="13 characters as text, more than 12"):
        SERDE.dumps("0123456789a", "state")
    with pytest.raises(SerializationError, match="at once is 13 characters as text, more than 12"):
        SERDE.seal("1234567890123", ())
    with pytest.raises(CorruptRecord, match="13 characters, more than 12"):
        SERDE.loads('"0123456789a"', "state")


def test_a_small_value_that_holds_itself_many_times_over_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agentflow.persistence.serde.writing.MAX_ITEMS", 2_000)
    bomb: list[Any] = []
    for _ in range(60):
        bomb = [bomb, bomb]

    with pytest.raises(SerializationError, match="more than 2,000 items cannot be saved"):
        SERDE.encode(bomb, "state")
    with pytest.raises(SerializationError, match="more than 2,000 items"):
        SERDE.encode(dict.fromkeys(range(1_001)), "state")


def test_no_code_of_an_object_runs_while_it_is_read() -> None:
    text = SERDE.dumps(Trap(3), "state")
    before = len(made)

    assert 3 == SERDE.loads(text, "state").value
    assert before == len(made)


def test_equal_sets_have_equal_texts() -> None:
    one = {8, 0}  # both fall into the same place of the table, so they stand in the order in which they came
    other = {0, 8}

    assert list(one) != list(other)
    assert SERDE.dumps(one, "state") == SERDE.dumps(other, "state")


def test_what_is_encoded_shares_no_container_with_the_value() -> None:
    value = {"a": [1, {"b": []}]}
    plain = SERDE.encode(value, "state")
    value["a"].append(2)
    value["a"][1]["b"].append(3)  # type: ignore[index]

    assert {"a": [1, {"b": []}]} == plain


def test_what_is_decoded_shares_no_container_with_the_plain_value() -> None:
    plain = {"a": [1, {"b": []}]}
    SERDE.decode(plain, "state")["a"][1]["b"].append(3)

    assert {"a": [1, {"b": []}]} == plain


class Held:
    __slots__ = ("__own", "cache")


@dataclasses.dataclass(slots=True)
class Slotted(Held):
    name: str


def test_slots_that_are_no_fields_come_back_too() -> None:
    value = Slotted("a")
    value.cache = {1, 2}
    value._Held__own = (1,)  # type: ignore[attr-defined]

    back = Serde([Slotted]).loads(Serde([Slotted]).dumps(value, "state"), "state")

    assert ("a", {1, 2}, (1,)) == (back.name, back.cache, back._Held__own)
    assert not hasattr(Serde([Slotted]).loads(Serde([Slotted]).dumps(Slotted("a"), "state"), "state"), "cache")


class Cached(BaseModel):
    words: list[str]

    @functools.cached_property
    def length(self) -> int:
        return len(self.words)


def test_what_a_model_has_computed_is_computed_again() -> None:
    model = Cached(words=["a"])
    assert 1 == model.length

    back = Serde([Cached]).loads(Serde([Cached]).dumps(model, "state"), "state")

    assert {"words": ["a"]} == vars(back)
    assert 1 == back.length


def test_what_somebody_put_beside_the_fields_of_a_model_is_not_lost_in_silence() -> None:
    model = Cached(words=[])
    model.__dict__["more"] = 1

    with pytest.raises(SerializationError, match=r"state is a .*Cached'> with 'more', which is no field"):
        Serde([Cached]).encode(model, "state")


def test_a_field_that_is_called_like_a_tag_is_refused() -> None:
    odd = create_model("odd", **{"@": (int, 1), "of": (int, 2)})

    with pytest.raises(SerializationError, match=r"state\.@ has the name of a tag"):
        Serde([odd]).encode(odd(), "state")


def test_a_value_that_changes_while_it_is_saved_is_refused() -> None:
    class Growing:
        pass

    shared: dict[str, Any] = {"a": Growing(), "b": 1}
    monkey = pytest.MonkeyPatch()
    with monkey.context() as patch:
        patch.setattr(registry, "_registered", {})
        register_type(Growing, lambda value: shared.update(c=2), lambda value: Growing())
        with pytest.raises(SerializationError, match=r"state was changed by other code while it was saved"):
            Serde().encode(shared, "state")
        registry._version[0] += 1


def test_an_error_does_not_keep_a_serde_from_going_on() -> None:
    with pytest.raises(SerializationError):
        SERDE.encode(object(), "state")

    assert 1 == SERDE.encode(1, "state")
