"""A race of three models over real connections: the winner ends it, and the losers' connections are closed at once."""

from __future__ import annotations

import json
import queue
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import Any

from agentflow import Action, ApplicationBuilder, State, action
from agentflow.llm import acomplete
from agentflow.parallel import MapActions, Outcome, first

FASTEST = 1.0
PATIENCE = 20.0
#: A busy machine may hold up a race or two; one that waited for the losers would be held up each time.
TRIES = 5


class Provider(ThreadingTCPServer):
    """Answers the model "fast" after `FASTEST` seconds, and any other never: it waits for them to go away."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.asked: queue.Queue[str] = queue.Queue()
        self.closed: queue.Queue[str] = queue.Queue()

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    @contextmanager
    def serving(self) -> Iterator[Provider]:
        thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.shutdown()
            self.server_close()
            thread.join()


class _Connection(StreamRequestHandler):
    server: Provider

    def handle(self) -> None:
        self.connection.settimeout(PATIENCE)
        length = 0
        while (line := self.rfile.readline().strip().lower()) != b"":
            if line.startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
        model = json.loads(self.rfile.read(length))["model"]
        self.server.asked.put(model)
        if model == "fast":
            threading.Event().wait(FASTEST)
            self._answer(model)
        elif self.rfile.read(1) == b"":  # comes back when the other side closes, else it raises after PATIENCE
            self.server.closed.put(model)

    def _answer(self, model: str) -> None:
        message = {"role": "assistant", "content": f"{model} answers"}
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        choices = [{"index": 0, "finish_reason": "stop", "message": message}]
        body = {
            "id": "c",
            "object": "chat.completion",
            "created": 1,
            "model": model,
            "choices": choices,
            "usage": usage,
        }
        text = json.dumps(body).encode()
        head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(text)}\r\n\r\n"
        self.wfile.write(head.encode() + text)


@action(reads=[], writes=["answer"])
async def ask(state: State, model: str, base: str) -> State:
    done = await acomplete(f"openai/{model}", "Who is the fastest?", api_base=base)
    return state.update(answer=done.text)


class Race(MapActions):
    reads: list[str] = []
    writes = ["answer", "cancelled"]

    def __init__(self, models: Iterable[str], base: str) -> None:
        super().__init__(stop=first, on_error="collect")
        self.models, self.base = tuple(models), base

    def actions(self) -> Iterator[Action]:
        for model in self.models:
            yield ask.bind(model=model, base=self.base).with_name(model)

    def reduce(self, state: State, outcomes: Iterable[Outcome]) -> State:
        winner = next(each for each in outcomes if each.state is not None)
        assert winner.state is not None
        lost = [each.cancelled for each in outcomes if each is not winner]
        return state.update(answer=winner.state["answer"], cancelled=lost)


async def raced(models: Iterable[str], base: str) -> tuple[State[Any], float]:
    """The state at the end, and the seconds it took."""
    app = ApplicationBuilder().with_actions(race=Race(models, base)).with_entrypoint("race").build()
    started = time.perf_counter()
    _, _, state = await app.arun()
    return state, time.perf_counter() - started


async def test_the_fastest_model_ends_the_race_and_the_others_connections() -> None:
    with Provider().serving() as server:
        await raced(["fast"], server.base)  # loads litellm as well
        _, alone = await raced(["fast"], server.base)
        assert ["fast", "fast"] == [server.asked.get(timeout=PATIENCE) for _ in range(2)]
        for _ in range(TRIES):
            state, took = await raced(["slow", "fast", "slower"], server.base)
            assert ["fast", "slow", "slower"] == sorted(server.asked.get(timeout=PATIENCE) for _ in range(3))
            # this holds the event loop: what is not closed by now is closed by nobody
            assert ["slow", "slower"] == sorted(server.closed.get(timeout=PATIENCE) for _ in range(2))
            assert ("fast answers", [True, True]) == (state["answer"], state["cancelled"])
            if took <= 1.1 * alone:
                break
    assert took <= 1.1 * alone
