"""What of an exchange may be written down: no key, no cookie, no name of an account.

It keeps what a replay needs and nothing else, so what a provider adds tomorrow is left out. What must not live here:
files, and what is done with an exchange.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from agentflow.redaction import HIDDEN, redact

if TYPE_CHECKING:
    import httpx

#: The response headers that are kept; no request header is.
KEPT_HEADERS: Final = ("content-type", "retry-after")
#: Request headers that carry a key; their values are taken out of everything else too.
_KEY_HEADERS: Final = ("authorization", "x-api-key", "x-goog-api-key", "api-key", "cookie", "proxy-authorization")
#: Parameters of an address that are kept: how a provider is asked to answer.
_KEPT_PARAMETERS: Final = ("alt", "api-version")
#: Names of accounts, as providers write them into errors: a prefix, and a long word that nobody would say.
_ACCOUNTS: Final = re.compile(r"\b(?:org|proj|user|acct)[-_](?=[a-z]*[A-Z0-9])[A-Za-z0-9]{12,}\b")
#: Fields that name an account wherever they stand.
_ACCOUNT_FIELDS: Final = frozenset({"organization", "organization_id", "org_id", "project_id", "account_id"})
_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")


def secrets_of(request: httpx.Request) -> tuple[str, ...]:
    """What this request proves its right with."""
    headers = [request.headers[name] for name in _KEY_HEADERS if name in request.headers]
    words = [word for value in headers for word in re.split(r"[\s;,=]+", value)]
    values = [value for name, value in request.url.params.multi_items() if name not in _KEPT_PARAMETERS]
    # A short word is the name of a scheme or of a cookie, and would be found all over a text.
    return tuple(value for value in (*headers, *words, *values, request.url.password) if len(value) >= 8)


def address_of(request: httpx.Request) -> str:
    """Where a request goes, without who sends it; the port of a server on this machine is left out, as it varies."""
    url = request.url
    port = f":{url.port}" if url.port is not None and url.host not in _LOOPBACK else ""
    kept = [f"{name}={value}" for name, value in url.params.multi_items() if name in _KEPT_PARAMETERS]
    return f"{request.method} {url.scheme}://{url.host}{port}{url.path}{'?' if kept else ''}{'&'.join(kept)}"


def headers_of(response: httpx.Response) -> dict[str, str]:
    """The headers that are kept."""
    return {name: response.headers[name] for name in KEPT_HEADERS if name in response.headers}


def scrubbed(body: str, secrets: Iterable[str]) -> Any:
    """A body without secrets: the data in it when it is JSON, its text otherwise."""
    known = tuple(secrets)
    try:
        return _clean(json.loads(body), known)
    except ValueError:
        return "\n".join(_clean_line(line, known) for line in body.split("\n"))


def _clean(value: Any, secrets: tuple[str, ...]) -> Any:
    if isinstance(value, str):
        return _clean_text(value, secrets)
    if isinstance(value, list):
        return [_clean(each, secrets) for each in value]
    if isinstance(value, Mapping):
        return {
            name: HIDDEN if name in _ACCOUNT_FIELDS and each else _clean(each, secrets) for name, each in value.items()
        }
    return value


def _clean_line(line: str, secrets: tuple[str, ...]) -> str:
    """A line of a body that is no JSON; an event's data may be."""
    field, _, data = line.partition(": ")
    if field == "data" and data.startswith("{"):
        cleaned = scrubbed(data, secrets)
        return f"data: {cleaned if isinstance(cleaned, str) else json.dumps(cleaned, ensure_ascii=False)}"
    return _clean_text(line, secrets)


def _clean_text(text: str, secrets: tuple[str, ...]) -> str:
    return _ACCOUNTS.sub(HIDDEN, redact(text, *secrets))
