"""What tracking costs does not grow with the run."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agentflow import ApplicationBuilder, State, action
from agentflow.tracking import LocalTracker, Runs


@action(reads=["history"], writes=["history"])
def ask(state: State[Any]) -> State[Any]:
    return state.append(history="hello there")


def talking(tracker: LocalTracker, messages: int) -> Any:
    return (
        ApplicationBuilder()
        .with_actions(ask)
        .with_transitions(("ask", "ask"))
        .with_entrypoint("ask")
        .with_state(history=["hello there"] * messages)
        .with_tracker(tracker)
        .with_identifiers(app_id=f"after {messages}")
        .build()
    )


def calls(work: Callable[[], Any]) -> int:
    """How many Python functions are entered, in the cheapest of many times: a step may find the writer asleep."""
    return min(calls_once(work) for _ in range(50))


def calls_once(work: Callable[[], Any]) -> int:
    entered = 0

    def profile(frame: Any, event: str, argument: Any) -> None:
        nonlocal entered
        entered += event == "call"

    sys.setprofile(profile)
    try:
        work()
    finally:
        sys.setprofile(None)
    return entered


def test_a_step_costs_the_same_after_many(tmp_path: Path) -> None:
    tracker = LocalTracker(root=tmp_path)
    app = talking(tracker, 0)
    for _ in range(3):
        app.step()
    first = calls(app.step)
    for _ in range(1_000):
        app.step()

    assert first == calls(app.step)
    tracker.close()


def test_a_step_is_stored_as_what_it_changed(tmp_path: Path) -> None:
    tracker = LocalTracker(root=tmp_path)
    for messages in (0, 3_000):
        app = talking(tracker, messages)
        for _ in range(3):
            app.step()
    tracker.close()
    runs = Runs(tmp_path)

    short, long = runs.steps("after 0"), runs.steps("after 3000")

    assert [step.append for step in short] == [step.append for step in long]
    assert [{}] * 3 == [step.set for step in long]
