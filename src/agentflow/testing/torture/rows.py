"""What a row of the table is, and which rows there are for which stores.

What must not live here: the rows themselves.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Trial:
    """What a row is given.

    Attributes:
        url: The store, as `persister_from` takes it.
        size: How much of it, in the row's own unit.
        folder: An empty folder of its own.
        chance: Where it takes its random numbers from.
    """

    url: str
    size: int
    folder: Path
    chance: random.Random


@dataclass(slots=True)
class Found:
    """What a row found: figures, and what is wrong."""

    facts: dict[str, object] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def expect(self, what: str, expected: object, actual: object) -> None:
        """Note a figure, and that it is wrong if it is not what it has to be."""
        self.facts[what] = actual
        if expected != actual:
            self.wrong.append(f"{what}: {actual!r} instead of {expected!r}")


@dataclass(frozen=True, slots=True)
class RowOfTable:
    """One kind of torture.

    Attributes:
        name: What it is called on the command line.
        claim: What it shows, in a few words.
        size: Its full size.
        unit: What the size counts.
        run: What does it.
        stores: The kinds of stores it makes sense for.
    """

    name: str
    claim: str
    size: int
    unit: str
    run: Callable[[Trial], Found]
    stores: tuple[str, ...] = ("sqlite", "postgresql", "redis")


def timed(row: RowOfTable, trial: Trial) -> Found:
    """Run a row; an error of the row itself is something wrong too."""
    started = time.perf_counter()
    try:
        found = row.run(trial)
    except Exception as error:
        found = Found(wrong=[f"{type(error).__name__}: {error}"])
    log = trial.folder / "errors.log"
    if found.wrong and log.exists():
        found.wrong.append("the last error of a process: " + log.read_text(encoding="utf-8")[-1500:])
    found.seconds = time.perf_counter() - started
    return found
