"""The written form: the tag key, the limits, and what a codec is.

A value that JSON has no word for is written as `{"@": tag, "of": content}`, and a dict of the user's that has the key
"@" is written as a tagged dict itself, so nothing a user or a model stores is ever taken for a tag.
What must not live here: walking through values.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

#: The keys of a tagged value: its tag, and its content.
TAG, CONTENT = "@", "of"

#: The tag of a value that its state key has an own way of saving for.
FIELD = "field"

#: How many levels of JSON may be nested in each other, when writing and when reading; a tagged value takes two.
MAX_DEPTH = 200

#: How many more levels are read: a value is written by itself, and may be read as an item of a list or a section.
MARGIN = 8

#: How many items all containers of one value may have together: a small value that holds itself many times over is
#: written out in full, and would not end.
MAX_ITEMS = 5_000_000

#: How many characters the text of one value may have, when writing and when reading.
MAX_TEXT = 64 * 2**20

#: Integers beyond this are tagged: other readers of JSON round them.
MAX_PLAIN_INT = 2**53


@dataclass(frozen=True, slots=True)
class Codec:
    """How values of exactly one type are written and read.

    Attributes:
        tag: What stands under "@".
        cls: The exact type; a subclass has its own codec or none.
        encode: From a value to a simpler one, which is then encoded in turn.
        decode: From that simpler value back; whatever it raises means that the record is corrupt.
    """

    tag: str
    cls: type
    encode: Callable[[Any], Any]
    decode: Callable[[Any], Any]

    @property
    def name(self) -> str:
        """What a message calls such a value."""
        return "field" if self.tag == FIELD else self.cls.__qualname__


class Pairs(dict[Any, Any]):
    """A simpler value: a mapping with keys of any type, written as one flat list of keys and values."""


class Fields(dict[str, Any]):
    """A simpler value: the attributes of an object, by name. Their names are no tags."""


class Parts(list[Any]):
    """A simpler value: a few parts that do not show in the path of an error."""


class Unordered(list[Any]):
    """A simpler value: items without an order, written in the same one for equal sets."""


class Trouble(Exception):
    """What is wrong somewhere inside a value; the path grows from the inside out while it is raised."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.path: list[str] = []

    def place(self, where: str) -> str:
        """The full path, shortened in the middle when it is long."""
        steps = [*reversed(self.path)]
        if len(steps) > 12:
            steps = [*steps[:6], f"...({len(steps) - 12} more)...", *steps[-6:]]
        return where + "".join(steps)


def shown(value: object, limit: int = 60) -> str:
    """A key, a name or an error for a message, cut; it may be hostile, and even its repr may raise."""
    if isinstance(value, str):
        return repr(value if len(value) <= limit else f"{value[:limit]}...")
    try:
        text = str(value) if isinstance(value, Exception) else repr(value)
    except Exception:  # an integer of too many digits, or code of somebody else's
        return f"<{type(value).__name__}>"
    return text if len(text) <= limit else f"{text[:limit]}..."
