"""What the dialects share: server-sent events, ids, and texts out of content parts.

What must not live here: any provider's field names.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx


def events(given: Iterable[Mapping[str, Any]], *, named: bool = False, done: bool = False) -> httpx.Response:
    """A response of server-sent events."""
    import httpx

    lines = [(f"event: {event['type']}\n" if named else "") + f"data: {json.dumps(event)}\n\n" for event in given]
    text = "".join(lines) + ("data: [DONE]\n\n" if done else "")
    return httpx.Response(200, headers={"content-type": "text/event-stream"}, text=text)


def body(given: Mapping[str, Any]) -> httpx.Response:
    """A response with a JSON body."""
    import httpx

    return httpx.Response(200, json=dict(given))


_numbers = itertools.count(1)


def next_id(kind: str) -> str:
    """An id that no other reply has."""
    return f"{kind}_scripted{next(_numbers):06}"


def text_in(content: Any) -> str:
    """The text of a message's content, which may be a text or a list of parts."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else [content]
    return "".join(str(part.get("text", "")) for part in parts if isinstance(part, Mapping))
