"""EmbeddingDecider: what is nearest, when it abstains, what it learns, and what it costs."""

from __future__ import annotations

import asyncio
import json
import pickle
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
import respx

from agentflow import ApplicationBuilder, State, action
from agentflow.errors import BuildError, DecideError
from agentflow.select import EmbeddingDecider, Example, HashingEmbedder, Target
from agentflow.select.lab import evaluate
from agentflow.select.nearness import learned_threshold
from tests.drivers import Driver
from tests.select.providers import EMBEDDINGS, TARGETS, Colour

EXAMPLES = {"draw": ["paint a cat"], "write": ["compose a poem"], "ask": ["hm"]}


class Counting:
    """Letters as vectors; counts what it is asked."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def __call__(self, texts: Sequence[str]) -> list[list[float]]:
        self.asked.append(len(texts))
        return [[text.lower().count(letter) + 0.01 for letter in "abcdefghijklmnopqrstuvwxyz"] for text in texts]


async def awaited(texts: Sequence[str]) -> list[list[float]]:
    await asyncio.sleep(0)
    return Counting()(texts)


def test_the_nearest_target_is_taken(colour: Colour) -> None:
    decider = EmbeddingDecider(embedder=HashingEmbedder(), examples=EXAMPLES)
    decision = colour.select(decider, {"query": "paint a dog"})
    assert ("draw", "nearest to 'paint a cat'") == (decision.target, decision.reason)
    assert {"ask", "draw", "write"} == json.loads(decision.raw).keys()
    assert decision.confidence == pytest.approx(json.loads(decision.raw)["draw"], abs=1e-4)
    assert "EmbeddingDecider(HashingEmbedder)" == decision.decided_by


def test_it_abstains_below_the_threshold_and_without_a_text(colour: Colour) -> None:
    decider = EmbeddingDecider(embedder=HashingEmbedder(), examples=EXAMPLES, thresholds={"draw": 0.99})
    answers = [colour.select(decider, {"query": text}) for text in ("paint a dog", "zzz", "  ", "compose a song")]
    assert [None, None, None, "write"] == [answer and answer.target for answer in answers]
    outcomes = evaluate(decider, TARGETS, [("zzz", None), (" ", None)]).outcomes
    assert ["'write' is nearest with 0.00, and 0.30 is needed", "there is no text"] == [
        each.reason for each in outcomes
    ]


def test_the_vectors_of_the_targets_are_computed_once_however_many_ask_at_once() -> None:
    counting = Counting()
    decider = EmbeddingDecider(embedder=counting, thresholds=-1)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: decider.select({"query": f"cat {number}"}, TARGETS), range(20)))

    async def together() -> None:
        await asyncio.gather(*(decider.aselect({"query": f"cat {number}"}, TARGETS[::-1]) for number in range(20)))

    asyncio.run(together())
    assert ([3], 40) == ([asked for asked in counting.asked if asked > 1], counting.asked.count(1))


def test_others_wait_for_the_vectors_and_one_who_gives_up_takes_them_from_nobody() -> None:
    started, go_on = asyncio.Event(), asyncio.Event()

    async def slow(texts: Sequence[str]) -> list[list[float]]:
        if len(texts) > 1:
            started.set()
            await go_on.wait()
        return Counting()(texts)

    async def together() -> list[Any]:
        decider = EmbeddingDecider(embedder=slow, thresholds=-1)
        tasks = [asyncio.create_task(decider.aselect({"query": "cat"}, TARGETS)) for _ in range(3)]
        await started.wait()
        tasks[1].cancel()
        go_on.set()
        return [type(done).__name__ for done in await asyncio.gather(*tasks, return_exceptions=True)]

    assert ["Decision", "CancelledError", "Decision"] == asyncio.run(together())


def test_when_the_one_who_computes_is_cancelled_the_others_are_told_and_may_ask_again() -> None:
    started = asyncio.Event()
    hang = [True]

    async def slow(texts: Sequence[str]) -> list[list[float]]:
        if hang.pop() if hang else False:
            started.set()
            await asyncio.Event().wait()
        return Counting()(texts)

    async def together() -> tuple[Any, Any]:
        decider = EmbeddingDecider(embedder=slow, thresholds=-1)
        first, second = (asyncio.create_task(decider.aselect({"query": "cat"}, TARGETS)) for _ in range(2))
        await started.wait()
        first.cancel()
        told = (await asyncio.gather(first, second, return_exceptions=True))[1]
        return told, await decider.aselect({"query": "cat"}, TARGETS)

    told, again = asyncio.run(together())
    assert (DecideError, True) == (type(told), again is not None)


def test_a_failure_is_not_remembered(colour: Colour) -> None:
    answers: list[Any] = [[[1.0]], RuntimeError("no"), *[Counting()] * 2]

    def moody(texts: list[str]) -> Any:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer(texts) if callable(answer) else answer

    decider = EmbeddingDecider(embedder=moody, thresholds=-1)
    with pytest.raises(DecideError, match="gave 1 vectors for 3 texts"):
        colour.select(decider, {"query": "cat"})
    with pytest.raises(RuntimeError):
        colour.select(decider, {"query": "cat"})
    assert None is not colour.select(decider, {"query": "cat"})


def test_vectors_of_different_lengths_are_an_error(colour: Colour) -> None:
    decider = EmbeddingDecider(embedder=lambda texts: [[1.0] * len(text) for text in texts])
    with pytest.raises(DecideError, match="vectors of 3 and 25 numbers cannot be compared"):
        colour.select(decider, {"query": "cat"})


@pytest.mark.parametrize("given", [None, 3, [None], ["far"]])
def test_what_an_embedder_gives_must_be_vectors(colour: Colour, given: object) -> None:
    decider = EmbeddingDecider(embedder=lambda texts: given, name="near")  # type: ignore[arg-type, return-value]
    with pytest.raises(DecideError, match=r"^near gave .*, which are no vectors: return a list of numbers for each"):
        colour.select(decider, {"query": "cat"})


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_vector_that_points_nowhere_is_an_error(colour: Colour, number: float) -> None:
    decider = EmbeddingDecider(embedder=lambda texts: [[number, 1.0] for _ in texts], name="near")
    with pytest.raises(DecideError, match="near gave a vector with nan or infinity in it: return finite numbers"):
        colour.select(decider, {"query": "cat"})


def test_an_option_that_is_misspelt_is_refused() -> None:
    with pytest.raises(BuildError, match="no option 'treshold'.*Did you mean 'thresholds'"):
        EmbeddingDecider(treshold=0.5)  # type: ignore[call-arg]


def test_an_async_embedder_is_awaited() -> None:
    decision = Colour("async").select(EmbeddingDecider(embedder=awaited, name="near"), {"query": "draw"})
    assert "near" == decision.decided_by


def test_thresholds_are_learned_from_cases(colour: Colour) -> None:
    decider = EmbeddingDecider(embedder=HashingEmbedder(), examples=EXAMPLES, thresholds=0.1, reads=["query"])
    cases = [("paint a cat", "draw"), Example("paint a dog", "draw"), ({"query": "paint the fence, Tom"}, None)]
    learned = colour.wait(lambda: decider.fit(cases, TARGETS), lambda: decider.afit(cases, TARGETS))
    texts = ["paint a dog", "paint the fence, Tom", "compose a song"]
    answers = [colour.select(decider, {"query": text}) for text in texts]
    assert (["draw"], ["draw", None, "write"]) == (list(learned), [answer and answer.target for answer in answers])


def test_many_cases_are_learned_from_in_few_requests(colour: Colour) -> None:
    counting = Counting()
    decider = EmbeddingDecider(embedder=counting, reads=["query"])
    cases = [*((f"case {number}", "draw") for number in range(300)), ("  ", "draw")]
    colour.wait(lambda: decider.fit(cases, TARGETS), lambda: decider.afit(cases, TARGETS))
    assert [3, 256, 44] == counting.asked


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        ([], 0.3),
        ([(0.9, True), (0.5, True)], 0.3),
        ([(0.2, True)], 0.2),
        ([(0.9, True), (0.5, False)], 0.7),
        ([(0.5, False)], 0.51),
        ([(0.9, True), (0.8, False), (0.7, True), (0.4, False)], 0.55),
    ],
)
def test_a_threshold_keeps_most_right_answers_for_each_wrong_one(seen: list[Any], expected: float) -> None:
    assert expected == pytest.approx(learned_threshold(seen, 0.3))


def test_targets_nobody_knows_anything_about_are_problems() -> None:
    decider = EmbeddingDecider(examples={"drwa": ["x"]}, descriptions={"write": "Write."})
    problems = decider.problems("start", [Target("draw"), Target("write")])
    assert [
        "the EmbeddingDecider(text-embedding-3-small) leaving 'start' knows nothing about 'draw': "
        "give it a docstring, a description or examples.",
        "the EmbeddingDecider(text-embedding-3-small) leaving 'start' has examples, a threshold or a description "
        "for 'drwa', which is no target of it: rename it. Did you mean 'draw'?",
    ] == [str(problem) for problem in problems]


def test_it_can_be_sent_to_another_process() -> None:
    decider = EmbeddingDecider(embedder=HashingEmbedder(), examples=EXAMPLES)
    decider.select({"query": "paint"}, TARGETS)
    assert "draw" == pickle.loads(pickle.dumps(decider)).select({"query": "paint a cat"}, TARGETS).target


def test_through_a_provider_the_tokens_count_for_the_decision(drive: Driver, http: respx.MockRouter) -> None:
    def respond(request: httpx.Request) -> httpx.Response:
        texts = json.loads(request.content)["input"]
        data = [
            {"object": "embedding", "index": number, "embedding": [1.0, 0.0] if "cat" in text else [0.0, 1.0]}
            for number, text in enumerate(texts)
        ]
        usage = {"prompt_tokens": 7, "total_tokens": 7}
        model = "text-embedding-3-small"
        return httpx.Response(200, json={"object": "list", "data": data, "model": model, "usage": usage})

    route = http.post(EMBEDDINGS).mock(side_effect=respond)

    @action(reads=[], writes=["query"])
    def listen(state: State) -> State:
        return state.update(query="a cat")

    @action(reads=[], writes=[])
    def cats(state: State) -> State:
        """Everything about a cat."""
        return state

    @action(reads=[], writes=[])
    def dogs(state: State) -> State:
        """Everything about a dog."""
        return state

    app = (
        ApplicationBuilder()
        .with_actions(listen, cats, dogs)
        .with_transitions(("listen", ["cats", "dogs"], EmbeddingDecider(reads=["query"])))
        .with_entrypoint("listen")
        .build()
    )
    drive.step(app)
    assert ("cats", 14, 2) == (drive.next_action(app).name, app.decisions[-1].tokens, len(route.calls))


def test_the_hashing_embedder_is_the_same_everywhere() -> None:
    embed = HashingEmbedder(size=16)
    assert embed(["Draw a CAT"]) == embed(["draw  a cat"])
    assert [0.0] * 16 == embed([""])[0]
    with pytest.raises(BuildError):
        HashingEmbedder(size=0)
