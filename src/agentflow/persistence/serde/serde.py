"""Serde: between values and text, within the types that were allowed.

What must not live here: states, rows, or which types the standard library has.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable
from typing import Any

from agentflow.errors import CorruptRecord, DuplicateNameError, SerializationError
from agentflow.persistence.serde import builtin, registry, sealing
from agentflow.persistence.serde.collecting import is_typed_dict, rebuilt, types_of
from agentflow.persistence.serde.objects import codec_for
from agentflow.persistence.serde.reading import Reader
from agentflow.persistence.serde.shapes import MAX_TEXT, Codec, Trouble
from agentflow.persistence.serde.writing import Writer

_read_plain = json.JSONDecoder().raw_decode  # no white space is around what we wrote
_compact = json.JSONEncoder(ensure_ascii=False, check_circular=False, allow_nan=False, separators=(",", ":")).encode


class Serde:
    """Saves values as tagged JSON, and brings them back as they were, type included.

    Built in are the plain types of JSON and the common ones of the standard library. Enums, dataclasses, pydantic
    models and named tuples are saved if they are given here, are registered with `register_type`, or belong to the
    typing of the graph; whatever else raises before anything is written.

    Args:
        types: Types to allow, besides those registered; the types in their annotations are allowed with them.
        key: 32 bytes to encrypt texts with; needs the `crypto` extra.

    Raises:
        BuildError: A type is of no kind that is known, or the key is not 32 bytes.
        DuplicateNameError: Two of the types have one name.
        MissingExtraError: There is a key, and cryptography is not installed.

    Example:
        >>> serde = Serde()
        >>> serde.loads(serde.dumps({"seen": {1, 2}}, "state"), "state")
        {'seen': {1, 2}}
    """

    def __init__(self, types: Iterable[type] = (), key: bytes | None = None) -> None:
        self.types: tuple[type, ...] = tuple(dict.fromkeys(types))
        self.key = key
        self._seal = None if key is None else sealing.Seal(key)
        self._own = _codecs(self.types)
        self._version = -1
        self._writers: dict[type, Codec] = {}
        self._reader = Reader({})

    def with_types(self, types: Iterable[type]) -> Serde:
        """The same, which rebuilds these types as well."""
        return Serde((*self.types, *types), self.key)

    def encode(self, value: Any, where: str, field: str | None = None) -> Any:
        """The value as plain JSON, which shares no container with it.

        Args:
            value: What to save.
            where: What an error calls it, such as "state['draft']".
            field: The key in the state, if it is one: it may have a serde of its own (`register_field_serde`).

        Raises:
            SerializationError: Something in it cannot be saved; the message has its path and its type.
        """
        self._refresh()
        try:
            writer = Writer(self._writers, self._remedy)
            codec = None if field is None else registry.field_codec(field)
            return writer.write(value) if codec is None else writer.write_as(codec, value)
        except Trouble as trouble:
            raise SerializationError(f"{trouble.place(where)} {trouble.problem}") from trouble.__cause__
        except RecursionError as error:
            raise SerializationError(f"{where} is nested too deeply to be saved: keep flat values.") from error
        except RuntimeError as error:  # "dictionary changed size during iteration"
            raise SerializationError(
                f"{where} was changed by other code while it was saved ({error}): give the state a copy."
            ) from error

    def decode(self, plain: Any, where: str, field: str | None = None) -> Any:
        """The value that plain JSON stands for.

        Args:
            plain: What `encode` made.
            where: What an error calls it.
            field: The key in the state, if it is one.

        Raises:
            CorruptRecord: No serde wrote it, or it names a type that is not allowed here.
        """
        self._refresh()
        try:
            codec = None if field is None or not registry.is_field(plain) else registry.field_codec(field)
            return self._reader.read(plain) if codec is None else self._reader.read_as(codec, plain)
        except Trouble as trouble:
            raise CorruptRecord(f"the saved {trouble.place(where)} {trouble.problem}.") from trouble.__cause__
        except RecursionError as error:
            raise CorruptRecord(f"the saved {where} is nested too deeply to be read.") from error

    def dumps(self, value: Any, where: str, bound_to: tuple[object, ...] = ()) -> str:
        """The value as text, encrypted if there is a key.

        Args:
            value: What to save.
            where: What an error calls it.
            bound_to: Where an encrypted text belongs; it opens nowhere else.

        Raises:
            SerializationError: Something in it cannot be saved, or it is too large.
        """
        return self.seal(self.text(value, where), bound_to)

    def text(self, value: Any, where: str, field: str | None = None) -> str:
        """The value as text that is not encrypted; `dumps` encrypts it in one go, and `encode` says what `field` is.

        Raises:
            SerializationError: Something in it cannot be saved, or it is too large.
        """
        text = _compact(self.encode(value, where, field))
        if len(text) > MAX_TEXT:
            raise SerializationError(
                f"{where} is {len(text):,} characters as text, more than {MAX_TEXT:,}, and cannot be saved: store it "
                "elsewhere and keep its address in the state."
            )
        return text

    def loads(self, text: str, where: str, bound_to: tuple[object, ...] = ()) -> Any:
        """The value that `dumps` wrote.

        Raises:
            CorruptRecord: No serde wrote it, it belongs elsewhere, or it names a type that is not allowed here.
        """
        return self.decode(self.parse(self.unseal(text, bound_to), where), where)

    def parse(self, text: str, where: str) -> Any:
        """The plain JSON in a text.

        Raises:
            CorruptRecord: It is none, or too long.
        """
        if not isinstance(text, str):
            raise CorruptRecord(f"the saved {where} is a {type(text).__name__}, no text.")
        if len(text) > MAX_TEXT:
            raise CorruptRecord(f"the saved {where} has {len(text):,} characters, more than {MAX_TEXT:,}.")
        if self._seal is None and text.startswith(sealing.MARK):
            raise CorruptRecord(f"the saved {where} is encrypted: give its key to the serde.")
        try:
            plain, end = _read_plain(text)
        except (ValueError, RecursionError, MemoryError) as error:
            raise CorruptRecord(f"the saved {where} is no JSON: {error}.") from error
        if end != len(text):
            raise CorruptRecord(f"the saved {where} is no JSON: it goes on after its end, at character {end}.")
        return plain

    def seal(self, text: str, bound_to: tuple[object, ...]) -> str:
        """The text, encrypted for its place if there is a key.

        Raises:
            SerializationError: It is longer than a text that is read may be.
        """
        if len(text) > MAX_TEXT:
            raise SerializationError(
                f"what would be saved at once is {len(text):,} characters as text, more than {MAX_TEXT:,}: store "
                "large values elsewhere and keep their addresses in the state."
            )
        return text if self._seal is None else self._seal.close(text, bound_to)

    def unseal(self, text: str, bound_to: tuple[object, ...]) -> str:
        """The text that was sealed.

        Raises:
            CorruptRecord: It was changed, belongs elsewhere, or is not encrypted although there is a key.
        """
        return text if self._seal is None else self._seal.open(text, bound_to)

    def _refresh(self) -> None:
        """Take in what was registered since."""
        if self._version == registry.version():
            return
        version = registry.version()
        codecs = registry.registered()
        self._writers = {**self._own, **codecs}  # whoever registered a type knows best how it is saved
        self._reader = Reader({codec.tag: codec for codec in (*self._own.values(), *codecs.values())})
        self._version = version

    def _remedy(self, kind: type) -> str:
        if rebuilt(kind):
            return f"give it to the serde, as Serde(types=[{kind.__name__}]), or call register_type({kind.__name__})."
        plain = next((base for base in kind.__mro__ if base in self._writers or base in (list, float, bytes)), None)
        if plain is not None:
            return f"turn it into a plain {plain.__name__}, or say how it is saved with register_type."
        return "keep it out of the state, or say how it is saved with register_type or register_field_serde."


@functools.lru_cache(maxsize=256)
def _codecs(types: tuple[type, ...]) -> dict[type, Codec]:
    """The codecs of these types, and of those that their annotations mention."""
    found: dict[type, Codec] = {}
    named: dict[str, type] = {}
    for declared in types:
        if declared not in builtin.KNOWN and not is_typed_dict(declared):
            found[declared] = codec_for(declared)
        found.update({cls: codec_for(cls) for cls in types_of(declared)})
    for cls, codec in found.items():
        if named.setdefault(codec.tag, cls) is not cls:
            raise DuplicateNameError(f"two types are called {codec.tag!r}: register one of them under another name.")
    return found
