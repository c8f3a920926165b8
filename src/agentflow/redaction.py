"""Taking secrets out of text and data before anybody can read it.

What must not live here: deciding what is logged, raised or stored.
"""

from __future__ import annotations

import functools
import json
import os
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, final

HIDDEN: Final = "[redacted]"

#: What an API key looks like: the prefixes providers document, and what follows an authorization word.
_SHAPES: Final = (
    re.compile(
        r"(?:(?<![A-Za-z0-9])|(?<=\\[bfnrt]))"  # after a letter only where that is the end of an escape
        r"(?:(?:sk|pk|rk|gsk|xai|hf|github_pat|glpat|npm|pypi|whsec|xox[a-z])[-_][-_A-Za-z0-9]{8,}"
        r"|gh[oprsu]_[-_A-Za-z0-9]{8,}"
        r"|(?:AKIA|ASIA)[A-Z0-9]{8,}|AIza[-_A-Za-z0-9]{8,}|ya29\.[-_A-Za-z0-9]{8,}"
        r"|eyJ[-_A-Za-z0-9]{8,}\.[-_A-Za-z0-9]{8,}(?:\.[-_A-Za-z0-9]*)?)"
    ),
    re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----(?:.*?-----END [A-Z ]*PRIVATE KEY-----|.*)", re.DOTALL),
    re.compile(
        r"(?i)(\b(?:x-api-key|api[-_ ]?key|authorization)\b\\?[\"']?\s*[:=]\s*\\?[\"']?(?:(?:bearer|basic)\s+)?"
        r"|\bbearer\s+|\b(?:password|passwd|client[-_]?secret|(?:access|auth|refresh)[-_]?token)\\?[\"']?\s*[:=]"
        r"\s*\\?[\"']?|://[^/\s:@\"']+:(?=[^/\s@\"']{4,}@))"
        r"[^\s\"',&}@\\]{4,}"
    ),
)

#: Text that has none of these, in lower case, has none of the shapes and no telling name. Looking for one after the
#: other takes half as long as one expression for all.
_HINTS: Final = (
    *("sk-", "sk_", "pk-", "pk_", "rk-", "rk_", "xai-", "xai_", "hf-", "hf_", "gho_", "ghp_", "ghr_", "ghs_", "ghu_"),
    *("github_pat", "glpat", "npm_", "npm-", "pypi-", "pypi_", "whsec", "xox", "akia", "asia", "aiza", "ya29", "eyj"),
    *("private", "bearer", "authorization", "key", "passw", "passphrase", "secret", "token", "credential", "cookie"),
    *("jwt", "://"),
)

#: Names, in lower case and without punctuation, of what is nobody's business.
_TELLING: Final = re.compile(
    r"(?:password|passwd|passphrase|secret|secretkey|apikey|accesskey|accesskeyid|privatekey|authorization|credentials?"
    r"|(?:access|auth|api|refresh|bearer|id|session|csrf|bot|security)token|^token|cookie|jwt)$"
)
_SECRET_NAME: Final = re.compile(r"(?:_API_KEY|_ACCESS_KEY|_TOKEN|_SECRET|_PASSWORD)$")

#: So many of the secrets that were met are remembered, to be hidden wherever else they turn up.
REMEMBERED: Final = 1_000


def redact(text: str, *secrets: str | None) -> str:
    """`text` without API keys: those that look like one, those in the environment, and the `secrets` given.

    >>> redact("Incorrect API key provided: sk-abcdefgh12345678.")
    'Incorrect API key provided: [redacted].'
    """
    for secret in (*secrets, *_environment_secrets()):
        if secret and len(secret) >= 8:
            text = text.replace(secret, HIDDEN)
    return _without_shapes(text)


