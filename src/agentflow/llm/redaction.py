"""Taking secrets out of text before anybody can read it.

What must not live here: deciding what is logged or raised.
"""

from __future__ import annotations

import os
import re
from typing import Final

HIDDEN: Final = "[redacted]"

#: What an API key looks like: the prefixes providers document, and what follows an authorization word.
_SHAPES: Final = (
    re.compile(r"\b(?:sk|pk|rk|gsk|xai|hf|ghp|AKIA|AIza)[-_A-Za-z0-9]{8,}"),
    re.compile(
        r"(?i)(\b(?:x-api-key|api[-_ ]?key|authorization)\b[\"']?\s*[:=]\s*[\"']?(?:bearer\s+)?|\bbearer\s+)"
        r"[^\s\"',&}]{4,}"
    ),
)
_SECRET_NAME: Final = re.compile(r"(?:_API_KEY|_ACCESS_KEY|_TOKEN|_SECRET)$")


def redact(text: str, *secrets: str | None) -> str:
    """`text` without API keys: those that look like one, those in the environment, and the `secrets` given.

    >>> redact("Incorrect API key provided: sk-abcdefgh12345678.")
    'Incorrect API key provided: [redacted].'
    """
    for secret in (*secrets, *_environment_secrets()):
        if secret and len(secret) >= 8:
            text = text.replace(secret, HIDDEN)
    text = _SHAPES[0].sub(HIDDEN, text)
    return _SHAPES[1].sub(lambda found: f"{found[1]}{HIDDEN}", text)


def _environment_secrets() -> list[str]:
    return [value for name, value in os.environ.items() if _SECRET_NAME.search(name)]
