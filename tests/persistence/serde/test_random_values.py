"""Random values come back as they went in; random JSON is read as a value that can be saved, or refused with its type.

`AGENTFLOW_FUZZ=100000` tries that many of each.
"""

from __future__ import annotations

import json
import os
from collections import Counter, OrderedDict, defaultdict, deque
from datetime import timedelta, timezone
from pathlib import PurePosixPath
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as some

from agentflow.errors import CorruptRecord
from agentflow.persistence.serde import Serde, builtin
from agentflow.persistence.serde.objects import tag_of
from tests.effort import tries

from .kinds import TYPES, Chat, Draft, Frozen, Level, Message, Open, Point, Rights, Tone
from .same import same

SERDE = Serde(TYPES)
KEYED = Serde(TYPES, key=b"k" * 32)
TAGS = [codec.tag for codec in (*builtin.CODECS, *builtin.PLAIN)] + [tag_of(cls) for cls in TYPES]
FUZZ = settings(
    max_examples=tries(15, thorough=50),
    deadline=None,
    derandomize="AGENTFLOW_FUZZ" not in os.environ,
    database=None,
    suppress_health_check=list(HealthCheck),
)

TEXTS = some.text(some.characters()) | some.text('@of\ud800\udc00\x00"\\{}[]', max_size=6)
ZONES = (
    some.none()
    | some.timezones()
    | some.builds(timezone, some.timedeltas(timedelta(hours=-23), timedelta(hours=23)), some.text(max_size=5))
)
KEYS = (
    some.none()
    | some.booleans()
    | some.integers()
    | some.integers(2**53 - 2, 2**53 + 2)
    | some.floats()
    | some.complex_numbers()
    | some.decimals(allow_nan=False)
    | TEXTS
    | some.binary(max_size=20)
    | some.datetimes(timezones=ZONES)
    | some.dates()
    | some.times(timezones=some.none() | some.just(timezone.utc))  # noqa: UP017
    | some.timedeltas()
    | some.uuids()
    | some.sampled_from([*Tone, *Level, Rights(0), *Rights, Rights(3)])
    | some.builds(range, some.integers(), some.integers(), some.integers(1, 9))
    | some.builds(PurePosixPath, some.text(some.characters(exclude_characters="\x00"), max_size=9))
)
FROZEN_KEYS = some.recursive(
    KEYS,
    lambda inner: (
        some.lists(inner, max_size=3).map(tuple)
        | some.frozensets(inner, max_size=3)
        | some.builds(Point, some.integers(), some.lists(some.integers(), max_size=2).map(tuple))
    ),
    max_leaves=5,
)


def _containers(inner: Any) -> Any:
    texts = some.dictionaries(TEXTS, inner, max_size=4)
    mixed = some.dictionaries(FROZEN_KEYS, inner, max_size=4)
    items = some.lists(inner, max_size=4)
    return (
        items
        | items.map(tuple)
        | some.builds(deque, items, some.none() | some.integers(0, 9))
        | some.sets(FROZEN_KEYS, max_size=4)
        | texts
        | mixed
        | mixed.map(OrderedDict)
        | mixed.map(lambda found: defaultdict(list, found))
        | mixed.map(Counter)
        | some.builds(Draft, inner, inner, items)
        | some.builds(Frozen, inner, inner)
        | some.builds(Chat.model_construct, messages=items)
        | some.builds(Message, content=some.binary(max_size=4))
        | texts.map(lambda found: Open(**{"name": "a", **{f"k{at}": item for at, item in enumerate(found.values())}}))
    )


VALUES = some.recursive(FROZEN_KEYS | some.binary(max_size=9).map(bytearray), _containers, max_leaves=12)
JSON = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | TEXTS,
    lambda inner: (
        some.lists(inner, max_size=4)
        | some.dictionaries(some.sampled_from(["@", "of", "a"]), inner, max_size=3)
        | some.fixed_dictionaries({"@": some.sampled_from(TAGS), "of": inner})
    ),
    max_leaves=12,
)


@FUZZ
@given(VALUES)
@example({"@": {"@": ("@", {"of"})}})
def test_a_random_value_comes_back_as_it_went_in(value: Any) -> None:
    text = SERDE.dumps(value, "state")
    back = SERDE.loads(text, "state")

    assert same(value, back)
    assert text == SERDE.dumps(back, "state")
    assert same(value, KEYED.loads(KEYED.dumps(value, "state", ("a", 1)), "state", ("a", 1)))


@FUZZ
@given(JSON)
def test_random_json_is_a_value_or_a_corrupt_record(plain: Any) -> None:
    try:
        value = SERDE.loads(json.dumps(plain), "state")
    except CorruptRecord:
        return
    assert same(value, SERDE.loads(SERDE.dumps(value, "state"), "state"))
