"""Running the cases: a process for each way and round, all ways interleaved and shuffled.

The table shows medians over the rounds. A goal is judged round by round, and is met when it is met in more than half of
the rounds: that is the median of the ratios of each round, where what disturbs a machine for a while disturbs all ways.
"""

from __future__ import annotations

import importlib
import json
import random
import statistics
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.case import Case

FAMILIES = (
    *("steps", "choices", "streams", "building", "chat", "children", "deciding", "loading"),
    *("saving", "tracking", "serving"),
)


@dataclass(frozen=True)
class Row:
    """What came of a case: in each round the figure of each way, None where it is not installed."""

    case: Case
    rounds: Sequence[Mapping[str, float | None]]

    @property
    def medians(self) -> Mapping[str, float | None]:
        """The median of each way over the rounds."""
        return {way: _median([each[way] for each in self.rounds]) for way in self.case.ways}

    @property
    def met(self) -> bool | None:
        """Whether the goal is met in more than half of the rounds; None when what it is measured against is missing."""
        try:
            verdicts = [self.case.met({way: at for way, at in each.items() if at is not None}) for each in self.rounds]
        except KeyError:
            return None
        return 2 * sum(verdicts) > len(verdicts)


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
    return [
        Row(case, [{way: figures[case.name, way][number] for way in case.ways} for number in range(rounds)])
        for _, case in chosen
    ]


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


def _median(figures: list[float | None]) -> float | None:
    known = [figure for figure in figures if figure is not None]
    return statistics.median(known) if known else None
