"""How near vectors are to each other, and from which nearness on a target may be taken.

What must not live here: where vectors come from.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from operator import mul

from agentflow.errors import DecideError

Vector = tuple[float, ...]


def _plain_dot(left: Sequence[float], right: Sequence[float]) -> float:
    return float(sum(map(mul, left, right)))


#: Python 3.12 has it built in, and several times faster.
_dot: Callable[[Sequence[float], Sequence[float]], float] = getattr(math, "sumprod", _plain_dot)


def unit(vector: Sequence[float]) -> Vector:
    """The vector with length 1, so that a dot product is a cosine; a vector of zeros stays as it is."""
    length = math.sqrt(_dot(vector, vector))
    return tuple(value / length for value in vector) if length else tuple(vector)


def cosine(left: Vector, right: Vector) -> float:
    """The cosine between two unit vectors: 1 for the same direction, 0 for nothing in common.

    Raises:
        DecideError: They are not of one length.
    """
    if len(left) != len(right):
        raise DecideError(
            f"vectors of {len(left)} and {len(right)} numbers cannot be compared: use one embedder for all."
        )
    return _dot(left, right)


def learned_threshold(seen: Sequence[tuple[float, bool]], start: float) -> float:
    """The threshold that keeps most right answers for each wrong one.

    Args:
        seen: For every case in which the target was the nearest: how near, and whether it was right.
        start: The threshold without any evidence; kept where lowering it or raising it gains nothing.
    """
    if not seen:
        return start
    scores = sorted({score for score, _ in seen})
    between = [(low + high) / 2 for low, high in pairwise(scores)]
    candidates = [min(start, scores[0]), *between, scores[-1] + 0.01]

    def gain(threshold: float) -> int:
        return sum(1 if right else -1 for score, right in seen if score >= threshold)

    return max(candidates, key=gain)
