"""Whatever keys a user or a model puts into a dict, it is data: it comes back as it was and never as anything else."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agentflow.persistence.serde import Serde

from .kinds import TYPES, Draft, Tone, Trap, made
from .same import same

SERDE = Serde(TYPES)

DRAFT = SERDE.encode(Draft("a", Tone.LOUD), "state")
TRAP = SERDE.encode(Trap(1), "state")

DICTS: dict[str, Any] = {
    "our tag": {"@": 1},
    "our tag and content": {"@": "tuple", "of": [1, 2]},
    "our content alone": {"of": [1]},
    "our tag among others": {"a": 1, "@": "set", "of": [], "b": 2},
    "an encoded object": DRAFT,
    "an encoded object that acts when it is made": TRAP,
    "what a dict with our tag is encoded as": SERDE.encode({"@": "tuple", "of": [1]}, "state"),
    "an unknown type": {"@": "os:system", "of": "true"},
    "a tag that is no text": {"@": {"@": ["@"]}, "of": None},
    "nested tags": {"@": "dict", "of": ["@", {"@": "dict", "of": ["@", 1]}]},
    "a sealed text": {"@": "sealed", "of": "AAAA"},
    "pydantic of another library": {"__burr_serde__": "pydantic", "__pydantic_class": "evil.Model"},
    "unknown serde of another library": {"__burr_serde__": "zzz", "value": "gASVAAAA"},
    "pickle of another library": {"__burr_serde__": "pickle", "value": "Y29zCnN5c3RlbQo="},
    "constructor of another library": {
        "lc": 1,
        "type": "constructor",
        "id": ["os", "system"],
        "kwargs": {"command": ":"},
    },
    "secret of another library": {"lc": 1, "type": "secret", "id": ["HOME"]},
    "class": {"__class__": "os.system", "__module__": "os", "__reduce__": ["os.system", ["true"]]},
    "type": {"$type": "System.Diagnostics.Process", "$ref": "#", "$id": "1"},
    "jsonpickle": {"py/object": "os.system", "py/reduce": [{"py/type": "os.system"}]},
    "prototype": {"__proto__": {"admin": True}, "constructor": {"prototype": {}}},
    "tag as an inner key": {"a": [{"b": {"@": {"@": "bytes", "of": "!"}}}]},
}


@pytest.mark.parametrize("value", DICTS.values(), ids=DICTS)
def test_a_dict_with_a_reserved_key_comes_back_byte_for_byte(value: Any) -> None:
    before = len(made)
    back = SERDE.loads(SERDE.dumps({"reply": value, "all": [value, (value,)]}, "state"), "state")

    assert same({"reply": value, "all": [value, (value,)]}, back)
    assert json.dumps(value) == json.dumps(back["reply"])
    assert before == len(made)


@pytest.mark.parametrize("value", DICTS.values(), ids=DICTS)
def test_it_survives_being_saved_as_data_again_and_again(value: Any) -> None:
    layers = [value]
    for _ in range(5):
        layers.append(SERDE.encode(layers[-1], "state"))

    for outer, inner in zip(layers[:0:-1], layers[-2::-1], strict=True):
        assert same(inner, SERDE.decode(outer, "state"))


def test_the_text_of_an_object_is_only_text() -> None:
    text = SERDE.dumps(Trap(1), "state")
    before = len(made)

    assert text == SERDE.loads(SERDE.dumps(text, "state"), "state")
    assert before == len(made)
