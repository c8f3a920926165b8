"""Hostile and random texts: nothing runs, nothing foreign is touched, nothing is slow, every refusal is typed.

`AGENTFLOW_FUZZ=1000000` runs that many generated texts, and prints what it saw (use `pytest -s`).
"""

from __future__ import annotations

import gc
import random
import sys
import time
import tracemalloc
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from agentflow.errors import AgentflowError
from agentflow.expressions import compile_expression, render_template
from tests.effort import tries

from .hostile import BOMBS, ESCAPES, generated
from .traps import trapped_state, watching

COUNT = tries(500, thorough=20_000)
SECONDS = 0.05
BYTES = 10_000_000

_TEMPLATES = [
    "mode=={{action.name}}",
    "mode == '{{ action.name }}'",
    'mode=="{{action.name}}"',
    "{{action.name}} == mode",
]
_WATCHED = (
    "import",
    "open",
    "exec",
    "compile",
    "os.",
    "subprocess.",
    "socket.",
    "ctypes.",
    "pickle.",
    "code.",
    "builtins.",
)
_events: list[str] | None = None


def _note(event: str, args: tuple[Any, ...]) -> None:
    if _events is not None and event.startswith(_WATCHED):
        own = event == "compile" and args[1] == "<unknown>"  # ast.parse, which makes a tree and no code
        _events.append("parse" if own else event)


sys.addaudithook(_note)


@contextmanager
def audited() -> Iterator[list[str]]:
    """The audit events of the block; a hook cannot be taken off again, so it is switched."""
    global _events
    _events = seen = []
    try:
        yield seen
    finally:
        _events = None


def attempt(source: str, state: Mapping[str, object]) -> str:
    """How an attempt to read and evaluate `source` ended; anything untyped is raised."""
    try:
        compile_expression(source).evaluate(state)
    except AgentflowError as error:
        return type(error).__name__
    return "value"


def _large_state() -> dict[str, object]:
    wide: list[object] = [[]]
    for _ in range(35):
        wide = [wide, wide]
    return {
        **trapped_state(),
        "big": list(range(9_000)),
        "wide": wide,
        "wider": [wide[0], wide[1]],
        "a": {},
        "b": 0,
        "c": 1,
    }


def test_escapes_come_to_nothing() -> None:
    state = trapped_state()
    with watching() as hits, audited() as events:
        endings = {source: attempt(source, state) for source in ESCAPES}
    assert [] == [source for source, ending in endings.items() if ending not in ("ExpressionError", "EvaluationError")]
    assert ([], {"parse"}) == (list(hits), set(events))


@pytest.mark.parametrize("source", BOMBS, ids=lambda source: source[:30])
def test_bombs_are_answered_within_the_limits(source: str) -> None:
    state = _large_state()
    tracemalloc.start()
    try:
        attempt(source, state)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    spent = min(_seconds(source, state) for _ in range(3))
    assert (True, True) == (spent < SECONDS, peak < BYTES), (spent, peak)


@pytest.mark.filterwarnings("error")
def test_generated_texts_run_nothing_and_touch_nothing() -> None:
    state, endings, slow, parsed, worst = trapped_state(), Counter[str](), list[str](), 0, 0.0
    gc.disable()  # a collection would be charged to whichever text it happens in
    try:
        for number, source in enumerate(generated(20240613, COUNT)):
            with watching() as hits, audited() as events:
                started = time.thread_time()
                endings[attempt(source, state)] += 1
                spent = time.thread_time() - started
            assert ([], True) == (list(hits), events in ([], ["parse"])), (source, hits, events)
            parsed += len(events)
            worst = max(worst, spent)
            if spent >= SECONDS and min(_seconds(source, state) for _ in range(3)) >= SECONDS:
                slow.append(source)
            if number % 5_000 == 0:
                gc.collect()
    finally:
        gc.enable()
    print(f"\n{COUNT:,} texts: {dict(endings)}, {parsed:,} parsed, slowest {worst * 1000:.1f} ms")
    assert [] == slow
    assert min(endings["value"], endings["ExpressionError"], endings["EvaluationError"]) > COUNT // 50


def test_generated_texts_use_little_memory() -> None:
    state, greedy = trapped_state(), []
    tracemalloc.start()
    try:
        for source in generated(7, max(1_000, COUNT // 100)):
            before = tracemalloc.get_traced_memory()[0]
            tracemalloc.reset_peak()
            attempt(source, state)
            if tracemalloc.get_traced_memory()[1] - before > BYTES:
                greedy.append(source)
    finally:
        tracemalloc.stop()
    assert [] == greedy


def test_generated_names_stay_text_in_every_template() -> None:
    dice = random.Random(99)
    with audited() as events:
        for name in generated(13, COUNT // 4):
            template = dice.choice(_TEMPLATES)
            source = render_template(template, name)
            if len(source) <= 2_000:
                assert ("mode", name) == compile_expression(source).equality
    assert {"parse"} == set(events)


def _seconds(source: str, state: Mapping[str, object]) -> float:
    started = time.thread_time()
    attempt(source, state)
    return time.thread_time() - started
