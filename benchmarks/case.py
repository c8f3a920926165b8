"""A case: one piece of work, done in several ways, and the goal it is held to."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

#: Seconds that `_plain_python` takes on the machine that figures are told for, when nobody else is at work there.
USUAL = 0.0065

#: A way to do the work; it returns one figure, such as microseconds a step.
Way = Callable[[], float]


@dataclass(frozen=True)
class Case:
    """One row of the table.

    Attributes:
        name: What is measured.
        unit: The unit of the figures.
        ways: From the name of a way to the function that measures it, in a process of its own.
        goal: The goal, in words.
        met: Whether the figures of the ways in one round meet it.
    """

    name: str
    unit: str
    ways: Mapping[str, Way]
    goal: str
    met: Callable[[Mapping[str, float]], bool]


def per_operation(work: Callable[[int], object], count: int, repeat: int = 5) -> float:
    """Microseconds of CPU time one of `count` operations takes, the median of several goes in this process.

    Other people's work slows a shared machine by up to a half, for seconds at a time. So a fixed piece of plain Python
    is timed before and after each go, and the figure is for a machine on which that takes `USUAL`.
    """
    work(max(1, count // 10))
    found = []
    gc.disable()
    for _ in range(repeat):
        before = _plain_python()
        started = time.process_time()
        work(count)
        took = time.process_time() - started
        found.append(took / (before + _plain_python()) * 2)
    gc.enable()
    return statistics.median(found) * USUAL / count * 1e6


def _plain_python() -> float:
    """Seconds of CPU time that a fixed piece of work takes just now."""
    started = time.process_time()
    total, table = 0, {}
    for number in range(100_000):
        total += number
        table[number & 63] = total
    return time.process_time() - started
