"""An application for tests with a server process: it waits for a file to be there between its words."""

from __future__ import annotations

import os
import time
from pathlib import Path

from agentflow import ApplicationBuilder, GraphBuilder, State, action, streaming_action

#: The story is told to its end once there is a file here.
GO_ON = Path(os.environ.get("SLOW_GO_ON", "/nonexistent"))


@action(reads=["said"], writes=["said"])
def say(state: State, what: str) -> State:
    """Take what is said."""
    return state.append(said=what)


@streaming_action(reads=["said"], writes=["told"], blocking=True)
def tell(state: State):
    """Tell a story about it."""
    yield {"delta": "Once"}, None
    for _ in range(2_000):
        if GO_ON.exists():
            break
        time.sleep(0.01)
        yield {"delta": "."}, None
    yield {}, state.append(told=f"a story about {state['said'][-1]}")


GRAPH = GraphBuilder().with_actions(say, tell).with_transitions(("say", "tell"), ("tell", "say")).build()


def story(app_id: str, partition_key: str | None) -> ApplicationBuilder:
    """What `agentflow serve` is given."""
    return ApplicationBuilder().with_graph(GRAPH).with_entrypoint("say").with_state(said=[], told=[])
