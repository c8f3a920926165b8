"""The applications that are tortured: a counter whose every effect is noted outside, and one that decides.

What must not live here: the torture.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

from agentflow import ApplicationBuilder, GraphBuilder, Select, State, action
from agentflow.parallel import MapStates, RunnableGraph
from agentflow.persistence import Persister
from agentflow.testing.torture.processes import note


def counter(persister: Persister, app_id: str, log: Path, pause: float = 0.001, **terms: Any) -> ApplicationBuilder:
    """An application that counts for ever, and notes `effect N` in `log` for each count."""

    @action(reads=["n", "log"], writes=["n", "log"])
    def count(state: State[Any]) -> State[Any]:
        note(log, f"effect {state['n']}")
        time.sleep(pause)
        return state.append(log=f"entry {state['n']}").update(n=state["n"] + 1)

    made = ApplicationBuilder().with_actions(count).with_transitions(("count", "count"))
    return _begun(made, persister, app_id, "count", {"n": 0, "log": []}, terms)


def marked(persister: Persister, app_id: str, log: Path, **terms: Any) -> ApplicationBuilder:
    """An application whose action notes `done N` as the last thing it does."""

    @action(reads=["n"], writes=["n"])
    def count(state: State[Any]) -> State[Any]:
        time.sleep(0.002)
        note(log, f"done {state['n']}")
        return state.update(n=state["n"] + 1)

    made = ApplicationBuilder().with_actions(count).with_transitions(("count", "count"))
    return _begun(made, persister, app_id, "count", {"n": 0}, terms)


def amarked(persister: Persister, app_id: str, log: Path, **terms: Any) -> ApplicationBuilder:
    """The same, for an event loop."""

    @action(reads=["n"], writes=["n"])
    async def count(state: State[Any]) -> State[Any]:
        await asyncio.sleep(0.002)
        note(log, f"done {state['n']}")
        return state.update(n=state["n"] + 1)

    made = ApplicationBuilder().with_actions(count).with_transitions(("count", "count"))
    return _begun(made, persister, app_id, "count", {"n": 0}, terms)


def decider(persister: Persister, app_id: str, log: Path, **terms: Any) -> ApplicationBuilder:
    """An application in which every other step is chosen by code that notes `asked N` in `log`, as a paid choice."""

    @action(reads=["n"], writes=["n"])
    def left(state: State[Any]) -> State[Any]:
        return state.update(n=state["n"] + 1)

    @action(reads=["n"], writes=["n"])
    def right(state: State[Any]) -> State[Any]:
        return state.update(n=state["n"] + 1)

    def pick(state: State[Any]) -> str:
        note(log, f"asked {state['n']}")
        return "left" if state["n"] % 3 else "right"

    chosen = Select(pick, reads=["n"])
    made = (
        ApplicationBuilder().with_actions(left, right).with_transitions((["left", "right"], ["left", "right"], chosen))
    )
    return _begun(made, persister, app_id, "left", {"n": 0}, terms)


def once(persister: Persister, app_id: str, log: Path, **terms: Any) -> ApplicationBuilder:
    """An application whose every step may run once only, and notes `effect N`; `verify` reads what was noted."""

    def verify(state: State[Any]) -> State[Any] | None:
        done = log.exists() and f"effect {state['n']}\n" in log.read_text(encoding="utf-8")
        return state.update(n=state["n"] + 1) if done else None

    @action(reads=["n"], writes=["n"], kind="at_most_once", verify=verify)
    def send(state: State[Any]) -> State[Any]:
        note(log, f"effect {state['n']}")
        return state.update(n=state["n"] + 1)

    made = ApplicationBuilder().with_actions(send).with_transitions(("send", "send"))
    return _begun(made, persister, app_id, "send", {"n": 0}, terms)


def mapper(persister: Persister, app_id: str, log: Path, width: int = 3, **terms: Any) -> ApplicationBuilder:
    """An application whose every step maps over `width` children of two steps, each noted as `effect N.child.step`."""

    @action(reads=["n", "child"], writes=["half"])
    def first(state: State[Any]) -> State[Any]:
        note(log, f"effect {state['n']}.{state['child']}.first")
        return state.update(half=state["child"])

    @action(reads=["n", "child", "half"], writes=["whole"])
    def second(state: State[Any]) -> State[Any]:
        note(log, f"effect {state['n']}.{state['child']}.second")
        return state.update(whole=state["half"] * 2)

    inner = GraphBuilder().with_actions(first, second).with_transitions(("first", "second")).build()

    class Each(MapStates):
        """Maps over the children."""

        reads = ("n",)
        writes = ("n", "sum")

        def action(self) -> Any:
            return RunnableGraph(inner, "first", ["second"])

        def states(self, state: State[Any]) -> Any:
            for child in range(width):
                yield State({"n": state["n"], "child": child})

        def reduce(self, state: State[Any], states: Any) -> State[Any]:
            return state.update(n=state["n"] + 1, sum=sum(each["whole"] for each in states))

    made = ApplicationBuilder().with_actions(each=Each(max_concurrency=1)).with_transitions(("each", "each"))
    return _begun(made, persister, app_id, "each", {"n": 0, "sum": 0}, terms)


def _begun(
    made: ApplicationBuilder,
    persister: Persister,
    app_id: str,
    entrypoint: str,
    state: dict[str, Any],
    terms: dict[str, Any],
) -> ApplicationBuilder:
    made.with_state_persister(persister, **terms).with_identifiers(app_id=app_id)
    return made.initialize_from(persister, default_state=state, default_entrypoint=entrypoint)
