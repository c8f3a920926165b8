"""One step of a loop that counts, with a condition looked at after each step."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from benchmarks.case import Case, Way, per_operation

STEPS = 2_000
WIDE = {f"key_{number}": number for number in range(1_000)}


# -- by hand: the same work over an immutable dict


def by_hand(extra: Mapping[str, Any] = MappingProxyType({})) -> Callable[[int], None]:
    def count(state: Mapping[str, Any]) -> Mapping[str, Any]:
        return MappingProxyType({**state, "count": state["count"] + 1})

    def work(steps: int) -> None:
        state: Mapping[str, Any] = MappingProxyType({**extra, "count": 0, "limit": steps})
        step = count
        while True:
            state = step(state)
            if not state["count"] < state["limit"]:
                break

    return work


def by_hand_async() -> Callable[[int], None]:
    async def count(state: Mapping[str, Any]) -> Mapping[str, Any]:
        return MappingProxyType({**state, "count": state["count"] + 1})

    async def loop(steps: int) -> None:
        state: Mapping[str, Any] = MappingProxyType({"count": 0, "limit": steps})
        while True:
            state = await count(state)
            if not state["count"] < state["limit"]:
                break

    return lambda steps: asyncio.run(loop(steps))


# -- Burr and agentflow are typed alike


def graph_like_burr(core: Any, extra: Mapping[str, Any] = MappingProxyType({}), colour: str = "blocking") -> Any:
    """An application that counts until it is done: `when(done=False)` is looked at after each step."""

    @core.action(reads=["count", "limit"], writes=["count", "done"])
    def count(state: Any) -> Any:
        number = state["count"] + 1
        return state.update(count=number, done=number >= state["limit"])

    @core.action(reads=["count", "limit"], writes=["count", "done"])
    async def count_async(state: Any) -> Any:
        number = state["count"] + 1
        return state.update(count=number, done=number >= state["limit"])

    @core.action(reads=[], writes=[])
    def end(state: Any) -> Any:
        return state

    return lambda steps: (
        core.ApplicationBuilder()
        .with_actions(count=count if colour == "blocking" else count_async, end=end)
        .with_transitions(("count", "count", core.when(done=False)), ("count", "end", core.default))
        .with_entrypoint("count")
        .with_state(**extra, count=0, limit=steps, done=False)
        .build()
    )


def run_blocking(core: Any, extra: Mapping[str, Any] = MappingProxyType({})) -> Callable[[int], None]:
    build = graph_like_burr(core, extra)
    return lambda steps: build(steps).run(halt_after=["end"])


def run_async(core: Any) -> Callable[[int], None]:
    build = graph_like_burr(core, colour="async")
    return lambda steps: asyncio.run(build(steps).arun(halt_after=["end"]))


def step_by_step(core: Any) -> Callable[[int], None]:
    build = graph_like_burr(core)

    def work(steps: int) -> None:
        step = build(steps + 1).step
        for _ in range(steps):
            step()

    return work


def agentflow_core() -> Any:
    import agentflow

    return agentflow


def burr_core() -> Any:
    import logging

    import burr.core

    logging.disable(logging.WARNING)
    return burr.core


# -- others


def langgraph(colour: str) -> Callable[[int], None]:
    from typing import TypedDict

    from langgraph.graph import END, START, StateGraph

    class Counting(TypedDict):
        count: int
        limit: int

    def count(state: Counting) -> dict[str, int]:
        return {"count": state["count"] + 1}

    async def count_async(state: Counting) -> dict[str, int]:
        return {"count": state["count"] + 1}

    graph = StateGraph(Counting)
    graph.add_node("count", count if colour == "blocking" else count_async)
    graph.add_edge(START, "count")
    graph.add_conditional_edges("count", lambda state: "count" if state["count"] < state["limit"] else END)
    compiled = graph.compile()

    def work(steps: int) -> None:
        given, config = {"count": 0, "limit": steps}, {"recursion_limit": steps + 10}
        if colour == "blocking":
            compiled.invoke(given, config)
        else:
            asyncio.run(compiled.ainvoke(given, config))

    return work


def pydantic_graph(colour: str) -> Callable[[int], None]:
    from benchmarks.cases.pydantic_graph_counting import counting

    return counting(colour)


# -- counting calls


def calls_per_step(colour: str) -> float:
    """Python functions entered for one more step, exactly."""
    build = graph_like_burr(agentflow_core(), colour=colour)

    def calls(steps: int) -> int:
        entered = 0

        def profile(frame: Any, event: str, argument: Any) -> None:
            nonlocal entered
            entered += event == "call"

        app = build(steps)
        run = app.run if colour == "blocking" else lambda **halts: asyncio.run(app.arun(**halts))
        sys.setprofile(profile)
        try:
            run(halt_after=["end"])
        finally:
            sys.setprofile(None)
        return entered

    return (calls(1_100) - calls(100)) / 1_000


def with_hook_of_another_moment() -> Callable[[int], None]:
    import agentflow

    class Idle:
        def post_application_create(self, **future_kwargs: Any) -> None:
            """Listens to nothing that happens in a step."""

    build = graph_like_burr(agentflow)

    def work(steps: int) -> None:
        app = build(steps)
        app.builder.with_hooks(Idle()).build().run(halt_after=["end"])

    return work


def timed(make: Callable[[], Callable[[int], None]], steps: int = STEPS) -> Way:
    return lambda: per_operation(make(), steps)


CASES = [
    Case(
        "one step, blocking",
        "us",
        {
            "by hand": timed(by_hand),
            "agentflow": timed(lambda: run_blocking(agentflow_core())),
            "Burr": timed(lambda: run_blocking(burr_core())),
            "LangGraph": timed(lambda: langgraph("blocking"), 300),
            "pydantic-graph": timed(lambda: pydantic_graph("blocking")),
        },
        "at most 1/10 of Burr's",
        lambda median: median["agentflow"] <= median["Burr"] / 10,
    ),
    Case(
        "one call of step()",
        "us",
        {
            "agentflow": timed(lambda: step_by_step(agentflow_core())),
            "Burr": timed(lambda: step_by_step(burr_core())),
        },
        "at most 1/8 of Burr's",
        lambda median: median["agentflow"] <= median["Burr"] / 8,
    ),
    Case(
        "one step, async",
        "us",
        {
            "by hand": timed(by_hand_async),
            "agentflow": timed(lambda: run_async(agentflow_core())),
            "Burr": timed(lambda: run_async(burr_core())),
            "LangGraph": timed(lambda: langgraph("async"), 300),
            "pydantic-graph": timed(lambda: pydantic_graph("async")),
        },
        "at most 1/10 of Burr's",
        lambda median: median["agentflow"] <= median["Burr"] / 10,
    ),
    Case(
        "one step beside 1,000 untouched keys",
        "us",
        {
            "by hand": timed(lambda: by_hand(WIDE), 500),
            "one key": timed(lambda: run_blocking(agentflow_core()), 500),
            "agentflow": timed(lambda: run_blocking(agentflow_core(), WIDE), 500),
            "one dict copy": lambda: per_operation(lambda count: [{**WIDE} for _ in range(count)], 2_000),
            "Burr": timed(lambda: run_blocking(burr_core(), WIDE), 500),
        },
        "as with 1 key plus one dict copy (within 20 %)",
        lambda median: median["agentflow"] <= 1.2 * (median["one key"] + median["one dict copy"]),
    ),
    Case(
        "Python calls a step",
        "calls",
        {"blocking": lambda: calls_per_step("blocking"), "async": lambda: calls_per_step("async")},
        "at most 25 in both colours",
        lambda median: max(median["blocking"], median["async"]) <= 25,
    ),
    Case(
        "one step with a hook that listens to something else",
        "us",
        {
            "no hook": timed(lambda: run_blocking(agentflow_core())),
            "hook": timed(with_hook_of_another_moment),
        },
        "the same (within 10 %)",
        lambda median: median["hook"] <= 1.1 * median["no hook"],
    ),
]
