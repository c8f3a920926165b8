"""One choice among many targets, the last one hit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.case import Case, per_operation
from benchmarks.cases.steps import agentflow_core, burr_core

STEPS = 1_000


def choosing(core: Any, targets: int, how: str, steps: int = STEPS) -> Callable[[], float]:
    """A loop: hub -> the last of so many targets -> hub; two steps and one choice a round."""

    def measured() -> float:
        names = [f"target_{number}" for number in range(targets)]
        loaded = core()

        @loaded.action(reads=["mode"], writes=["mode"])
        def hub(state: Any) -> Any:
            return state.update(mode=names[-1])

        @loaded.action(reads=[], writes=[])
        def target(state: Any) -> Any:
            return state

        if how == "switch":
            choice = [("hub", names, loaded.switch("mode"))]
        elif how == "expr":
            choice = [("hub", name, loaded.expr(f"mode == '{name}'")) for name in names]
        else:
            choice = [("hub", name, loaded.when(mode=name)) for name in names]
        app = (
            loaded.ApplicationBuilder()
            .with_actions(hub=hub, **dict.fromkeys(names, target))
            .with_transitions(*choice, *((name, "hub") for name in names))
            .with_entrypoint("hub")
            .with_state(mode="")
            .build()
        )

        def work(count: int) -> None:
            for _ in range(2 * count):
                app.step()

        return per_operation(work, steps, repeat=3)

    return measured


def case(how: str) -> Case:
    return Case(
        f"two steps and a choice by `{how}`",
        "us",
        {
            "among 2": choosing(agentflow_core, 2, how),
            "among 1,000": choosing(agentflow_core, 1_000, how),
            **({} if how == "switch" else {"Burr among 1,000": choosing(burr_core, 1_000, how, 10)}),
        },
        "among 1,000 at most 1.3 times among 2",
        lambda median: median["among 1,000"] <= 1.3 * median["among 2"],
    )


CASES = [case("when"), case("expr"), case("switch")]
