"""A case: one piece of work, done in several ways, and the goal it is held to."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

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
    """Microseconds of CPU time one of `count` operations takes, the best of several goes in this process."""
    work(max(1, count // 10))
    best = float("inf")
    gc.disable()
    for _ in range(repeat):
        started = time.process_time()
        work(count)
        best = min(best, (time.process_time() - started) / count * 1e6)
    gc.enable()
    return best
