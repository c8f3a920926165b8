"""A real HTTP server on loopback that misbehaves like a provider does.

It speaks OpenAI-style chat completions and embeddings and Anthropic messages. Each scenario is a base url of its own
(`/<scenario>/...`), says which fault comes how many times before the healthy answer, and counts its calls, so that one
server serves any number of tests at the same time. What must not live here: expectations.
"""

from __future__ import annotations

import itertools
import json
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

FOR_EVER = 10**9
STATUS_FAULTS = ("429", "500", "502", "503", "529", "408")
BODY_FAULTS = ("hang", "reset", "garbage", "truncated", "cut-body", "empty", "wrong-schema", "bad-utf8")
REPLY_FAULTS = ("prose-not-JSON", "unknown-choice")
TRANSIENT = STATUS_FAULTS + BODY_FAULTS + REPLY_FAULTS
PERMANENT = ("400", "401", "403", "404")
HEALTHY = '{"next_action": "draft", "reason": "the mail is new"}'
TEXTS = {
    "prose-not-JSON": "Sure! I would go for the draft.",
    "unknown-choice": '{"next_action": "fly", "reason": "why not"}',
    "wrong-fields": '{"choice": 1}',
    "length": '{"next_action": "dra',
    "no-text": "",
}


@dataclass
class Scenario:
    """What the server answers under one base url, and what it was asked."""

    fault: str
    times: int
    base: str
    text: str = HEALTHY
    delay: float = 0.0
    headers: dict[str, str] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    busy: int = 0
    most_busy: int = 0

    @property
    def calls(self) -> int:
        return len(self.bodies)

    def enter(self, body: dict[str, Any], key: str) -> bool:
        """Note a call; True when this one is to fail."""
        with self.lock:
            self.bodies.append(body)
            self.keys.append(key)
            self.busy += 1
            self.most_busy = max(self.busy, self.most_busy)
            return len(self.bodies) <= self.times

    def leave(self) -> None:
        with self.lock:
            self.busy -= 1


class _QuietServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_: object) -> None:
        """A client that went away is what many scenarios are about."""


class FaultyServer:
    """The server and its scenarios; use `serving()`."""

    def __init__(self) -> None:
        self.scenarios: dict[str, Scenario] = {}
        self.stopping = threading.Event()
        self._numbers = itertools.count(1)
        self._http = _QuietServer(("127.0.0.1", 0), _handler(self))

    def scenario(self, fault: str = "none", times: int = 0, **options: Any) -> Scenario:
        """A new base url that answers `times` times with `fault` and is healthy from then on."""
        name = f"s{next(self._numbers)}"
        port = self._http.server_address[1]
        self.scenarios[name] = Scenario(fault, times, f"http://127.0.0.1:{port}/{name}", **options)
        return self.scenarios[name]

    @contextmanager
    def serving(self) -> Iterator[FaultyServer]:
        thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.stopping.set()
            self._http.shutdown()
            self._http.server_close()
            thread.join()


def openai_body(text: str, model: str, finish: str = "stop") -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    choices = [{"index": 0, "finish_reason": finish, "message": message}]
    return {"id": "c1", "object": "chat.completion", "created": 1, "model": model,
            "choices": choices, "usage": usage}  # fmt: skip


def anthropic_body(text: str, model: str, finish: str = "stop") -> dict[str, Any]:
    reason = {"stop": "end_turn", "length": "max_tokens"}[finish]
    return {"id": "m1", "type": "message", "role": "assistant", "model": model,
            "content": [{"type": "text", "text": text}], "stop_reason": reason, "stop_sequence": None,
            "usage": {"input_tokens": 10, "output_tokens": 5}}  # fmt: skip


def embedding_body(inputs: list[str]) -> dict[str, Any]:
    data = [{"object": "embedding", "index": n, "embedding": [float(len(t)), 0.5]} for n, t in enumerate(inputs)]
    return {"object": "list", "model": "text-embedding-3-small", "data": data,
            "usage": {"prompt_tokens": 7, "total_tokens": 7}}  # fmt: skip


