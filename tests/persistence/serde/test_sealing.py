"""Texts that are encrypted open where they belong, with their key, and nowhere else."""

from __future__ import annotations

import sys

import pytest

from agentflow.errors import BuildError, CorruptRecord, MissingExtraError
from agentflow.persistence.serde import Serde

KEY = b"k" * 32
PLACE = ("tenant", "app", 3)


def test_a_sealed_text_opens_at_its_place_and_hides_its_value() -> None:
    text = Serde(key=KEY).dumps({"note": ("secret", 1)}, "state", PLACE)

    assert {"note": ("secret", 1)} == Serde(key=KEY).loads(text, "state", PLACE)
    assert "secret" not in text
    assert "note" not in text


def test_equal_values_have_different_sealed_texts() -> None:
    serde = Serde(key=KEY)

    assert serde.dumps(1, "state", PLACE) != serde.dumps(1, "state", PLACE)


@pytest.mark.parametrize(
    "place",
    [("tenant", "app", 4), ("tenant", "other", 3), ("other", "app", 3), ("tenant", "app", "3"), ("tenant", "app"), ()],
)
def test_a_text_that_was_moved_to_another_row_does_not_open(place: tuple[object, ...]) -> None:
    text = Serde(key=KEY).dumps("mine", "state", PLACE)

    with pytest.raises(CorruptRecord, match="moved from another place"):
        Serde(key=KEY).loads(text, "state", place)


def test_parts_of_a_place_cannot_run_into_each_other() -> None:
    text = Serde(key=KEY).dumps("mine", "state", ("a", "b/c"))

    with pytest.raises(CorruptRecord):
        Serde(key=KEY).loads(text, "state", ("a/b", "c"))


def test_another_key_does_not_open_it() -> None:
    text = Serde(key=KEY).dumps("mine", "state", PLACE)

    with pytest.raises(CorruptRecord, match="another key"):
        Serde(key=b"o" * 32).loads(text, "state", PLACE)


def test_every_changed_character_is_noticed() -> None:
    serde = Serde(key=KEY)
    text = serde.dumps("mine", "state", PLACE)

    for at in range(len(text)):
        changed = text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]
        with pytest.raises(CorruptRecord):
            serde.loads(changed, "state", PLACE)


@pytest.mark.parametrize("cut", [0, 1, 8, 12, 30, -1])
def test_a_text_that_was_cut_does_not_open(cut: int) -> None:
    serde = Serde(key=KEY)

    with pytest.raises(CorruptRecord):
        serde.loads(serde.dumps("mine", "state", PLACE)[:cut], "state", PLACE)


def test_a_plain_text_is_refused_where_there_is_a_key() -> None:
    with pytest.raises(CorruptRecord, match="not encrypted"):
        Serde(key=KEY).loads('"forged"', "state", PLACE)


def test_a_sealed_text_without_a_key_says_what_is_missing() -> None:
    text = Serde(key=KEY).dumps("mine", "state", PLACE)

    with pytest.raises(CorruptRecord, match="encrypted: give its key"):
        Serde().loads(text, "state", PLACE)


def test_types_are_added_without_losing_the_key() -> None:
    text = Serde(key=KEY).dumps("mine", "state", PLACE)

    assert "mine" == Serde(key=KEY).with_types([]).loads(text, "state", PLACE)


@pytest.mark.parametrize("key", [b"", b"short", b"k" * 33, "k" * 32])
def test_a_key_is_32_bytes(key: bytes) -> None:
    with pytest.raises(BuildError, match="32 bytes"):
        Serde(key=key)


def test_without_cryptography_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.ciphers.aead", None)

    with pytest.raises(MissingExtraError, match=r"agentflow-select\[crypto\]"):
        Serde(key=KEY)
