"""An application from a graph of 20 actions that exists already: its time, and its memory."""

from __future__ import annotations

import itertools
import tracemalloc
from collections.abc import Callable
from typing import Any

from benchmarks.case import Case, per_operation
from benchmarks.cases.steps import agentflow_core, burr_core


def builder_of(core: Callable[[], Any]) -> Callable[[], Any]:
    loaded = core()
    graph_builder = getattr(loaded, "GraphBuilder", None)
    if graph_builder is None:
        from burr.core.graph import GraphBuilder as graph_builder

    @loaded.action(reads=["count"], writes=["count"])
    def step(state: Any) -> Any:
        return state

    names = [f"step_{number}" for number in range(20)]
    graph = (
        graph_builder().with_actions(**dict.fromkeys(names, step)).with_transitions(*itertools.pairwise(names)).build()
    )
    return lambda: loaded.ApplicationBuilder().with_graph(graph).with_entrypoint("step_0").with_state(count=0).build()


def time_of(core: Callable[[], Any], count: int) -> Callable[[], float]:
    def measured() -> float:
        build = builder_of(core)
        return per_operation(lambda times: [build() for _ in range(times)], count)

    return measured


def bytes_of(core: Callable[[], Any]) -> Callable[[], float]:
    def measured() -> float:
        build = builder_of(core)
        build()
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        kept = [build() for _ in range(200)]
        return (tracemalloc.get_traced_memory()[0] - before) / len(kept)

    return measured


CASES = [
    Case(
        "an application from an existing graph of 20 actions",
        "us",
        {"agentflow": time_of(agentflow_core, 2_000), "Burr": time_of(burr_core, 50)},
        "at most 5 us",
        lambda median: median["agentflow"] <= 5,
    ),
    Case(
        "its memory",
        "bytes",
        {"agentflow": bytes_of(agentflow_core), "Burr": bytes_of(burr_core)},
        "at most 1,500",
        lambda median: median["agentflow"] <= 1_500,
    ),
]
