"""The email assistant: what it costs, what it says, and how its terminal behaves."""

from __future__ import annotations

import fcntl
import io
import json
import os
import pty
import select
import signal
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from agentflow import Application
from agentflow.cli import main
from agentflow.testing import ScriptedProvider
from tests.drivers import Driver

EXAMPLES = Path(__file__).parents[2] / "examples"
OFFLINE = {key: value for key, value in os.environ.items() if not key.endswith("_API_KEY")}
DINNER = "Subject: Dinner\n\nWould you like to join us for dinner?\nRobin"
ORDER = "From: Kim Example <kim@example.com>\nSubject: Order 17\n\nYour order is late. We are sorry.\nKim"


@pytest.fixture(autouse=True)
def examples_can_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))


@pytest.fixture
def llm() -> Iterator[ScriptedProvider]:
    from email_assistant import scripted

    with ScriptedProvider(scripted.answer) as provider:
        yield provider


def run_on(drive: Driver, app: Application, **inputs: Any) -> Application:
    from email_assistant.application import ASKS, DONE

    drive.run(app, halt_before=ASKS, halt_after=DONE, inputs=inputs)
    return app


def begun(drive: Driver, email: str, instructions: str) -> Application:
    from email_assistant.application import application

    return run_on(drive, application(), email_to_respond=email, response_instructions=instructions)


def page(app: Application) -> dict[str, Any]:
    """What a page would show: the whole state and the next step, asked for as often as a page is drawn."""
    for _ in range(5):
        upcoming = app.get_next_action() if app.state["final_draft"] is None else None
    return {**app.state.get_all(), "next_step": upcoming.name if upcoming else None}


def test_a_run_pays_for_its_model_actions_and_decisions_and_for_nothing_else(
    drive: Driver, llm: ScriptedProvider
) -> None:
    app = begun(drive, DINNER, "Accept")
    assert "clarify_instructions" == page(app)["next_step"]
    assert 2 == llm.calls, "one decision, one list of questions"
    questions = page(app)["questions"]

    run_on(drive, app, clarification_inputs=["Yes, gladly"] * len(questions))
    assert "process_feedback" == page(app)["next_step"]
    assert 3 == llm.calls, "one draft more"

    run_on(drive, app, feedback="Make it shorter")
    assert "process_feedback" == page(app)["next_step"]
    assert 5 == llm.calls, "one decision and one draft more"

    run_on(drive, app, feedback="")
    assert page(app)["final_draft"] == page(app)["drafts"][-1]
    assert 5 == llm.calls, "nothing said is no question for a model"


def test_feedback_may_say_in_words_that_it_is_fine(drive: Driver, llm: ScriptedProvider) -> None:
    app = begun(drive, ORDER, "Thank them, because it arrived this morning")
    assert ("process_feedback", None) == (page(app)["next_step"], page(app)["questions"])
    run_on(drive, app, feedback="Perfect, thank you!")
    assert app.state["final_draft"] is not None
    assert ["formulate_draft", "final_result"] == [
        decision.target for decision in app.decisions if decision.decided_by.startswith("LLMDecider")
    ]


def test_several_rounds_of_feedback_each_give_another_draft(drive: Driver, llm: ScriptedProvider) -> None:
    app = begun(drive, ORDER, "Say that it arrived on Monday")
    for said in ("Make it shorter", "More formal, please", "Mention that the box was open"):
        run_on(drive, app, feedback=said)
    run_on(drive, app, feedback="")
    drafts = app.state["drafts"]
    assert 4 == len(drafts) == len(set(drafts))
    assert "The box was open." in drafts[-1]
    assert ["Make it shorter", "More formal, please", "Mention that the box was open"] == app.state["feedback_history"]


def test_different_emails_give_different_answers(drive: Driver, llm: ScriptedProvider) -> None:
    drafts = [begun(drive, email, "Confirm it for Monday").state["drafts"][0] for email in (DINNER, ORDER)]
    assert drafts[0] != drafts[1]
    assert ["Dear Robin,", "Dear Kim,"] == [draft.splitlines()[0] for draft in drafts]


def test_the_draft_is_streamed(llm: ScriptedProvider) -> None:
    from email_assistant.application import ASKS, application

    app = application()
    pieces = [
        item["delta"]
        for action, items in app.stream_iterate(
            halt_before=ASKS, inputs={"email_to_respond": ORDER, "response_instructions": "Thank them for Monday"}
        )
        for item in items
    ]
    assert len(pieces) > 5
    assert app.state["drafts"] == ["".join(pieces)]


def program(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "agentflow.cli", "demo", "email-assistant", *arguments]


def _own_the_terminal() -> None:
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # so that Ctrl-C is a signal to the program
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # which it is not for what a shell has put in the background


