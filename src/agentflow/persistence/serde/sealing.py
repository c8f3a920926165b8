"""Encryption of whole texts, bound to the place where they belong.

ChaCha20-Poly1305 of `cryptography` with a new random nonce for each text; the place is its associated data, so a text
that is moved to another row does not open. What must not live here: what is in a text.
"""

from __future__ import annotations

import base64
import json
import os
from typing import TYPE_CHECKING

from agentflow.errors import BuildError, CorruptRecord, MissingExtraError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

#: What a sealed text begins with; no JSON text does.
MARK = "sealed1:"

_NONCE = 12  # bytes, see RFC 8439


class Seal:
    """Encrypts and opens texts.

    Args:
        key: 32 random bytes, as `secrets.token_bytes(32)` makes them. They are never stored.

    Raises:
        BuildError: The key is not 32 bytes.
        MissingExtraError: cryptography is not installed.
    """

    def __init__(self, key: bytes) -> None:
        if not isinstance(key, bytes) or len(key) != 32:
            raise BuildError("the key of a serde is 32 bytes: make one with secrets.token_bytes(32) and keep it safe.")
        self._cipher = _cipher(key)

    def close(self, text: str, bound_to: tuple[object, ...]) -> str:
        """The text, encrypted."""
        nonce = os.urandom(_NONCE)
        sealed = self._cipher.encrypt(nonce, text.encode("utf-8"), _place(bound_to))
        return MARK + base64.b64encode(nonce + sealed).decode("ascii")

    def open(self, text: str, bound_to: tuple[object, ...]) -> str:
        """The text that was encrypted.

        Raises:
            CorruptRecord: It is not encrypted, was changed, belongs elsewhere, or has another key.
        """
        if not text.startswith(MARK):
            raise CorruptRecord("a record is not encrypted, and a key was given: read it with a serde without a key.")
        try:
            raw = base64.b64decode(text[len(MARK) :].encode("ascii"), validate=True)
            if MARK + base64.b64encode(raw).decode("ascii") != text:  # base64 ignores the last few bits
                raise ValueError("it is not written as a sealed text is")
            return self._cipher.decrypt(raw[:_NONCE], raw[_NONCE:], _place(bound_to)).decode("utf-8")
        except Exception as error:  # InvalidTag, or what base64 and the cipher say to damaged bytes
            raise CorruptRecord(
                "an encrypted record does not open: it was changed, moved from another place, or has another key."
            ) from error


def _place(bound_to: tuple[object, ...]) -> bytes:
    """One text for each place: JSON keeps ("a", "b/c") and ("a/b", "c") apart."""
    return json.dumps(bound_to, default=str).encode("utf-8")


def _cipher(key: bytes) -> ChaCha20Poly1305:
    try:
        from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
    except ImportError:
        raise MissingExtraError("an encrypted store", "crypto") from None
    return ChaCha20Poly1305(key)
