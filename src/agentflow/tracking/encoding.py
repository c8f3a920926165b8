"""Values as JSON text that can be looked at: it never fails, and what has no form of its own is shown in short.

What is tracked is for reading and not for going on from, so this loses types where a persister must not. What must not
live here: storing, or hiding secrets in the text (`agentflow.redaction` does that, in the writer's thread).
"""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import json
import pathlib
import traceback
import uuid
from collections.abc import Callable, Mapping
from collections.abc import Set as AnySet
from enum import Enum
from itertools import islice
from typing import Any, Final

from agentflow.redaction import HIDDEN, Secret
from agentflow.state import State

#: JSON text longer than this (characters) is made again with its parts cut.
LONGEST: Final = 256_000
#: Where parts are cut: characters of a text, items of a list, levels, and parts in all.
TEXT: Final = 4_000
ITEMS: Final = 200
LEVELS: Final = 24
PARTS: Final = 10_000
#: A value that is shown by its `repr` is shown with so many characters of it.
REPR: Final = 200
#: The end of a traceback is kept, which has the error; so many characters of it.
TRACEBACK: Final = 16_000

_TEXTUAL: Final = (datetime.date, datetime.time, datetime.timedelta, decimal.Decimal, uuid.UUID, pathlib.PurePath)


class Encoder:
    """Makes JSON text of values.

    Args:
        learn: Told of each secret that is met, so that it can be hidden wherever else it turns up.
    """

    def __init__(self, learn: Callable[[str], None]) -> None:
        self._learn = learn
        options: dict[str, Any] = {"ensure_ascii": False, "allow_nan": False, "separators": (",", ":")}
        self._encode: Callable[[Any], str] = json.JSONEncoder(default=self._shown, **options).encode
        self._encode_plain: Callable[[Any], str] = json.JSONEncoder(**options).encode

    def encode(self, value: Any) -> str:
        """JSON text for any value; costs what is in it, and large values come out cut."""
        try:
            text = self._encode(value)
            return text if len(text) <= LONGEST else self._cut(value)
        except Exception:  # whatever a value's own methods may do
            return self._cut(value)

    def _cut(self, value: Any) -> str:
        try:
            text = self._encode_plain(self._plain(value, LEVELS, [PARTS]))
            return text if len(text) <= LONGEST else self._encode_plain(shortened(text))
        except Exception:
            return self._encode_plain(unshowable(value))

    def _plain(self, value: Any, levels: int, parts: list[int]) -> Any:
        parts[0] -= 1
        if parts[0] < 0 or levels < 0:
            return "..."
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return shortened(str(value), TEXT)
        if isinstance(value, int | float):
            finite = value == value and abs(value) < 2**63
            return value if finite else in_short(value)
        try:
            return self._plain_parts(value, levels, parts)
        except Exception:
            return in_short(value)

    def _plain_parts(self, value: Any, levels: int, parts: list[int]) -> Any:
        if isinstance(value, Mapping):
            return self._plain_mapping(value, levels, parts)
        if isinstance(value, list | tuple):
            listed = [self._plain(item, levels - 1, parts) for item in islice(value, ITEMS)]
            return [*listed, f"... {len(value) - ITEMS} more"] if len(value) > ITEMS else listed
        return self._plain(self._shown(value), levels - 1, parts)

    def _plain_mapping(self, value: Mapping[Any, Any], levels: int, parts: list[int]) -> dict[str, Any]:
        made = {
            shortened(key, TEXT) if isinstance(key, str) else in_short(key): self._plain(inner, levels - 1, parts)
            for key, inner in islice(value.items(), ITEMS)
        }
        return {**made, "...": f"{len(value) - ITEMS} more"} if len(value) > ITEMS else made

    def _shown(self, value: Any) -> Any:
        """What stands for a value that JSON has no form for: something simpler, at last a text."""
        try:
            return self._simpler(value)
        except Exception:
            return in_short(value)

    def _simpler(self, value: Any) -> Any:
        if isinstance(value, Secret):
            self._learn(value.reveal())
            return HIDDEN
        if isinstance(value, State):
            return value.get_all()
        if isinstance(value, Enum):
            return value.value
        if isinstance(value, _TEXTUAL):
            return str(value)
        if isinstance(value, bytes | bytearray | memoryview):
            return f"<{len(value)} bytes>"
        if isinstance(value, BaseException):
            return f"{type(value).__name__}: {value}"
        if isinstance(value, type):
            return value.__qualname__
        if callable(getattr(value, "model_dump", None)):
            return value.model_dump(mode="json")
        if dataclasses.is_dataclass(value):
            return {field.name: getattr(value, field.name) for field in dataclasses.fields(value) if field.repr}
        if isinstance(value, Mapping):
            return dict(value)
        if isinstance(value, AnySet):
            return sorted(value, key=repr)
        return in_short(value)


def in_short(value: Any) -> str:
    """The beginning of a value's `repr`."""
    try:
        return shortened(repr(value), REPR)
    except Exception:
        return unshowable(value)


def unshowable(value: Any) -> str:
    """What stands for a value that cannot even say what it is."""
    return f"<a {type(value).__name__} that cannot be shown>"


def shortened(text: str, longest: int = TEXT) -> str:
    """The text, or its beginning and how much more there is."""
    return text if len(text) <= longest else f"{text[:longest]}... {len(text) - longest} more"


def error_facts(error: BaseException) -> dict[str, str]:
    """The kind, the message and the traceback of an error; local variables are not in it."""
    try:
        message = shortened(str(error))
    except Exception:
        message = unshowable(error)
    try:
        told = "".join(traceback.format_exception(error))[-TRACEBACK:]
    except Exception:
        told = ""
    return {"kind": type(error).__name__, "message": message, "traceback": told}
