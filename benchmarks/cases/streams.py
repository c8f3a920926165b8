"""One piece of a stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from benchmarks.case import Case, per_operation
from benchmarks.cases.steps import agentflow_core, burr_core

PIECES = 20_000


def bare() -> float:
    def pieces(count: int) -> Iterator[Any]:
        for number in range(count):
            yield {"number": number}, None

    def work(count: int) -> None:
        for _item, _state in pieces(count):
            pass

    return per_operation(work, PIECES)


def bare_async() -> float:
    async def pieces(count: int) -> AsyncIterator[Any]:
        for number in range(count):
            yield {"number": number}, None

    async def read(count: int) -> None:
        async for _item, _state in pieces(count):
            pass

    return per_operation(lambda count: asyncio.run(read(count)), PIECES)


def streamed(core: Callable[[], Any], colour: str) -> Callable[[], float]:
    def measured() -> float:
        loaded = core()
        decorator = getattr(loaded, "streaming_action", None)
        if decorator is None:
            from burr.core.action import streaming_action as decorator

        @decorator(reads=["count"], writes=[])
        def pieces(state: Any) -> Iterator[Any]:
            for number in range(state["count"]):
                yield {"number": number}, None
            yield {}, state

        @decorator(reads=["count"], writes=[])
        async def pieces_async(state: Any) -> AsyncIterator[Any]:
            for number in range(state["count"]):
                yield {"number": number}, None
            yield {}, state

        def application(count: int) -> Any:
            made = pieces if colour == "blocking" else pieces_async
            builder = loaded.ApplicationBuilder().with_actions(pieces=made).with_transitions()
            return builder.with_entrypoint("pieces").with_state(count=count).build()

        def work(count: int) -> None:
            _, stream = application(count).stream_result(halt_after=["pieces"])
            for _item in stream:
                pass

        async def read(count: int) -> None:
            _, stream = await application(count).astream_result(halt_after=["pieces"])
            async for _item in stream:
                pass

        return per_operation(work if colour == "blocking" else lambda count: asyncio.run(read(count)), PIECES)

    return measured


def case(colour: str) -> Case:
    return Case(
        f"one piece of a stream, {colour}",
        "us",
        {
            "bare generator": bare if colour == "blocking" else bare_async,
            "agentflow": streamed(agentflow_core, colour),
            "Burr": streamed(burr_core, colour),
        },
        "at most twice a bare generator",
        lambda median: median["agentflow"] <= 2 * median["bare generator"],
    )


CASES = [case("blocking"), case("async")]
