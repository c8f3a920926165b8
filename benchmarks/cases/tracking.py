"""What a local tracker adds to a step: the same loop with and without, after few steps and after many.

The figures are processor time of the whole process, so what a tracker does in another thread counts too.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.case import Case, Way, per_operation
from benchmarks.cases.steps import agentflow_core, burr_core

STEPS = 500
LONG = 5_000


def chatting(core: Any, tracker: Any | None, turns: int) -> Callable[[int], None]:
    """A loop of two actions over a history of so many turns, to which each step adds a message of 200 characters."""

    @core.action(reads=["count", "history"], writes=["count", "history"])
    def ask(state: Any, text: str = "hello there") -> Any:
        return state.update(count=state["count"] + 1).append(history={"role": "user", "content": text * 18})

    @core.action(reads=["count"], writes=["answer"])
    def answer(state: Any) -> Any:
        return {"answer": "well"}, state.update(answer="well")

    history = [{"role": "user", "content": "hello there" * 18} for _ in range(turns)]
    builder = (
        core.ApplicationBuilder()
        .with_actions(ask=ask, answer=answer)
        .with_transitions(("ask", "answer"), ("answer", "ask"))
        .with_entrypoint("ask")
        .with_state(count=0, history=history, answer="")
    )
    app = (builder if tracker is None else builder.with_tracker(tracker)).build()

    def work(steps: int) -> None:
        step = app.step
        for _ in range(steps):
            step()
        if hasattr(tracker, "flush"):
            tracker.flush(60)

    return work


def ours(turns: int, tracked: bool) -> Way:
    def measured() -> float:
        core = agentflow_core()
        if not tracked:
            return per_operation(chatting(core, None, turns), STEPS, 3)
        from agentflow.tracking import LocalTracker

        with tempfile.TemporaryDirectory() as folder:
            tracker = LocalTracker("bench", folder)
            figure = per_operation(chatting(core, tracker, turns), STEPS, 3)
            tracker.close()
            assert tracker.dropped == 0
            assert Path(folder, "agentflow.db").stat().st_size > 0
            return figure

    return measured


def burr(turns: int, tracked: bool) -> Way:
    def measured() -> float:
        core = burr_core()
        if not tracked:
            return per_operation(chatting(core, None, turns), STEPS, 3)
        from burr.tracking import LocalTrackingClient

        with tempfile.TemporaryDirectory() as folder:
            return per_operation(chatting(core, LocalTrackingClient("bench", storage_dir=folder), turns), STEPS, 3)

    return measured


def added(median: Any, whose: str) -> float:
    return float(median[f"{whose}, tracked"] - median[whose])


CASES = [
    Case(
        "one tracked step, at the beginning",
        "us",
        {
            "agentflow": ours(0, False),
            "agentflow, tracked": ours(0, True),
            "Burr": burr(0, False),
            "Burr, tracked": burr(0, True),
        },
        "adds at most half of what Burr's tracker adds",
        lambda median: added(median, "agentflow") <= added(median, "Burr") / 2,
    ),
    Case(
        "one tracked step after 5,000 messages",
        "us",
        {
            "agentflow": ours(LONG, False),
            "agentflow, tracked": ours(LONG, True),
            "agentflow, beginning": ours(0, False),
            "agentflow, beginning, tracked": ours(0, True),
        },
        "adds what it adds at the beginning (within 25 %)",
        lambda median: added(median, "agentflow") <= 1.25 * added(median, "agentflow, beginning"),
    ),
]