@final
class Secret:
    """A text that is shown nowhere: not by `repr`, `str`, logs or trackers; `reveal()` gives it to who needs it.

    Example:
        >>> key = Secret("sk-abcdefgh12345678")
        >>> f"{key}", key.reveal()[:3]
        ('[redacted]', 'sk-')
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The text itself."""
        return self._value

    def __repr__(self) -> str:
        return f"Secret({HIDDEN})"

    def __str__(self) -> str:
        return HIDDEN

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash(("Secret", self._value))


class Redactor:
    """Hides secrets in data and text: by their shape, by the names they go by, and wherever they turn up again.

    Args:
        names: More names of keys whose values are hidden; case and punctuation do not matter.

    Example:
        >>> Redactor().json('{"password": "hunter2-and-more", "said": "it is hunter2-and-more"}')
        '{"password": "[redacted]", "said": "it is [redacted]"}'
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._names = frozenset(_plain(name) for name in names)
        self._known: dict[str, None] = {}
        self._environment = [secret for secret in _environment_secrets() if len(secret) >= 8]

    def learn(self, secret: str) -> None:
        """Hide this text from now on wherever it turns up, if it is long enough to tell it from ordinary words."""
        if len(secret) >= 8 and secret not in self._known:
            self._known[secret] = None
            if len(self._known) > REMEMBERED:
                self._known.pop(next(iter(self._known)), None)

    def text(self, text: str) -> str:
        """A text without secrets."""
        for secret in (*self._environment, *self._known):
            if secret in text:
                text = text.replace(secret, HIDDEN)
        return _without_shapes(text) if _hinted(text) else text

    def data(self, value: Any) -> Any:
        """Plain data (what JSON can hold) without secrets, in its texts, keys and by the names of its keys."""
        self._learn_from(value, hidden=False)
        return self._without(value)

    def json(self, text: str) -> str:
        """JSON text without secrets; text that plainly holds none comes back as it is, and costs one look."""
        if not self._suspicious(text):
            return text
        try:
            clean = self.data(json.loads(text))
            return json.dumps(clean, ensure_ascii=False)
        except (ValueError, RecursionError):
            return self.text(text)

    def hides(self, name: str) -> bool:
        """Whether what goes by that name is hidden whatever it looks like."""
        return _tells(name) or (bool(self._names) and _plain(name) in self._names)

    def _suspicious(self, text: str) -> bool:
        if self._names or _hinted(text):
            return True
        return any(secret in text or _escaped(secret) in text for secret in (*self._environment, *self._known))

    def _learn_from(self, value: Any, *, hidden: bool) -> None:
        if isinstance(value, str):
            if hidden and not re.search(r"\s", value):
                self.learn(value)
        elif isinstance(value, Mapping):
            for key, inner in value.items():
                self._learn_from(inner, hidden=hidden or self.hides(str(key)))
        elif isinstance(value, list | tuple):
            for inner in value:
                self._learn_from(inner, hidden=hidden)

    def _without(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {
                self.text(str(key)): HIDDEN if self.hides(str(key)) and _is_content(inner) else self._without(inner)
                for key, inner in value.items()
            }
        if isinstance(value, list | tuple):
            return [self._without(inner) for inner in value]
        return value


def _hinted(text: str) -> bool:
    lower = text.lower()
    for hint in _HINTS:  # noqa: SIM110  # `any` takes three times as long, and this is done with everything tracked
        if hint in lower:
            return True
    return False


def _without_shapes(text: str) -> str:
    text = _SHAPES[1].sub(HIDDEN, _SHAPES[0].sub(HIDDEN, text))
    return _SHAPES[2].sub(lambda found: f"{found[1]}{HIDDEN}", text)


def _is_content(value: Any) -> bool:
    return value not in (None, "", True, False) and not (isinstance(value, list | dict) and not value)


@functools.lru_cache(maxsize=4_096)
def _tells(name: str) -> bool:
    return _TELLING.search(_plain(name)) is not None


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _escaped(secret: str) -> str:
    return json.dumps(secret, ensure_ascii=False)[1:-1]


def _environment_secrets() -> list[str]:
    return [value for name, value in os.environ.items() if _SECRET_NAME.search(name)]
