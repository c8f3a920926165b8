"""The same question is paid for once, in memory and on disk; what is kept is never trusted further than an answer."""

from __future__ import annotations

import pickle
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from agentflow.errors import BuildError
from agentflow.select import DiskCache, LLMDecider, MemoryCache
from agentflow.select.ballots import from_text
from tests.select.providers import DRAW, TARGETS, WRITE, Colour, Provider, chosen


@pytest.fixture(params=["memory", "disk"])
def cache(request: pytest.FixtureRequest, tmp_path: Path) -> MemoryCache | DiskCache:
    return MemoryCache() if request.param == "memory" else DiskCache(tmp_path / "kept" / "decisions.sqlite")


def test_the_same_question_is_asked_once(colour: Colour, provider: Provider, cache: MemoryCache | DiskCache) -> None:
    provider.reply(chosen("draw", "a cat", 0.8))
    decisions = [colour.select(LLMDecider(cache=cache), {"query": "a cat"}, each) for each in (TARGETS, TARGETS[::-1])]
    assert (1, ["draw", "draw"]) == (provider.calls, [decision.target for decision in decisions])
    assert ["LLMDecider(gpt-4o-mini)", "LLMDecider(gpt-4o-mini), from its cache"] == [d.decided_by for d in decisions]
    assert [(15, "a cat", 0.8), (0, "a cat", 0.8)] == [(d.tokens, d.reason, d.confidence) for d in decisions]
    assert decisions[0].raw == decisions[1].raw


def test_another_question_is_another_entry(provider: Provider) -> None:
    provider.reply(chosen("draw"))
    cache = MemoryCache()
    for decider in (LLMDecider(cache=cache), LLMDecider("gpt-4o", cache=cache), LLMDecider(cache=cache, system="Hm.")):
        decider.select({"query": "a cat"}, TARGETS)
    LLMDecider(cache=cache).select({"query": "a dog"}, TARGETS)
    LLMDecider(cache=cache).select({"query": "a cat"}, [DRAW, WRITE])
    LLMDecider(cache=cache, api_key="sk-another").select({"query": "a cat"}, TARGETS)
    assert 5 == provider.calls


def test_an_abstention_is_kept_too(colour: Colour, provider: Provider, cache: MemoryCache | DiskCache) -> None:
    provider.reply(chosen("none_of_these"))
    decider = LLMDecider(cache=cache, allow_abstain=True)
    assert ([None, None], 1) == ([colour.select(decider, {"query": "?"}) for _ in range(2)], provider.calls)


def test_no_key_is_in_the_file(provider: Provider, tmp_path: Path) -> None:
    provider.reply(chosen("draw"))
    path = tmp_path / "decisions.sqlite"
    LLMDecider(cache=DiskCache(path), api_key="sk-canary").select({"query": "a cat"}, TARGETS)
    assert b"sk-canary" not in path.read_bytes()


@pytest.mark.parametrize(
    "hostile", ['{"target": "fly", "reason": "", "confidence": null, "raw": ""}', "[]", "", "{", "7"]
)
def test_an_entry_somebody_changed_counts_as_none(provider: Provider, tmp_path: Path, hostile: str) -> None:
    provider.reply(chosen("draw"))
    cache = DiskCache(tmp_path / "decisions.sqlite")
    decider = LLMDecider(cache=cache)
    decider.select({"query": "a cat"}, TARGETS)
    with sqlite3.connect(cache.path) as connection:
        connection.execute("UPDATE decisions SET text = ?", (hostile,))
    connection.close()
    assert ("draw", 2) == (decider.select({"query": "a cat"}, TARGETS).target, provider.calls)
    assert None is from_text('{"target": ["draw"], "reason": "", "confidence": null, "raw": ""}', ["draw"])


def test_memory_forgets_what_was_used_longest_ago() -> None:
    cache = MemoryCache(limit=2)
    cache.put("a", "1")
    cache.put("b", "2")
    cache.get("a")
    cache.put("c", "3")
    assert ["1", None, "3"] == [cache.get(key) for key in "abc"]
    with pytest.raises(BuildError, match="could keep nothing"):
        MemoryCache(limit=0)


def test_a_file_that_cannot_be_used_costs_an_answer_and_nothing_else(
    provider: Provider, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    provider.reply(chosen("draw"))
    path = tmp_path / "decisions.sqlite"
    path.write_text("this is no database, and long enough to be seen as none" * 20)
    decisions = [LLMDecider(cache=DiskCache(path)).select({"query": "a cat"}, TARGETS) for _ in range(2)]
    assert (["draw", "draw"], 2) == ([decision.target for decision in decisions], provider.calls)
    assert "cannot be used, so models are asked again" in caplog.text
    assert None is DiskCache(path / "below" / "a file").get("x")


def test_many_threads_share_a_file(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path / "decisions.sqlite")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: cache.put(str(number % 10), str(number)), range(50)))
    assert 10 == sum(cache.get(str(number)) is not None for number in range(12))


def test_caches_can_be_sent_to_another_process(tmp_path: Path) -> None:
    memory, disk = MemoryCache(limit=3), DiskCache(tmp_path / "decisions.sqlite")
    memory.put("a", "1")
    disk.put("a", "1")
    copies = pickle.loads(pickle.dumps((memory, disk)))
    assert (3, None, "1") == (copies[0].limit, copies[0].get("a"), copies[1].get("a"))
