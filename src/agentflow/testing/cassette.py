"""A cassette: exchanges with a provider in a JSON file, and finding the one that answers a request.

What must not live here: HTTP, and what may be written down.
"""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

#: The format of the file; a file of another one is refused.
FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and its response, with nothing secret in either.

    Attributes:
        address: Method and address.
        asked: The body of the request: data when it was JSON, a text otherwise.
        status: The status of the response.
        headers: Those of its headers that are kept.
        answered: The body of the response, like `asked`.
    """

    address: str
    asked: Any
    status: int = 200
    headers: Mapping[str, str] | None = None
    answered: Any = None

    @property
    def body(self) -> str:
        """The body of the response, as it goes over the wire."""
        return self.answered if isinstance(self.answered, str) else json.dumps(self.answered)

    def answers(self, request: Exchange) -> bool:
        """Whether it was recorded for such a request."""
        return (self.address, self.asked) == (request.address, request.asked)

    def written(self) -> dict[str, Any]:
        """As it stands in the file."""
        response = {"status": self.status, "headers": dict(self.headers or {}), "body": self.answered}
        return {"request": {"address": self.address, "body": self.asked}, "response": response}

    @classmethod
    def read(cls, written: Mapping[str, Any]) -> Self:
        """What `written` gave."""
        request, response = written["request"], written["response"]
        return cls(request["address"], request["body"], response["status"], response["headers"], response["body"])


def save(path: Path, exchanges: Iterable[Exchange]) -> None:
    """Write the file as a whole, or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"format": FORMAT, "exchanges": [exchange.written() for exchange in exchanges]}
    unfinished = path.with_name(f"{path.name}.{os.getpid()}")
    unfinished.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    unfinished.replace(path)


def load(path: Path) -> list[Exchange]:
    """The exchanges in a file.

    Raises:
        ValueError: It is no cassette.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] == FORMAT:
            return [Exchange.read(each) for each in content["exchanges"]]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is no cassette: delete it, and record it anew.") from error
    raise ValueError(f"{path} has format {content['format']!r}, not {FORMAT}: delete it, and record it anew.")


def difference(request: Exchange, recorded: Sequence[Exchange]) -> str:
    """Where a request differs from the recorded one that is most like it."""
    if not recorded:
        return "Nothing else was recorded."
    wanted = _lines(request)
    nearest = max(recorded, key=lambda each: difflib.SequenceMatcher(None, _lines(each), wanted).quick_ratio())
    diff = difflib.unified_diff(_lines(nearest), wanted, "recorded", "asked now", lineterm="", n=1)
    return "\n".join(f"  {line}" for line in diff)


def _lines(exchange: Exchange) -> list[str]:
    return [exchange.address, *json.dumps(exchange.asked, indent=1, ensure_ascii=False).splitlines()]
