"""What it costs to save a run: beside a hand-written loop of the same durability, Burr and LangGraph, in SQLite.

Wall-clock time and not CPU time, because waiting for the disk is most of it; so the median of all steps is taken.
"""

from __future__ import annotations

import json
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.case import Case

MESSAGE = "x" * 500


def folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="agentflow-bench-"))


def median_of(step: Callable[[], object], count: int) -> float:
    """Microseconds of the median step."""
    seconds = []
    for _ in range(count):
        began = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds) * 1e6


def database(durable: bool) -> sqlite3.Connection:
    connection = sqlite3.connect(folder() / "hand.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
    connection.execute("CREATE TABLE app (id TEXT PRIMARY KEY, head INTEGER)")
    connection.execute("CREATE TABLE step (app TEXT, seq INTEGER, action TEXT, delta TEXT, PRIMARY KEY (app, seq))")
    connection.execute("INSERT INTO app VALUES ('chat', -1)")
    return connection


def by_hand(count: int = 400, durable: bool = True) -> Callable[[], float]:
    def measured() -> float:
        connection, history = database(durable), []

        def step() -> None:
            number = len(history)
            history.append(MESSAGE)
            delta = json.dumps({"append": {"history": [MESSAGE]}})
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("UPDATE app SET head = ? WHERE id = 'chat' AND head = ?", (number, number - 1))
            connection.execute("INSERT INTO step VALUES ('chat', ?, 'say', ?)", (number, delta))
            connection.execute("COMMIT")

        return median_of(step, count)

    return measured


def web_turn_by_hand(turns: int, count: int = 60) -> Callable[[], float]:
    """Read every message, add one, commit it: nothing else."""

    def measured() -> float:
        connection = database(durable=True)
        row = json.dumps({"append": {"history": [MESSAGE]}})
        connection.execute("UPDATE app SET head = ?", (turns - 1,))
        connection.executemany(
            "INSERT INTO step VALUES ('chat', ?, 'say', ?)", [(number, row) for number in range(turns)]
        )

        def turn() -> None:
            head = connection.execute("SELECT head FROM app WHERE id = 'chat'").fetchone()[0]
            history: list[str] = []
            for (delta,) in connection.execute("SELECT delta FROM step WHERE app = 'chat' ORDER BY seq"):
                history += json.loads(delta)["append"]["history"]
            history.append(MESSAGE)
            added = json.dumps({"append": {"history": history[-1:]}})
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("UPDATE app SET head = ? WHERE id = 'chat' AND head = ?", (head + 1, head))
            connection.execute("INSERT INTO step VALUES ('chat', ?, 'say', ?)", (head + 1, added))
            connection.execute("COMMIT")

        return median_of(turn, count)

    return measured


def chat_graph(message: str = MESSAGE) -> Any:
    """What a program that serves chats makes once."""
    from agentflow import GraphBuilder, State, action

    @action(reads=["history"], writes=["history"])
    def say(state: State) -> State:
        return state.append(history=message)

    return GraphBuilder().with_actions(say).with_transitions(("say", "say")).build()


def chat(persister: Any, graph: Any, history: list[str] | None = None) -> Any:
    from agentflow import ApplicationBuilder

    made = ApplicationBuilder().with_graph(graph).with_identifiers(app_id="chat").with_state_persister(persister)
    return made.initialize_from(persister, default_state={"history": history or []}, default_entrypoint="say").build()


def ours(count: int = 400, verb: str = "iterate") -> Callable[[], float]:
    def measured() -> float:
        from agentflow.persistence import SQLitePersister

        app = chat(SQLitePersister(folder() / "ours.db"), chat_graph())
        if verb == "step":
            return median_of(app.step, count)
        steps = app.iterate(halt_after=[])
        return median_of(lambda: next(steps), count)

    return measured


def burr_chat() -> tuple[Callable[[], Any], Any]:
    """What makes a builder of Burr's, and its persister."""
    from burr.core import ApplicationBuilder, GraphBuilder, action
    from burr.core.persistence import SQLitePersister

    @action(reads=["history"], writes=["history"])
    def say(state: Any) -> Any:
        return state.append(history=MESSAGE)

    persister = SQLitePersister(str(folder() / "burr.db"), "chat")
    persister.initialize()
    graph = GraphBuilder().with_actions(say).with_transitions(("say", "say")).build()
    return lambda: ApplicationBuilder().with_graph(graph), persister


def burr(turns: int, count: int = 30) -> Callable[[], float]:
    def measured() -> float:
        make, persister = burr_chat()
        app = (
            make().with_entrypoint("say").with_state(history=[MESSAGE] * turns).with_state_persister(persister).build()
        )
        return median_of(app.step, count)

    return measured


def langgraph(turns: int, count: int = 30) -> Callable[[], float]:
    """One turn of a thread that is loaded and saved each time: its checkpointer works in no other way."""

    def measured() -> float:
        import operator
        from typing import Annotated, TypedDict

        from langgraph.checkpoint.sqlite import SqliteSaver
        from langgraph.graph import END, START, StateGraph

        drawn = StateGraph(TypedDict("Chat", {"history": Annotated[list[str], operator.add]}))
        drawn.add_node("say", lambda state: {"history": [MESSAGE]})
        drawn.add_edge(START, "say")
        drawn.add_edge("say", END)
        connection = sqlite3.connect(folder() / "langgraph.db", check_same_thread=False)
        connection.execute("PRAGMA synchronous = FULL")
        graph = drawn.compile(checkpointer=SqliteSaver(connection))
        thread: Any = {"configurable": {"thread_id": "chat"}}
        graph.update_state(thread, {"history": [MESSAGE] * turns}, as_node="say")
        return median_of(lambda: graph.invoke({"history": []}, thread, durability="sync"), count)

    return measured


def web_turn(turns: int, count: int = 60) -> Callable[[], float]:
    """Load a chat of so many turns, perform one, save it: a web request."""

    def measured() -> float:
        from agentflow.persistence import SQLitePersister

        persister = SQLitePersister(folder() / "web.db")
        graph = chat_graph()
        steps = chat(persister, graph).iterate(halt_after=[])
        for _ in range(turns):
            next(steps)
        steps.close()
        return median_of(lambda: chat(persister, graph).step(), count)

    return measured


def burr_web_turn(turns: int, count: int = 20) -> Callable[[], float]:
    def measured() -> float:
        make, persister = burr_chat()

        def app() -> Any:
            made = make()
            made.initialize_from(
                persister,
                resume_at_next_action=True,
                default_state={"history": [MESSAGE] * turns},
                default_entrypoint="say",
            )
            return made.with_identifiers(app_id="chat").with_state_persister(persister).build()

        app().step()
        return median_of(lambda: app().step(), count)

    return measured


def stored(turns: int, message: str = MESSAGE) -> Callable[[], float]:
    """Kilobytes that a chat of so many turns takes."""

    def measured() -> float:
        from agentflow.persistence import SQLitePersister

        persister = SQLitePersister(folder() / "stored.db")
        steps = chat(persister, chat_graph(message)).iterate(halt_after=[])
        for _ in range(turns):
            next(steps)
        steps.close()
        persister.close()
        return persister.db_path.stat().st_size / 1024

    return measured


CASES = [
    Case(
        "a chat step saved to SQLite",
        "us",
        {
            "by hand": by_hand(),
            "in a run": ours(),
            "as a step": ours(verb="step"),
            "Burr at turn 1,000": burr(1_000),
            "LangGraph at turn 1,000": langgraph(1_000),
        },
        "1.5 x by hand, in a run",
        lambda median: median["in a run"] <= 1.5 * median["by hand"],
    ),
    Case(
        "a web turn: load, step, save",
        "us",
        {
            "at turn 100": web_turn(100),
            "at turn 1,000": web_turn(1_000),
            "at turn 5,000": web_turn(5_000),
            "by hand at turn 100": web_turn_by_hand(100),
            "by hand at turn 1,000": web_turn_by_hand(1_000),
            "Burr at turn 100": burr_web_turn(100),
            "Burr at turn 1,000": burr_web_turn(1_000),
            "LangGraph at turn 100": langgraph(100),
            "LangGraph at turn 1,000": langgraph(1_000),
        },
        "flat: at 5,000 at most 1.5 times at 100; at most 1.3 times by hand",
        lambda median: (
            median["at turn 5,000"] <= 1.5 * median["at turn 100"]
            and median["at turn 100"] <= 1.3 * median["by hand at turn 100"]
            and median["at turn 1,000"] <= 1.3 * median["by hand at turn 1,000"]
        ),
    ),
    Case(
        "a chat of 1,000 turns of 500 characters, stored",
        "KB",
        {"agentflow": stored(1_000)},
        "3 times what was written (1,465 KB)",
        lambda median: median["agentflow"] <= 1_465,
    ),
    Case(
        "a chat of 5,000 turns of 500 characters, stored",
        "KB",
        {"agentflow": stored(5_000)},
        "3 times what was written (7,324 KB)",
        lambda median: median["agentflow"] <= 7_324,
    ),
    Case(
        "a chat of 1,000 turns of 1,024 characters, stored",
        "KB",
        {"agentflow": stored(1_000, "x" * 1_024)},
        "at most 10 MB",
        lambda median: median["agentflow"] <= 10 * 1_024,
    ),
]