class Terminal:
    """The program at a terminal, driven by what it shows."""

    def __init__(self) -> None:
        self._master, slave = pty.openpty()
        self.process = subprocess.Popen(
            program(), env=OFFLINE, stdin=slave, stdout=slave, stderr=slave, preexec_fn=_own_the_terminal
        )
        os.close(slave)
        self.shown = ""

    def until(self, text: str, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while text not in self.shown:
            ready, _, _ = select.select([self._master], [], [], max(0, deadline - time.monotonic()))
            assert ready, f"{text!r} was not shown; shown was:\n{self.shown}"
            chunk = self._read()
            assert chunk, f"it ended before {text!r} was shown; shown was:\n{self.shown}"
            self.shown += chunk

    def type(self, text: str) -> None:
        self.shown = ""
        os.write(self._master, text.encode())

    def ended(self, pressing: str = "") -> int:
        """Its exit status. `pressing` is pressed again every second: a program may not be reading yet when it comes."""
        while True:
            ready, _, _ = select.select([self._master], [], [], 1 if pressing else 60)
            if not ready:
                assert pressing, f"it did not end; shown was:\n{self.shown}"
                os.write(self._master, pressing.encode())
            elif chunk := self._read():
                self.shown += chunk
            else:
                break
        os.close(self._master)
        return self.process.wait(60)

    def _read(self) -> str:
        try:
            return os.read(self._master, 65536).decode(errors="replace")
        except OSError:  # the program has gone
            return ""


@pytest.mark.slow
def test_a_person_at_a_terminal_talks_to_it() -> None:
    terminal = Terminal()
    terminal.until("Paste the email")
    terminal.type("Subject: Lunch\nShall we have lunch?\nSam\n\n\n")
    terminal.until("How shall I respond?")
    terminal.type("Accept\n")
    terminal.until("Shall we have lunch?")
    for _ in range(3):
        terminal.type("Friday\n")
        terminal.until("?")
    terminal.until("What shall I change?")
    assert "Dear Sam," in terminal.shown
    terminal.type("\n")
    assert 0 == terminal.ended()
    assert "final:" in terminal.shown


@pytest.mark.parametrize("key", ["\x03", "\x04"], ids=["Ctrl-C", "Ctrl-D"])
def test_leaving_in_the_middle_is_polite(key: str) -> None:
    terminal = Terminal()
    terminal.until("Paste the email")
    terminal.type(key)
    assert 130 == terminal.ended(pressing=key)
    assert "Stopped; nothing was sent." in terminal.shown
    assert "Traceback" not in terminal.shown


class LocalServer(BaseHTTPRequestHandler):
    """An OpenAI-style server of one's own, as small as it can be: it knows no schema and names no price."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        text = json.dumps({"next_action": "formulate_draft", "reason": "clear", "confidence": 1.0})
        if "response_format" not in asked:
            text = "A draft from my own server."
        head = {"id": "x", "created": 1, "model": asked["model"]}
        if asked.get("stream"):
            chunks = [{"content": text}, {}]
            lines = [
                {
                    **head,
                    "object": "chat.completion.chunk",
                    "choices": [{"index": 0, "delta": delta, "finish_reason": end}],
                }
                for delta, end in zip(chunks, (None, "stop"), strict=True)
            ]
            self._send(
                "text/event-stream", "".join(f"data: {json.dumps(line)}\n\n" for line in lines) + "data: [DONE]\n\n"
            )
            return
        message = {"role": "assistant", "content": text}
        choice = {"index": 0, "finish_reason": "stop", "message": message}
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        self._send(
            "application/json", json.dumps({**head, "object": "chat.completion", "choices": [choice], "usage": usage})
        )

    def _send(self, kind: str, text: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[list[str]]:
    """The arguments that name a server of one's own."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield ["--model", "openai/tiny", "--api-base", f"http://127.0.0.1:{server.server_port}/v1"]
        server.shutdown()
        thread.join()


@pytest.fixture
def no_key_and_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for key in [key for key in os.environ if key.endswith("_API_KEY")]:
        monkeypatch.delenv(key)
    monkeypatch.setattr(sys, "stdin", io.StringIO())


def test_without_a_terminal_a_scripted_person_takes_part(
    no_key_and_no_terminal: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert 0 == main(["demo", "email-assistant"])
    shown, told = capsys.readouterr()
    assert "" == told
    assert "No key is set: the provider is scripted, nothing leaves this machine." == shown.splitlines()[0]
    assert "-> determine_clarifications (LLMDecider(gpt-4o-mini)" in shown
    assert "final:" in shown


def test_a_server_of_ones_own_is_asked_for_everything(
    no_key_and_no_terminal: None, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(LocalServer) as arguments:
        assert 0 == main(["demo", "email-assistant", *arguments])
    shown = capsys.readouterr().out
    assert "Model: openai/tiny" == shown.splitlines()[0]
    assert "A draft from my own server." in shown


class RefusingServer(LocalServer):
    """A server that takes no key."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(401)
        self.send_header("Content-Length", "0")
        self.end_headers()


def test_a_provider_that_fails_is_one_readable_sentence(
    no_key_and_no_terminal: None, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(RefusingServer) as arguments:
        assert 1 == main(["demo", "email-assistant", *arguments])
    told = capsys.readouterr().err.strip()
    assert told.startswith("That did not work: ")
    assert "Traceback" not in told
