"""Many children at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from benchmarks.case import Case
from benchmarks.cases.steps import agentflow_core, burr_core

CHILDREN = 1_000
PAUSE = 0.05


def bare_gather() -> float:
    async def main() -> None:
        await asyncio.gather(*(asyncio.sleep(PAUSE) for _ in range(CHILDREN)))

    return best_of(lambda: asyncio.run(main()), 3) * 1e3


def mapped(core: Callable[[], Any], pause: float, colour: str = "async", scale: float = 1e3) -> Callable[[], float]:
    """Seconds, scaled, for a map over as many states as there are children."""

    def measured() -> float:
        loaded = core()
        if loaded.__name__ == "agentflow":
            from agentflow.parallel import MapStates
        else:
            from burr.core.parallelism import MapStates

        @loaded.action(reads=["number"], writes=["result"])
        async def child_async(state: Any) -> Any:
            if pause:
                await asyncio.sleep(pause)
            return state.update(result=state["number"])

        @loaded.action(reads=["number"], writes=["result"])
        def child(state: Any) -> Any:
            return state.update(result=state["number"])

        class Map(MapStates):
            def action(self, state: Any, inputs: Any) -> Any:
                made = child_async if colour == "async" else child
                return made if loaded.__name__ == "agentflow" else loaded.action  # pragma: no cover

            def states(self, state: Any, context: Any, inputs: Any) -> Any:
                for number in range(CHILDREN):
                    yield state.update(number=number)

            async def areduce(self, state: Any, states: Any) -> Any:
                return state.update(total=sum([each["result"] async for each in states]))

            def is_async(self) -> bool:
                return colour == "async"

            @property
            def reads(self) -> list[str]:
                return []

            @property
            def writes(self) -> list[str]:
                return ["total"]

        if loaded.__name__ == "agentflow":
            Map.reduce = lambda self, state, states: state.update(total=sum(each["result"] for each in states))
            Map.action = _no_arguments(child_async if colour == "async" else child)
            made = Map(max_concurrency=CHILDREN if pause else 16)
        else:
            made = _burr(Map, child_async if colour == "async" else child, colour)()
        app = loaded.ApplicationBuilder().with_actions(map=made).with_transitions().with_entrypoint("map").build()

        def work() -> None:
            if colour == "async":
                asyncio.run(app.arun(halt_after=["map"]))
            else:
                app.run(halt_after=["map"])
            app.reset_to_entrypoint()

        return best_of(work, 3) * scale

    return measured


def _no_arguments(child: Any) -> Callable[..., Any]:
    return lambda self, **offered: child


def _burr(base: Any, child: Any, colour: str) -> Any:
    """Burr wants an action with a name of its own, and a reduce in the colour of the map."""
    named = child.action_function.with_name("child") if hasattr(child, "action_function") else child

    class Named(base):
        def action(self, state: Any, inputs: Any) -> Any:
            return named

        if colour == "async":

            async def reduce(self, state: Any, states: Any) -> Any:
                return state.update(total=sum([each["result"] async for each in states]))

        else:

            def reduce(self, state: Any, states: Any) -> Any:
                return state.update(total=sum(each["result"] for each in states))

    return Named


def best_of(work: Callable[[], object], times: int) -> float:
    found = []
    for _ in range(times):
        started = time.perf_counter()
        work()
        found.append(time.perf_counter() - started)
    return min(found)


CASES = [
    Case(
        "1,000 async children of 50 ms",
        "ms",
        {
            "bare gather": bare_gather,
            "agentflow": mapped(agentflow_core, PAUSE),
            "Burr": mapped(burr_core, PAUSE),
        },
        "at most 1.15 times a bare gather",
        lambda median: median["agentflow"] <= 1.15 * median["bare gather"],
    ),
    Case(
        "one no-op child of 1,000, async",
        "us",
        {"agentflow": mapped(agentflow_core, 0), "Burr": mapped(burr_core, 0)},
        "at most 1/8 of Burr's",
        lambda median: median["agentflow"] <= median["Burr"] / 8,
    ),
    Case(
        "one no-op child of 1,000, blocking",
        "us",
        {"agentflow": mapped(agentflow_core, 0, "blocking"), "Burr": mapped(burr_core, 0, "blocking")},
        "at most 1/8 of Burr's",
        lambda median: median["agentflow"] <= median["Burr"] / 8,
    ),
]
