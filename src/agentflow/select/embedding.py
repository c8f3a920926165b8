"""EmbeddingDecider: the target whose docstring or example utterances lie nearest to the text.

What must not live here: how texts become vectors (`agentflow.llm`, `hashing.py`), or what near means (`nearness.py`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Final, Unpack

from agentflow.errors import BuildError, DecideError
from agentflow.llm.embedding import aembed, embed
from agentflow.llm.requests import Options, check_options
from agentflow.runtime import ASYNC, BLOCKING, Runtime, new_lock, offloading, run_blocking
from agentflow.select import prompt
from agentflow.select.decider import Decider, fallback_name, undeclared
from agentflow.select.decision_model import Offered, described
from agentflow.select.examples import Labelled, examples_of
from agentflow.select.nearness import Vector, cosine, learned_threshold, unit
from agentflow.select.selector import Abstention, Answer, Decision, Target, scoped
from agentflow.signatures import names
from agentflow.state import State

#: Turns texts into vectors, one for each, all of one length; may be async.
Embedder = Callable[[list[str]], Any]

#: So many texts go out in one request; providers take no more than a few thousand.
BATCH: Final = 256


@dataclass(frozen=True, slots=True)
class _Point:
    """One text that stands for a target."""

    target: str
    text: str
    vector: Vector


class EmbeddingDecider(Decider):
    """The target whose docstring, or one of whose example utterances, lies nearest to the text.

    It abstains when the nearest target is not as near as its threshold, a cosine between -1 and 1. The vectors of the
    targets are computed once, however many ask at the same time; each decision costs the vector of one text.

    Args:
        model: Any embedding model litellm knows.
        embedder: A function from texts to vectors, sync or async, in place of the model.
        examples: For each target, texts it is right for.
        thresholds: How near the nearest target must be: one number for all, or one for each; those not named keep
            0.3. `fit` learns them.
        reads: The state keys that hold the text; by default every plain value.
        fallback: The target to take when it abstains.
        descriptions: What to say about a target instead of its docstring.
        name: How decisions and drawings show it.
        **options: What calls to the model take: `api_base`, `api_key`, `deadline` and the like; see
            `agentflow.llm.Options`.

    Example:
        >>> from agentflow.select import EmbeddingDecider, HashingEmbedder, Target
        >>> decider = EmbeddingDecider(embedder=HashingEmbedder(), examples={"draw": ["paint a cat"]})
        >>> decider.select({"query": "paint a dog"}, [Target("draw", "Draw."), Target("write", "Write.")]).target
        'draw'
    """

    model: str
    embedder: Embedder | None
    examples: dict[str, tuple[str, ...]]
    thresholds: dict[str, float]
    default_threshold: float
    reads: tuple[str, ...] | None
    fallback: str | None
    descriptions: dict[str, str]
    options: Options

    def __init__(
        self,
        model: str = "text-embedding-3-small",
        *,
        embedder: Embedder | None = None,
        examples: Mapping[str, Iterable[str]] | None = None,
        thresholds: float | Mapping[str, float] = 0.3,
        reads: str | Iterable[str] | None = None,
        fallback: object = None,
        descriptions: Mapping[str, str] | None = None,
        name: str | None = None,
        **options: Unpack[Options],
    ) -> None:
        check_options(options, BuildError, also=EmbeddingDecider.__init__.__kwdefaults__)
        self.model, self.embedder, self.options = model, embedder, options
        self.examples = {target: tuple(names(texts)) for target, texts in (examples or {}).items()}
        self.default_threshold = 0.3 if isinstance(thresholds, Mapping) else float(thresholds)
        self.thresholds = dict(thresholds) if isinstance(thresholds, Mapping) else {}
        self.reads = None if reads is None else names(reads)
        self.fallback = fallback_name(fallback)
        self.descriptions = dict(descriptions or {})
        self._name = name or f"EmbeddingDecider({model if embedder is None else _named(embedder)})"
        self._lock = new_lock()
        self._indexes: dict[tuple[Target, ...], Future[tuple[_Point, ...]]] = {}

    @property
    def never_blocks(self) -> bool:
        return self.embedder is None  # which is best called in as many threads as there are cases

    def problems(self, source: str, targets: Sequence[Target]) -> list[BuildError]:
        owner = f"the {self.name} leaving '{source}'"
        found = [
            BuildError(f"{owner} knows nothing about '{target.name}': give it a docstring, a description or examples.")
            for target in described(targets, self.descriptions)
            if not target.description.strip() and not self.examples.get(target.name)
        ]
        named = {*self.examples, *self.thresholds, *self.descriptions}
        return found + undeclared(owner, "examples, a threshold or a description", named, targets)

    async def decide(self, runtime: Runtime, state: State[Any], targets: Sequence[Target]) -> Answer:
        text = self._text(state)
        if not text:
            return Abstention("there is no text")
        points = await self._index(runtime, described(targets, self.descriptions))
        [vector] = await self._vectors(runtime, [text])
        scores = _scores(points, vector)
        near, point = _nearest(scores)
        least = self.threshold(point.target)
        if near < least:
            return Abstention(f"{point.target!r} is nearest with {near:.2f}, and {least:.2f} is needed")
        told = {name: round(score, 4) for name, (score, _) in sorted(scores.items())}
        return Decision(
            target=point.target,
            decided_by=self.name,
            reason=f"nearest to {point.text!r:.80}",
            confidence=min(max(near, 0.0), 1.0),
            raw=json.dumps(told),
        )

    def threshold(self, target: str) -> float:
        """How near a text must be for this target to be taken."""
        return self.thresholds.get(target, self.default_threshold)

    def fit(self, cases: Iterable[Labelled], targets: Iterable[Offered]) -> dict[str, float]:
        """Learn each target's threshold from cases with the right answer; returns the thresholds.

        A threshold is put where most right answers are kept for each wrong one; a target that was never the nearest
        keeps its own.

        Args:
            cases: `Example`s, or (text or state values, name of the right target, None for abstaining).
            targets: What there is to choose from.
        """
        return run_blocking(self._fit(BLOCKING, cases, targets))

    async def afit(self, cases: Iterable[Labelled], targets: Iterable[Offered]) -> dict[str, float]:
        """The async twin of `fit`."""
        return await self._fit(ASYNC, cases, targets)

    async def _fit(self, runtime: Runtime, cases: Iterable[Labelled], targets: Iterable[Offered]) -> dict[str, float]:
        key = self.reads[0] if self.reads else "query"
        labelled = examples_of(cases)
        texts = [self._text(scoped(State(case.values(key)), self)) for case in labelled]
        told = [(text, case.target) for text, case in zip(texts, labelled, strict=True) if text]
        points = await self._index(runtime, described(targets, self.descriptions))
        seen: dict[str, list[tuple[float, bool]]] = {}
        for batch in (told[start : start + BATCH] for start in range(0, len(told), BATCH)):
            vectors = await self._vectors(runtime, [text for text, _ in batch])
            for vector, (_, right) in zip(vectors, batch, strict=True):
                near, point = _nearest(_scores(points, vector))
                seen.setdefault(point.target, []).append((near, point.target == right))
        learned = {target: learned_threshold(found, self.threshold(target)) for target, found in seen.items()}
        self.thresholds.update(learned)
        return dict(self.thresholds)

    # -- vectors

    def _text(self, state: State[Any]) -> str:
        """What of the state is compared; "" when there is nothing to compare."""
        return prompt.situation(prompt.readable(state, self.reads)).strip()

    async def _index(self, runtime: Runtime, offered: tuple[Target, ...]) -> tuple[_Point, ...]:
        """The points of these targets, computed by whoever asks first while the others wait."""
        with self._lock:
            known = self._indexes.get(offered)
            if known is None:
                mine = self._indexes[offered] = Future()
                mine.set_running_or_notify_cancel()  # somebody who stops waiting must not cancel it for the others
        if known is not None:
            return known.result() if known.done() else await runtime.wait_for(known, None)
        try:
            points = await self._computed(runtime, offered)
        except BaseException as error:
            with self._lock:
                del self._indexes[offered]  # the next one tries again
            failed = error if isinstance(error, Exception) else DecideError(f"{self.name} was cancelled: ask again.")
            mine.set_exception(failed)
            raise
        mine.set_result(points)
        return points

    async def _computed(self, runtime: Runtime, offered: tuple[Target, ...]) -> tuple[_Point, ...]:
        texts = [
            (target.name, text)
            for target in offered
            for text in (target.description, *self.examples.get(target.name, ()))
            if text.strip()
        ]
        vectors = await self._vectors(runtime, [text for _, text in texts])
        return tuple(_Point(name, text, vector) for (name, text), vector in zip(texts, vectors, strict=True))

    async def _vectors(self, runtime: Runtime, texts: list[str]) -> list[Vector]:
        if self.embedder is None:
            ask: Any = runtime.pick(embed, aembed)
            return [unit(vector) for vector in (await runtime.call(ask, self.model, texts, **self.options)).vectors]
        given = await offloading(runtime).call(self.embedder, texts)
        try:
            vectors = [unit([float(value) for value in vector]) for vector in given]
        except (TypeError, ValueError) as error:
            raise DecideError(
                f"{self.name} gave {given!r:.80}, which are no vectors: return a list of numbers for each text."
            ) from error
        if any(math.isnan(sum(vector)) for vector in vectors):
            raise DecideError(f"{self.name} gave a vector with nan or infinity in it: return finite numbers.")
        if len(vectors) != len(texts):
            raise DecideError(f"{self.name} gave {len(vectors)} vectors for {len(texts)} texts: return one for each.")
        return vectors

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key not in ("_lock", "_indexes")}

    def __setstate__(self, kept: dict[str, Any]) -> None:
        self.__dict__.update(kept)
        self._lock, self._indexes = new_lock(), {}


def _scores(points: Iterable[_Point], vector: Vector) -> dict[str, tuple[float, _Point]]:
    """For each target how near it is, and what about it is nearest."""
    best: dict[str, tuple[float, _Point]] = {}
    for point in points:
        near = cosine(vector, point.vector)
        if point.target not in best or near > best[point.target][0]:
            best[point.target] = near, point
    return best


def _nearest(scores: Mapping[str, tuple[float, _Point]]) -> tuple[float, _Point]:
    return max(scores.values(), key=lambda each: (each[0], each[1].target))


def _named(embedder: Embedder) -> str:
    return str(getattr(embedder, "__name__", type(embedder).__name__))
