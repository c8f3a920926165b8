"""pydantic-graph reads the types of its steps where they are defined, so they stand in a module of their own."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from pydantic_graph import GraphBuilder, StepContext, TypeExpression


@dataclass
class Counting:
    count: int
    limit: int


g = GraphBuilder(state_type=Counting, output_type=str)


@g.step
async def count(ctx: StepContext[Counting, None, None]) -> Literal["again", "done"]:
    ctx.state.count += 1
    return "again" if ctx.state.count < ctx.state.limit else "done"


g.add(
    g.edge_from(g.start_node).to(count),
    g.edge_from(count).to(
        g.decision()
        .branch(g.match(TypeExpression[Literal["again"]]).to(count))
        .branch(g.match(TypeExpression[Literal["done"]]).to(g.end_node))
    ),
)
GRAPH = g.build()


def counting(colour: str) -> Callable[[int], None]:
    def work(steps: int) -> None:
        asyncio.run(GRAPH.run(state=Counting(0, steps)))

    return work
