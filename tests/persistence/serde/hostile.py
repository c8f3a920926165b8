"""Reads hostile rows and reports what that did; runs as a program of its own, since an audit hook cannot be removed.

`python -m tests.persistence.serde.hostile 10000` prints one JSON object: how many rows were read, refused and refused
wrongly, which audit events there were, and the slowest row in seconds.
"""

from __future__ import annotations

import json
import pickle
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

from agentflow.errors import CorruptRecord
from agentflow.persistence.serde import Serde, builtin

from .kinds import SAVED, TYPES, made

KEY = b"k" * 32
NAMES = [
    "os:system", "os.system", "builtins:eval", "builtins.exec", "subprocess:Popen", "__main__:Evil", "pickle:loads",
    "pydantic:BaseModel", "pydantic.main:BaseModel", "tests.persistence.serde.kinds:Unknown", "agentflow:State",
    "tests.persistence.serde.kinds:Trap.__init__", "importlib:import_module", "antigravity:x", "this", "..", "", "\x00",
    "name:Money", "field", "object", "type", "function", "module", "pickle", "constructor",
]  # fmt: skip
ZONES = [
    "../../etc/passwd", "/etc/passwd", "Europe/../../../etc/passwd", "tzdata", "zoneinfo.Europe", "a/b/c/d/e", "\x00",
    "posixrules.", "evil/module", "__init__", "Europe", "x" * 5000,
]  # fmt: skip
ATOMS: list[Any] = [
    None, True, 0, -1, 2**63, 1e308, -0.0, "", "x", "nan", "__class__", "0x", "0x1", "AA==", "\ud800", "9" * 5000,
    "1e999999999", "2026-01-01", "99:99", [], {}, {"@": "int", "of": "0x" + "f" * 20_000},
    {"@": "decimal", "of": "1E+99999999"}, {"@": "dict", "of": ["__class__", 1]},
    {"@": "timedelta", "of": [10**9, 0, 0]}, {"@": "bytes", "of": "AA=="},
]  # fmt: skip


class _Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return (__import__, ("antigravity",))


def fixed() -> Iterator[Any]:
    """Rows that are hostile in a way that chance does not find."""
    yield from (
        "",
        " ",
        "\ufeff1",
        "nul",
        "NaN",
        "Infinity",
        "-Infinity",
        "1e999",
        "-",
        "[1",
        '{"a"',
        '{"a":1,}',
        "\x00",
    )
    yield from ('"\\ud800"', "'a'", "1" * 5000, "[" * 100_000, "[" * 100_000 + "]" * 100_000, '{"@":' * 100_000)
    yield '{"@":"tuple","of":[' * 50_000 + "]}" * 50_000
    yield '{"@":"tuple","of":' * 400 + "1" + "}" * 400
    yield '{"a":' * 400 + "1" + "}" * 400
    yield "[" + "1," * 50_000_000 + "1]"  # 100 MB
    yield from (b"[1]", None, 1, [1], bytearray(b"1"), memoryview(b"1"))
    yield from (
        pickle.dumps(_Evil()),
        pickle.dumps(_Evil(), 0).decode("latin-1"),
        pickle.dumps([1, 2]).decode("latin-1"),
    )
    yield from (
        b"\x93\x01\x02\x03",
        "\x83\xa1a\x01",
        "\xc7\x05\x01os.system",
        "sealed1:",
        "sealed1:AAAA",
        "sealed9:AAAA",
    )
    yield from (json.dumps({"@": name, "of": content}) for name in NAMES for content in (None, ["true"], {"value": 1}))
    yield from (json.dumps({"@": "zone", "of": name}) for name in ZONES)
    yield from (
        json.dumps({"@": {"@": "str"}, "of": 1}),
        '{"@":"tuple"}',
        '{"of":1,"@":"set","x":1}',
        '{"@":null,"of":1}',
    )


def mutated(rows: list[str], number: int, seed: int, ways: int = 5) -> Iterator[str]:
    """Rows that were once written, with something changed; the first three ways suit any text."""
    chance = random.Random(seed)
    tags = [codec.tag for codec in (*builtin.CODECS, *builtin.PLAIN)] + NAMES
    tags += [f"{cls.__module__}:{cls.__qualname__}" for cls in TYPES] * 2
    for _ in range(number):
        row = chance.choice(rows)
        way = chance.randrange(ways)
        if way == 0:  # a flipped bit
            raw = bytearray(row.encode())
            raw[chance.randrange(len(raw))] ^= 1 << chance.randrange(8)
            yield raw.decode("latin-1")
        elif way == 1:
            yield row[: chance.randrange(len(row))]
        elif way == 2:  # something cut out and put in elsewhere
            start, at = sorted((chance.randrange(len(row)), chance.randrange(len(row))))
            yield row[:start] + row[at:] + row[start:at]
        elif way == 3:  # the content of one type under the tag of another
            yield json.dumps({"@": chance.choice(tags), "of": _inside(json.loads(row))})
        else:
            yield json.dumps(_changed(json.loads(row), chance))


def _inside(plain: Any) -> Any:
    return plain["of"] if isinstance(plain, dict) and "of" in plain else plain


def _changed(plain: Any, chance: random.Random) -> Any:
    """The same with one part in it replaced."""
    if isinstance(plain, dict) and plain and chance.random() < 0.9:
        key = chance.choice([*plain])
        return {**plain, key: _changed(plain[key], chance)}
    if isinstance(plain, list) and plain and chance.random() < 0.9:
        at = chance.randrange(len(plain))
        return [*plain[:at], _changed(plain[at], chance), *plain[at + 1 :]]
    return chance.choice(ATOMS)


def main(number: int, seed: int) -> dict[str, Any]:
    """Read that many rows with and without a key, and report."""
    serde, keyed = Serde(TYPES), Serde(TYPES, KEY)
    rows = [serde.dumps(value, "state") for value in SAVED.values()]
    sealed = [keyed.dumps(value, "state", ("app", 1)) for value in SAVED.values()]
    for row, closed in zip(rows, sealed, strict=True):  # what is loaded with the first honest row is no finding
        serde.loads(row, "state")
        keyed.loads(closed, "state", ("app", 1))
    tries = [(serde, row, ()) for row in (*fixed(), *mutated(rows, number, seed))]
    tries += [(keyed, row, ("app", 1)) for row in mutated(sealed, number // 10, seed, ways=3) if row not in sealed]
    tries += [(keyed, row, ("app", 2)) for row in sealed] + [(keyed, row, ("app", 1)) for row in rows]
    return _watched(tries)


def _watched(tries: list[tuple[Serde, Any, tuple[object, ...]]]) -> dict[str, Any]:
    events: Counter[str] = Counter()
    outcomes: Counter[str] = Counter()
    slowest, before, watching = 0.0, len(made), [True]
    sys.addaudithook(lambda event, args: events.update([event]) if watching[0] else None)
    for serde, row, place in tries:
        start = time.perf_counter()
        try:
            serde.loads(row, "state", place)
            outcomes["read" if serde.key is None else "opened"] += 1
        except CorruptRecord:
            outcomes["refused"] += 1
        except BaseException as error:
            outcomes[f"{type(error).__name__} from {row!r:.200}"] += 1
        slowest = max(slowest, time.perf_counter() - start)
    found = dict(events)
    with open(__file__):  # so that it is known that somebody watched
        watching[0] = False
    return {
        "outcomes": outcomes,
        "events": found,
        "watched": events["open"] - found.get("open", 0),
        "made": len(made) - before,
        "slowest": slowest,
    }


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]), int(sys.argv[2]))))
