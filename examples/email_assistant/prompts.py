"""What the models are asked; the sections have names, so that nobody has to guess what is what."""

from __future__ import annotations

from agentflow import State


def clarifications(email: str, instructions: str) -> str:
    """For the questions to ask first."""
    return sections(
        "You help a person answer an email. List the questions, three at most, that you must ask the person before you "
        "can write the answer. Ask nothing that the email or the instructions say already.",
        {"Email": email, "Instructions": instructions},
    )


def draft(state: State) -> str:
    """For a draft, the first or another."""
    pairs = zip(state["questions"] or [], state["answers"] or [], strict=False)
    revising = state["drafts"] and state["feedback_history"]
    return sections(
        "You help a person answer an email. Write the answer in the person's name. Reply with its text alone.",
        {
            "Email": state["email_to_respond"],
            "Instructions": state["response_instructions"],
            "What the person said when asked": "\n".join(f"- {question} {answer}" for question, answer in pairs),
            "Your last draft": state["drafts"][-1] if revising else "",
            "What the person wants changed": "\n".join(f"- {said}" for said in state["feedback_history"]),
        },
    )


def sections(task: str, parts: dict[str, str]) -> str:
    """A prompt of named sections; empty ones are left out."""
    return "\n\n".join([task, *(f"## {title}\n{text}" for title, text in parts.items() if text)])