def openai_events(text: str, model: str) -> list[str]:
    shared = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": model}
    deltas = [{"role": "assistant", "content": ""}, *({"content": piece} for piece in text.split("|"))]
    chunks = [{**shared, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    chunks.append({**shared, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    chunks.append({**shared, "choices": [], "usage": usage})
    return [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks] + ["data: [DONE]\n\n"]


def anthropic_events(text: str, model: str) -> list[str]:
    start = {**anthropic_body("", model), "content": [], "stop_reason": None}
    events: list[dict[str, Any]] = [{"type": "message_start", "message": start}]
    events.append({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}})
    for piece in text.split("|"):
        delta = {"type": "text_delta", "text": piece}
        events.append({"type": "content_block_delta", "index": 0, "delta": delta})
    events.append({"type": "content_block_stop", "index": 0})
    end = {"stop_reason": "end_turn", "stop_sequence": None}
    events.append({"type": "message_delta", "delta": end, "usage": {"output_tokens": 5}})
    events.append({"type": "message_stop"})
    return [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events]


def _handler(server: FaultyServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # head and body leave in one packet, or every reply waits 40 ms for an acknowledgement

        def log_message(self, *args: object) -> None:
            """Keep the test output free of access lines."""

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers.get("content-length", 0)))
            scenario = server.scenarios[self.path.split("/")[1]]
            body = json.loads(raw)
            key = self.headers.get("authorization") or self.headers.get("x-api-key") or ""
            failing = scenario.enter(body, key)
            try:
                if scenario.delay:
                    server.stopping.wait(scenario.delay)
                self.answer(scenario, body, scenario.fault if failing else "none")
            except OSError:
                self.close_connection = True  # the client gave up first, which some scenarios are about
            finally:
                scenario.leave()

        def answer(self, scenario: Scenario, body: dict[str, Any], fault: str) -> None:
            if fault.isdigit():
                said = f"the server says {fault} to {scenario.keys[-1]}"
                error = {"error": {"type": "fault", "message": said}}
                self.send(int(fault), json.dumps(error).encode(), scenario.headers)
            elif body.get("stream") and fault in ("none", "cut-stream", "drip"):
                self.send_stream(scenario, fault, body["model"])
            else:
                self.send_whole(scenario, body, fault)

        def send_whole(self, scenario: Scenario, body: dict[str, Any], fault: str) -> None:
            text = TEXTS.get(fault, scenario.text)
            if "input" in body:
                payload = embedding_body(body["input"])
            else:
                shape = anthropic_body if "/v1/messages" in self.path else openai_body
                payload = shape(text, body["model"], "length" if fault == "length" else "stop")
            if body.get("tools") and "choices" in payload:
                function = {"name": body["tools"][0]["function"]["name"], "arguments": '{"city": "Bern"}'}
                call = {"id": "call1", "type": "function", "function": function}
                payload["choices"][0]["message"] = {"role": "assistant", "content": None, "tool_calls": [call]}
                payload["choices"][0]["finish_reason"] = "tool_calls"
            good = json.dumps(payload).encode()
            bodies = {
                "garbage": b"<html>bad gateway</html>",
                "truncated": good[: len(good) // 2],
                "empty": b"",
                "wrong-schema": b'{"unexpected": true}',
                "bad-utf8": good.replace(b"c1", b"\xff\xfe").replace(b"m1", b"\xff\xfe"),
            }
            if fault == "hang":
                server.stopping.wait(20)
            elif fault == "reset":
                linger = struct.pack("ii", 1, 0)
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                self.connection.close()
                self.close_connection = True
            elif fault == "cut-body":
                self.send(200, good[: len(good) // 2], {"content-length": str(len(good))})
                self.close_connection = True
            elif fault == "drip":
                self.drip(good)
            else:
                self.send(200, bodies.get(fault, good), {})

        def send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in {
                "content-type": "application/json",
                "content-length": str(len(body)),
                **headers,
            }.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)
            self.wfile.flush()

        def drip(self, body: bytes) -> None:
            """One byte at a time: no single read ever times out."""
            self.send(200, b"", {"content-length": str(len(body))})
            for number in range(len(body)):
                self.wfile.write(body[number : number + 1])
                self.wfile.flush()
                if server.stopping.wait(0.05):
                    return

        def send_stream(self, scenario: Scenario, fault: str, model: str) -> None:
            events = (anthropic_events if "/v1/messages" in self.path else openai_events)(scenario.text, model)
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            for number, event in enumerate(events):
                if fault == "cut-stream" and number == len(events) // 2:
                    self.close_connection = True
                    return
                if fault == "drip" and server.stopping.wait(0.15):
                    return
                data = event.encode()
                self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
                self.wfile.flush()
            self.wfile.write(b"0\r\n\r\n")

    return Handler
