"""The process-wide registry: types that every serde rebuilds, and state fields that are saved in their own way.

Registering is meant to be done once, at import, by the module that defines the type. What must not live here: walking
through values.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from agentflow.errors import BuildError, DuplicateNameError
from agentflow.persistence.serde import builtin
from agentflow.persistence.serde.collecting import types_of
from agentflow.persistence.serde.objects import codec_for, tag_of
from agentflow.persistence.serde.shapes import CONTENT, FIELD, TAG, Codec

_BUILTIN = {codec.cls: codec for codec in (*builtin.CODECS, *builtin.PLAIN)}
_registered: dict[type, Codec] = {}
_fields: dict[str, Codec] = {}


def register_type(
    cls: type,
    encode: Callable[[Any], Any] | None = None,
    decode: Callable[[Any], Any] | None = None,
    *,
    name: str | None = None,
) -> None:
    """Let every serde of this process save and rebuild values of a type.

    Args:
        cls: The exact type; its subclasses are registered on their own. Types in the annotations of a dataclass,
            pydantic model or named tuple are registered with it.
        encode: From a value to a simpler one, of types that can be saved. Needed for types of other kinds.
        decode: From that simpler value back. It is given what stands in a record, so it should check it.
        name: What stands for the type in records, for a type that may move to another module. Where the type is
            defined if None. Registering it again, with another class of the same name, replaces the first.

    Raises:
        BuildError: One of `encode` and `decode` is missing, or both and the type is of no kind that is known.
        DuplicateNameError: Another type has the name, or the type is one of the standard library that is built in.

    Example:
        register_type(Money, encode=lambda money: [money.amount, money.unit], decode=lambda parts: Money(*parts))
    """
    if cls in builtin.KNOWN:
        raise DuplicateNameError(f"{cls!r} is saved already: register a type of your own, or a field serde.")
    if (encode is None) != (decode is None):
        raise BuildError(f"register_type({cls.__name__}) was given one of encode and decode: give both, or neither.")
    if encode is None or decode is None:
        codec = codec_for(cls, _own(name))
        for inner in types_of(cls) - {cls} - _registered.keys():
            _add(codec_for(inner))
    else:
        codec = Codec(_own(name) or tag_of(cls), cls, encode, decode)
    _add(codec)


def register_field_serde(key: str, encode: Callable[[Any], Any], decode: Callable[[Any], Any]) -> None:
    """Save one key of every state of this process in its own way, whatever the type of its value.

    What an action appends to a list is encoded and decoded by itself, as a list.

    Args:
        key: The key in the state.
        encode: From the value to a simpler one, of types that can be saved.
        decode: From that simpler value back.

    Example:
        register_field_serde("client", lambda client: client.name, lambda name: Client(name))
    """
    _fields[key] = Codec(FIELD, object, encode, decode)


def is_field(plain: object) -> bool:
    """Whether this was saved by the serde of a field."""
    return type(plain) is dict and plain.keys() == {TAG, CONTENT} and plain[TAG] == FIELD


def field_codec(key: str) -> Codec | None:
    """How this key is saved, None if like any other."""
    return _fields.get(key)


def registered() -> dict[type, Codec]:
    """The codecs of all types that are built in or registered now, in a mapping of the caller's own."""
    return {**_BUILTIN, **_registered}


def version() -> int:
    """Grows with every registration."""
    return _version[0]


_version = [0]


def _own(name: str | None) -> str | None:
    """A name that was given never reads as one that is built in."""
    return None if name is None else f"name:{name}"


def _add(codec: Codec) -> None:
    for other in _registered.values():
        if other.tag == codec.tag and tag_of(other.cls) != tag_of(codec.cls):
            raise DuplicateNameError(
                f"{other.cls!r} and {codec.cls!r} are both registered as {codec.tag!r}: name one of them."
            )
    for cls in [cls for cls, other in _registered.items() if other.tag == codec.tag]:
        del _registered[cls]  # a module that was loaded again defines its classes again
    _registered[codec.cls] = codec
    _version[0] += 1
