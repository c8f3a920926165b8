"""The email assistant in a terminal: for a person at a keyboard, or for a scripted one when nobody is there."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import Any, Protocol

sys.path.insert(0, str(Path(__file__).parents[1]))  # the examples, however this one was started

from email_assistant import scripted
from email_assistant.application import ASKS, DONE, Model, application

from agentflow import Application, Decision
from agentflow.errors import AgentflowError

OFFLINE = "No key is set: the provider is scripted, nothing leaves this machine."
EMAIL = """From: Robin Sample <robin@example.com>
Subject: Dinner next month

Hello,
some of us from the old team want to meet for dinner next month. Would you like to join us?
It would be lovely to see you.
Robin"""


class Person(Protocol):
    """Who the assistant talks to."""

    def email(self) -> str: ...
    def instructions(self) -> str: ...
    def answer(self, question: str) -> str: ...
    def feedback(self) -> str: ...


class AtTheKeyboard:
    """Somebody who types."""

    def email(self) -> str:
        print("Paste the email to answer, then an empty line twice:")
        lines: list[str] = []
        while lines[-2:] != ["", ""]:
            lines.append(input())
        return "\n".join(lines).strip() or EMAIL

    def instructions(self) -> str:
        return input(f"{bold('How shall I respond?')} ").strip() or "Accept"

    def answer(self, question: str) -> str:
        return input(f"  {question} ")

    def feedback(self) -> str:
        return input(f"{bold('What shall I change?')} (nothing: it is fine) ")


class Scripted:
    """Somebody who is not there; everything they say is shown."""

    def __init__(self) -> None:
        self._feedback = iter(["Make it shorter, and mention that I look forward to it.", "Perfect, thank you!"])

    def email(self) -> str:
        return self._said("(an email comes in)\n" + indented(EMAIL), EMAIL)

    def instructions(self) -> str:
        return self._said("Accept the invitation")

    def answer(self, question: str) -> str:
        known = {"day": "Any Friday would do", "answer to": "Yes, gladly"}
        said = next((said for word, said in known.items() if word in question), "We worked together for years")
        return self._said(said, before=f"  {question} ")

    def feedback(self) -> str:
        return self._said(next(self._feedback, ""))

    def _said(self, shown: str, said: str | None = None, before: str = "") -> str:
        print(f"{before}{bold('you:')} {shown}")
        return shown if said is None else said


class ShowDecisions:
    """A hook that shows what was decided, by whom and why, where there was something to choose."""

    def post_decide(self, *, decision: Decision) -> None:
        if len(decision.targets) > 1:
            spent = f", {decision.tokens} tokens" if decision.tokens else ""
            why = f": {decision.reason}" if decision.reason else ""
            print(dim(f"  -> {decision.target} ({decision.decided_by}{spent}){why}"))


def converse(app: Application, person: Person) -> None:
    """One whole conversation."""
    inputs: dict[str, Any] = {"email_to_respond": person.email(), "response_instructions": person.instructions()}
    while app.state["final_draft"] is None:
        for action, items in app.stream_iterate(halt_before=ASKS, halt_after=DONE, inputs=inputs):
            for number, item in enumerate(items):
                print(f"\n{bold('draft:')}" if number == 0 else "", end="\n" if number == 0 else "")
                print(item["delta"], end="", flush=True)
            if action.name == "formulate_draft":
                print("\n")
        waiting = app.get_next_action() if app.state["final_draft"] is None else None
        if waiting is not None and waiting.name == "clarify_instructions":
            print("Before I write, tell me:")
            inputs = {"clarification_inputs": [person.answer(question) for question in app.state["questions"]]}
        elif waiting is not None:
            inputs = {"feedback": person.feedback()}
    usage = app.usage
    price = "" if usage.cost is None else f", ${usage.cost:.5f}"
    print(f"\n{bold('final:')}\n{app.state['final_draft']}\n")
    print(dim(f"{usage.attempts} calls to {usage.model}, {usage.total_tokens} tokens{price}"))


def main(model: str | None = None, api_base: str | None = None) -> int:
    """Run the program: with a model when a key or an address is there, with a scripted provider otherwise."""
    from examples_common import provider

    chosen, lent = provider(model, api_base, scripted.answer)
    person = AtTheKeyboard() if sys.stdin.isatty() else Scripted()
    try:
        with lent if lent is not None else contextlib.nullcontext():
            print(f"Model: {chosen}\n" if lent is None else f"{OFFLINE}\n")
            converse(application(Model(chosen, api_base), hooks=(ShowDecisions(),)), person)
    except (KeyboardInterrupt, EOFError):
        print("\nStopped; nothing was sent.")
        return 130
    except AgentflowError as error:
        print(f"\nThat did not work: {error}", file=sys.stderr)
        return 1
    return 0


def bold(text: str) -> str:
    return f"\033[1m{text}\033[0m" if sys.stdout.isatty() else text


def dim(text: str) -> str:
    return f"\033[2m{text}\033[0m" if sys.stdout.isatty() else text


def indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())


if __name__ == "__main__":
    sys.exit(main())
