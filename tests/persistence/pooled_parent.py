"""A parent whose children run in other processes; run as a program, `pooled_parent.py DATABASE LOG`, to be killed.

What must not live here: a test.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from agentflow import ApplicationBuilder, GraphBuilder, State, action
from agentflow.parallel import MapStates, RunnableGraph
from agentflow.persistence import Persister, SQLitePersister


@action(reads=["number", "log"], writes=["square"])
def square(state: State) -> State:
    """Square a number, and note it outside."""
    with open(state["log"], "a", encoding="utf-8") as file:
        file.write(f"{state['number']}\n")
    return state.update(square=state["number"] ** 2)


@action(reads=["square", "log"], writes=["root", "log"])
def root(state: State) -> State:
    """Undo that."""
    return state.update(root=int(state["square"] ** 0.5)).wipe(delete=["log"])


#: It does not end where a map halts it, but where there is nowhere to go.
BOTH = GraphBuilder().with_actions(square, root).with_transitions(("square", "root")).build()


class Squares(MapStates):
    """Every number squared, elsewhere."""

    reads = ["numbers", "log"]
    writes = ["squares", "roots"]

    def __init__(self, pool: ProcessPoolExecutor, **options: Any) -> None:
        super().__init__(max_concurrency=1, **options)
        self.pool = pool

    def executor(self) -> Any:
        return self.pool

    def action(self) -> Any:
        return RunnableGraph(BOTH, "square")

    def states(self, state: State) -> Iterator[State]:
        for number in state["numbers"]:
            yield State({"number": number, "log": state["log"]})

    def reduce(self, state: State, states: Any) -> State:
        found = list(states)
        return state.update(squares=[each["square"] for each in found], roots=[each["root"] for each in found])


def parent(persister: Persister, log: Path, squares: Squares) -> ApplicationBuilder:
    """The application `parent`, which has one step to perform."""
    made = ApplicationBuilder().with_actions(squares=squares).with_transitions(("squares", "squares"))
    made.with_state_persister(persister).with_identifiers(app_id="parent", partition_key="p")
    begun = {"numbers": [1, 2, 3, 4], "log": str(log)}
    return made.initialize_from(persister, default_state=begun, default_entrypoint="squares")


if __name__ == "__main__":
    database, log = sys.argv[1:]
    with (
        SQLitePersister(database) as store,
        ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as made,
    ):
        parent(store, Path(log), Squares(made)).build().step()
