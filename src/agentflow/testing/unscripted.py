"""A request that nothing answers: the error, and what it shows.

What must not live here: deciding what answers a request.
"""

from __future__ import annotations

import json

from agentflow.testing.exchange import Request

#: So many characters of a message, and so many messages, are shown.
SHOWN, LAST = 600, 6


class UnscriptedRequestError(BaseException):
    """A request came that nothing answers, or an answer was never asked for.

    No `Exception`, so that no client takes it for a fault of the network and tries again.
    """


def described(request: Request) -> str:
    """A request as a person reads it, and the line that would script it."""
    head = f"{request.provider} model {request.model!r}{', streamed' if request.stream else ''}:"
    return "\n".join([head, *_asked(request), *_wanted(request), f"To script it, write: {_line(request)}"])


def _asked(request: Request) -> list[str]:
    if request.texts:
        return [f"  texts to embed: {list(request.texts)!r:.{SHOWN}}"]
    left_out = len(request.messages) - LAST
    lines = [f"  ({left_out} earlier messages)"] if left_out > 0 else []
    for message in request.messages[-LAST:]:
        text = message["content"]
        cut = f"... {text[-SHOWN:]}" if len(text) > SHOWN else text
        lines.append(f"  {message['role']}: {cut}")
    return lines


def _wanted(request: Request) -> list[str]:
    if request.choices:
        return [f"  it chooses among: {', '.join(request.choices)}"]
    lines = [f"  it may call: {', '.join(request.tools)}"] if request.tools else []
    if request.response_schema is not None:
        lines.append(f"  it wants JSON: {json.dumps(request.response_schema)[:SHOWN]}")
    return lines


def _line(request: Request) -> str:
    if request.texts:
        return f"llm.embed({', '.join(['[0.1, 0.2]'] * min(len(request.texts), 3))})"
    if request.choices:
        return f'llm.decide("{request.choices[0]}")'
    schema = request.response_schema or request.tools.get(request.forced_tool or "")
    if schema is not None:
        fields = ", ".join(f'"{name}": ...' for name in schema.get("properties", {}))
        return f"llm.reply({{{fields}}})"
    return 'llm.stream("...", "...")' if request.stream else 'llm.reply("...")'
