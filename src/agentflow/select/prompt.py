"""What a decider shows of the state and of the targets: texts of bounded size, the same for the same facts.

What must not live here: asking anybody, or reading an answer.
"""

from __future__ import annotations

import json
import reprlib
import string
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from agentflow.errors import BuildError
from agentflow.select.selector import Target
from agentflow.signatures import names
from agentflow.state import State

#: A value, and everything together, longer than so many characters is shown without its middle.
VALUE_LIMIT: Final = 6_000
TEXT_LIMIT: Final = 24_000

_PLAIN: Final = (str, int, float, list, tuple, dict, type(None))


def menu(targets: Iterable[Target]) -> str:
    """Every target with what is known about it, sorted by name."""
    entries = (f"{target.name}\n{target.description.strip()}" for target in sorted(targets, key=lambda each: each.name))
    return "AVAILABLE ACTIONS\n\n" + "\n\n".join(entries)


def shown(value: object) -> str:
    """A value as text: a text as it is, anything else as JSON where that can be, without its middle if it is long."""
    text = _shortened(value if isinstance(value, str) else _written(value), VALUE_LIMIT)
    return text if text.isascii() else text.encode("utf-8", "replace").decode()  # half a surrogate cannot be sent


def situation(values: Mapping[str, Any]) -> str:
    """The values of a state as one text; a single text stands for itself."""
    if len(values) == 1:
        (only,) = values.values()
        if isinstance(only, str):
            return shown(only)
    lines = (
        f"{key}:{_separator(text)}{text}" for key, text in sorted((key, shown(value)) for key, value in values.items())
    )
    return _shortened("\n".join(lines), TEXT_LIMIT)


def transcript(messages: Sequence[Any], window: int) -> str:
    """The last messages of a conversation, oldest first, one a line."""
    recent = list(messages)[-window:] if window else []
    return _shortened("\n".join(_line(message) for message in recent), TEXT_LIMIT)


def readable(state: State[Any], reads: Iterable[str] | None) -> dict[str, Any]:
    """The values of the given keys; without any, every plain value of the state."""
    if reads is not None:
        return {key: state[key] for key in reads}
    return {key: value for key, value in state.get_all().items() if isinstance(value, _PLAIN) and key[:2] != "__"}


class Template:
    """A text with `{key}` where the value of a state key goes.

    Raises:
        BuildError: A placeholder is anything but the name of a state key.
    """

    keys: tuple[str, ...]

    def __init__(self, text: str) -> None:
        try:
            self._parts = [
                (literal, key, spec, conversion) for literal, key, spec, conversion in string.Formatter().parse(text)
            ]
        except ValueError as error:
            raise BuildError(
                f"the template {text!r} cannot be read, {error}: write {{{{ and }}}} for braces."
            ) from None
        for _, key, spec, conversion in self._parts:
            if key is not None and (not key.isidentifier() or spec or conversion):
                raise BuildError(
                    f"the template {text!r} has the placeholder {key!r}: name a state key, such as {{query}}."
                )
        self.keys = tuple(dict.fromkeys(key for _, key, _, _ in self._parts if key is not None))

    def filled(self, values: Mapping[str, Any]) -> str:
        """The text with the values in their places; what stands in a value is never taken for a placeholder."""
        return "".join(literal + ("" if key is None else shown(values[key])) for literal, key, _, _ in self._parts)


def keys_shown(
    reads: str | Iterable[str] | None, template: Template | None, history: str | None
) -> tuple[str, ...] | None:
    """The state keys that a decider shows; None for every plain value."""
    if reads is None and template is None:
        return None
    declared = names(reads) if reads is not None else ()
    return tuple(dict.fromkeys([*declared, *(template.keys if template else ()), *([history] if history else [])]))


def _written(value: object) -> str:
    dump = getattr(value, "model_dump", None)
    try:
        return json.dumps(dump(mode="json") if dump else value, ensure_ascii=False, default=str)
    except (TypeError, ValueError):  # keys that are no texts, or a value that holds itself
        return str(value)
    except RecursionError:
        return reprlib.repr(value)


def _line(message: Any) -> str:
    if isinstance(message, Mapping) and "content" in message:
        return f"{message.get('role', 'user')}: {shown(message['content'])}"
    return shown(message)


def _separator(text: str) -> str:
    return "\n" if "\n" in text else " "


def _shortened(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]} [... {len(text) - 2 * half} characters left out ...] {text[-half:]}"
