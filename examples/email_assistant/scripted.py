"""What stands in for a model when there is no key: it reads the conversation and writes by simple rules.

It answers the provider's HTTP, so everything of the assistant runs as it does with a model.
"""

from __future__ import annotations

import re
from typing import Any

from agentflow.testing import Reply, Request

#: Words of instructions that say enough to draft at once.
DAYS = "monday|tuesday|wednesday|thursday|friday"
SPECIFIC = re.compile(rf"\b(because|since|{DAYS}|next week|tomorrow|\d+)\b", re.IGNORECASE)
CONTENT = re.compile(r"\b(good|great|perfect|fine|thanks|thank you|lovely|nice|send it|done)\b", re.IGNORECASE)
CHANGE = re.compile(
    r"\b(but|add|mention|change|shorter|longer|less|more|instead|remove|say|formal|don't|not)\b", re.IGNORECASE
)


def answer(request: Request) -> str | Reply | dict[str, Any]:
    """What the model would say."""
    if request.choices:
        return decide(request)
    parts = sections(request.prompt)
    if request.response_schema is not None:
        return {"questions": questions(parts)}
    return Reply(write(parts))


def decide(request: Request) -> dict[str, Any]:
    """Choose among the targets of a decision, and say why."""
    if "final_result" in request.choices:
        said = request.prompt
        content = bool(CONTENT.search(said)) and not CHANGE.search(said)
        target = "final_result" if content else "formulate_draft"
        reason = "The person is content." if content else f"The person asks for a change: {said.strip()[:80]}"
    else:
        clear = bool(SPECIFIC.search(instructions_in(request.prompt)))
        target = "formulate_draft" if clear else "determine_clarifications"
        reason = "The instructions are specific." if clear else "The instructions leave open what exactly to say."
    return {"next_action": target, "reason": reason, "confidence": 0.9}


def instructions_in(situation: str) -> str:
    """The instructions among the values a decider is shown."""
    return situation.partition("response_instructions:")[2] or situation


def sections(prompt: str) -> dict[str, str]:
    """The named sections of a prompt."""
    parts = re.split(r"^## (.+)$", prompt, flags=re.MULTILINE)[1:]
    return {title: text.strip() for title, text in zip(parts[::2], parts[1::2], strict=True)}


def questions(parts: dict[str, str]) -> list[str]:
    """What is worth asking about this email."""
    email = parts.get("Email", "")
    asked = [f'What shall I answer to "{sentence}"?' for sentence in re.findall(r"[^.!?\n]+\?", email)[:1]]
    asked = [question.replace('" ', '"').replace('"  ', '"') for question in asked]
    if re.search(r"\b(meet|meeting|call|dinner|lunch|visit|invite|invitation|date|when)\b", email, re.IGNORECASE):
        asked.append("Which day and time suit you?")
    return [*asked, "How well do you know each other?"][:3]


def write(parts: dict[str, str]) -> str:
    """A draft that says what the person wants said."""
    email, feedback = parts.get("Email", ""), parts.get("What the person wants changed", "").lower()
    formal = "formal" in feedback and "less formal" not in feedback
    name = sender(email)
    lines = [f"Dear {name}," if formal or not feedback else f"Hello {name},", ""]
    if "short" not in feedback:
        lines += [f"thank you for your message about {topic(email)}.", ""]
    lines.append(sentence(parts.get("Instructions", "")))
    told = re.findall(r"^- .*?\? (.+)$", parts.get("What the person said when asked", ""), re.MULTILINE)
    lines += [sentence(each) for each in told if len(each) > 3][: 1 if "short" in feedback else 3]
    wanted = re.findall(
        r"(?:mention|add|say)(?: that)? (.+)", parts.get("What the person wants changed", ""), re.IGNORECASE
    )
    for said in wanted:
        lines.append(sentence(re.split(r"[.;]| and make ", said)[0]))
    return "\n".join([*lines, "", "Yours sincerely" if formal else "Best wishes"])


def sender(email: str) -> str:
    """Who signed the email, or wrote it."""
    signed = [line.strip() for line in email.strip().splitlines() if line.strip()]
    found = re.search(r"^From: ([^<\n]+)", email, re.MULTILINE)
    last = signed[-1] if signed and len(signed[-1].split()) <= 3 else ""
    return (last or (found[1] if found else "")).strip(" ,.") or "all"


def topic(email: str) -> str:
    """What the email is about."""
    subject = re.search(r"^Subject: (.+)$", email, re.MULTILINE)
    if subject:
        return subject[1].strip()
    words = re.findall(
        r"\b(meeting|invitation|dinner|lunch|offer|report|project|order|question|visit|talk)\b", email, re.IGNORECASE
    )
    return f"the {words[0].lower()}" if words else "this"


def sentence(text: str) -> str:
    """A text as a sentence, in the first person where it was an instruction."""
    text = text.strip().rstrip(".")
    lead = re.match(
        r"(accept|decline|ask|say|tell|thank|agree|propose|suggest|confirm|apologise)\b", text, re.IGNORECASE
    )
    text = f"I would like to {text[0].lower()}{text[1:]}" if lead else text
    return f"{text[:1].upper()}{text[1:]}." if text else ""
