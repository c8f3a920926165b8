"""The chat agent with a scripted provider when there is no key, and something to say when nobody is at the keyboard."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # the examples, however this one was started

from chat_agent.chat import application
from examples_common import provider

from agentflow import Application
from agentflow.errors import AgentflowError
from agentflow.testing import Request

OFFLINE = "No key is set: the provider is scripted, nothing leaves this machine."
QUERIES = ["Why do cats purr?", "Draw a cat on a chair", "Do it again"]
DRAWING = ("draw", "picture", "image", "sketch", "paint", "illustrat", "logo", "photo", "icon", "diagram")
SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 40">'
    "<title>{}</title><circle cx='20' cy='22' r='12'/><path d='M10 14l2-8 6 5zM30 14l-2-8-6 5z'/></svg>"
)


def scripted(request: Request) -> str | dict[str, object]:
    """What stands in for a model: simple rules over what was said."""
    said = request.prompt
    if request.choices:
        words = said.lower()
        drawing = any(word in words for word in DRAWING)
        target = "generate_image" if drawing else "ask_for_details" if len(words.split()) < 4 else "generate_text"
        reasons = {"generate_image": "a picture is asked for", "ask_for_details": "it is not clear what is meant"}
        return {"next_action": target, "reason": reasons.get(target, "words will do"), "confidence": 0.9}
    if said.startswith("Reply with one SVG"):
        return SVG.format(said.partition(": ")[2])
    if "Ask one short question" in request.text:
        return f'What do you mean by "{said}"?'
    return f"You asked: {said} A model would explain it here; set a key to hear one."


def chat(app: Application) -> None:
    """Answer until an empty line, or a few queries when nobody is there."""
    there = sys.stdin.isatty()
    for query in iter(lambda: input("\nyou: ").strip(), "") if there else QUERIES:
        if not there:
            print(f"\nyou: {query}")
        _, _, state = app.run(halt_after="@tag:answer", inputs={"query": query})
        print(f"  ({app.why(app.sequence_id)})\n{state['history'][-1]['content']}")


def main(model: str | None = None, api_base: str | None = None) -> int:
    """Run the program: with a model when a key or an address is there, with a scripted provider otherwise."""
    chosen, lent = provider(model, api_base, scripted)
    try:
        with lent if lent is not None else contextlib.nullcontext():
            print(f"Model: {chosen}" if lent is None else OFFLINE)
            chat(application(chosen, **({} if api_base is None else {"api_base": api_base})))
    except (KeyboardInterrupt, EOFError):
        print("\nGoodbye.")
        return 130
    except AgentflowError as error:
        print(f"\nThat did not work: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
