"""A chat in memory: a message of 500 characters is appended in each step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.case import Case, per_operation
from benchmarks.cases.steps import agentflow_core, burr_core

MESSAGE = "x" * 500


def chatting(core: Callable[[], Any], turns: int, steps: int = 500) -> Callable[[], float]:
    def measured() -> float:
        loaded = core()

        @loaded.action(reads=["history"], writes=["history"])
        def say(state: Any) -> Any:
            return state.append(history=MESSAGE)

        def work(count: int) -> None:
            for _ in range(count):
                app.step()

        app = (
            loaded.ApplicationBuilder()
            .with_actions(say=say)
            .with_transitions(("say", "say"))
            .with_entrypoint("say")
            .with_state(history=[MESSAGE] * turns)
            .build()
        )
        return per_operation(work, steps, repeat=2)

    return measured


CASES = [
    Case(
        "one chat step in memory",
        "us",
        {
            "at turn 100": chatting(agentflow_core, 100),
            "at turn 5,000": chatting(agentflow_core, 5_000),
            "Burr at turn 1,000": chatting(burr_core, 1_000, 20),
        },
        "at turn 5,000 at most 1.5 times at turn 100",
        lambda median: median["at turn 5,000"] <= 1.5 * median["at turn 100"],
    ),
]
