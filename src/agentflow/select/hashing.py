"""HashingEmbedder: texts as vectors without a model: shared words and shared letters make texts near.

A baseline and a stand-in for tests; it knows no synonyms. What must not live here: comparing vectors.
"""

from __future__ import annotations

import math
import re
import unicodedata
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise

from agentflow.errors import BuildError


class HashingEmbedder:
    """Each text as counts of its words, pairs of words and word parts, hashed into a vector of fixed size.

    The same text gives the same vector in every process and on every machine.

    Args:
        size: The length of the vectors.

    Example:
        >>> from agentflow.select import HashingEmbedder
        >>> len(HashingEmbedder(size=64)(["draw a cat"])[0])
        64
    """

    size: int

    def __init__(self, size: int = 1024) -> None:
        if size < 1:
            raise BuildError(f"HashingEmbedder(size={size}) gives empty vectors: give a positive size.")
        self.size = size

    def __call__(self, texts: Sequence[str]) -> list[list[float]]:
        return [self._vector(text) for text in texts]

    def _vector(self, text: str) -> list[float]:
        vector = [0.0] * self.size
        for (feature, weight), count in Counter(_features(text)).items():
            hashed = zlib.crc32(feature.encode())
            vector[hashed // 2 % self.size] += (1 if hashed % 2 else -1) * weight * math.sqrt(count)
        return vector


#: Words that say nothing about what a text is about.
_COMMON = frozenset(
    [
        "a",
        "an",
        "and",
        "are",
        "as",
        "at",
        "be",
        "by",
        "do",
        "for",
        "from",
        "i",
        "in",
        "is",
        "it",
        "me",
        "my",
        "of",
        "on",
        "or",
        "please",
        "so",
        "that",
        "the",
        "this",
        "to",
        "was",
        "with",
        "you",
    ]
)


def _features(text: str) -> Iterator[tuple[str, float]]:
    """What two texts may have in common, each with its weight."""
    words = [word for word in re.findall(r"\w+", unicodedata.normalize("NFKC", text).casefold()) if word not in _COMMON]
    for word in words:
        yield f"w {word}", 1.0
        marked = f"<{word}>"
        for start in range(len(marked) - 3):
            yield f"p {marked[start : start + 4]}", 0.3
    for first, second in pairwise(words):
        yield f"2 {first} {second}", 0.5
