"""Running the cases: a process for each way and round, all ways interleaved and shuffled.

What counts is the best of the rounds. The machines this runs on do other things too, which can only add to a figure, by
up to the half of it for as long as a process lives; so a median says as much of them as of what is measured.
"""

from __future__ import annotations

import importlib
import json
import random
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from benchmarks.case import Case

FAMILIES = (
    *("steps", "choices", "streams", "building", "chat", "children", "deciding", "loading"),
    *("saving", "tracking", "serving"),
)


@dataclass(frozen=True)
class Row:
    """What came of a case: the figure of each way (None where it is not installed), and whether the goal is met."""

    case: Case
    figures: Mapping[str, float | None]

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; None when what it is measured against is not installed."""
        known = {way: value for way, value in self.figures.items() if value is not None}
        try:
            return self.case.met(known)
        except KeyError:
            return None


def cases(wanted: Iterable[str] = ()) -> Iterator[tuple[str, Case]]:
    """The cases of the families that are wanted, or of all, each with its family."""
    for family in wanted or FAMILIES:
        for case in importlib.import_module(f"benchmarks.cases.{family}").CASES:
            yield family, case


def measure(wanted: Iterable[str] = (), rounds: int = 5, seed: int = 1) -> list[Row]:
    """Measure the cases; the order of the measurements is shuffled in each round."""
    chosen = list(cases(wanted))
    figures: dict[tuple[str, str], list[float | None]] = {}
    shuffled = random.Random(seed)
    for number in range(rounds):
        todo = [(family, case.name, way) for family, case in chosen for way in case.ways]
        shuffled.shuffle(todo)
        for done, (family, name, way) in enumerate(todo, 1):
            print(f"\rround {number + 1} of {rounds}: {done}/{len(todo)} ", end="", file=sys.stderr, flush=True)
            figures.setdefault((name, way), []).append(_in_a_process(family, name, way))
    print(file=sys.stderr)
    return [Row(case, {way: _best(case, figures[case.name, way]) for way in case.ways}) for _, case in chosen]


def run_one(family: str, name: str, way: str) -> None:
    """Measure one way in this process, and print its figure; null when a library is missing."""
    case = next(case for _, case in cases([family]) if case.name == name)
    try:
        figure = case.ways[way]()
    except ImportError as error:
        if (error.name or "").startswith("agentflow"):
            raise
        figure = None
    print(json.dumps(figure))


def _in_a_process(family: str, name: str, way: str) -> float | None:
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks", "--one", family, name, way]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{name} by {way} failed:\n{done.stderr[-2000:]}")
    figure: float | None = json.loads(done.stdout.strip().splitlines()[-1])
    return figure


def _best(case: Case, figures: list[float | None]) -> float | None:
    known = [figure for figure in figures if figure is not None]
    return case.best(known) if known else None
