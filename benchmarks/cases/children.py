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


def mapped(core: Callable[[], Any], pause: float, colour: str = "async") -> Callable[[], float]:
    """Milliseconds for a map over as many states as there are children, which is microseconds a child of 1,000."""

    def measured() -> float:
        loaded = core()
        make = _agentflow_map if loaded.__name__ == "agentflow" else _burr_map
        made = make(loaded, pause, colour)

        def work() -> None:
            app = loaded.ApplicationBuilder().with_actions(map=made).with_transitions().with_entrypoint("map").build()
            if colour == "async":
                asyncio.run(app.arun(halt_after=["map"]))
            else:
                app.run(halt_after=["map"])

        return best_of(work, 3) * 1e3

    return measured


def child_of(loaded: Any, pause: float, colour: str) -> Any:
    @loaded.action(reads=["number"], writes=["result"])
    async def child_async(state: Any) -> Any:
        if pause:
            await asyncio.sleep(pause)
        return state.update(result=state["number"])

    @loaded.action(reads=["number"], writes=["result"])
    def child(state: Any) -> Any:
        return state.update(result=state["number"])

    return child_async if colour == "async" else child


def _agentflow_map(loaded: Any, pause: float, colour: str) -> Any:
    from agentflow.parallel import map_reduce_action

    return map_reduce_action(
        child_of(loaded, pause, colour),
        lambda state: (state.update(number=number) for number in range(CHILDREN)),
        lambda state, states: state.update(total=sum(each["result"] for each in states)),
        reads=[],
        writes=["total"],
        max_concurrency=CHILDREN if pause else 16,
    )


def _burr_map(loaded: Any, pause: float, colour: str) -> Any:
    from burr.core.action import create_action
    from burr.core.parallelism import MapStates

    child = create_action(child_of(loaded, pause, colour), "child")

    class Base(MapStates):
        reads = []
        writes = ["total"]

        def action(self, state: Any, inputs: Any) -> Any:
            return child

        def is_async(self) -> bool:
            return colour == "async"

    class Blocking(Base):
        def states(self, state: Any, context: Any, inputs: Any) -> Any:
            for number in range(CHILDREN):
                yield state.update(number=number)

        def reduce(self, state: Any, states: Any) -> Any:
            return state.update(total=sum(each["result"] for each in states))

    class Async(Base):
        async def states(self, state: Any, context: Any, inputs: Any) -> Any:
            for number in range(CHILDREN):
                yield state.update(number=number)

        async def reduce(self, state: Any, states: Any) -> Any:
            return state.update(total=sum([each["result"] async for each in states]))

    return Async() if colour == "async" else Blocking()


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
