"""What three providers say when there is no network: two answer, each in its own manner, and one is overloaded."""

from __future__ import annotations

import re
from typing import Any

from agentflow.testing import Fault, Request

#: From a word of the question to what there is to say about it: short, longer, and as a riddle.
KNOWN = {
    "meaning of life": (
        "There is no agreed one; most people find it in whom they love and what they make.",
        "Philosophers disagree: Aristotle looked for it in living well, existentialists in what each of us chooses.",
        "Everybody looks for me, nobody finds the same one. What am I?",
    ),
    "swallow": (
        "About 40 km/h for a European swallow.",
        "About 11 m/s in level flight for a European swallow. African species differ; which one did you mean?",
        "I weigh no more than a letter, and I cross the sea each year. How fast am I?",
    ),
    "steak": (
        "Dry it, salt it, sear it in a very hot pan, and let it rest.",
        "Bring it to 50 °C in a low oven, then sear it hot for a minute a side, and rest it for five.",
        "I go in red and come out brown, and the longer you wait, the better I get. Where am I?",
    ),
}


def answer(request: Request) -> str | dict[str, Any] | Fault:
    """What a provider says to a request; how it says so is its own."""
    if request.provider == "gemini":
        return Fault(status=503, message="The model is overloaded. Please try again later.")
    if request.response_schema is not None:
        return ranked(request.prompt)
    brief, thorough, riddle = next((said for word, said in KNOWN.items() if word in request.prompt), ("Hello.",) * 3)
    if "riddle" in request.prompt:
        return riddle
    return brief if request.provider == "openai" else thorough


def ranked(question: str) -> dict[str, Any]:
    """A judge that likes whoever says more."""
    answers = dict(re.findall(r"^### (answer \d+)\n(.*)$", question, re.MULTILINE))
    best_first = sorted(answers, key=lambda name: -len(answers[name]))
    return {"best_first": best_first, "reason": f"{best_first[0].capitalize()} says most, and nothing wrong."}
