"""What went wrong with one attempt, and whether trying again can help.

An exception of litellm, of a provider's SDK or of httpx comes in; a `Fault` goes out. Those exceptions never travel
further: they do not survive pickling, and their texts may hold keys and tracebacks. What must not live here: retrying.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from agentflow.errors import ActionTimeoutError, ProviderError
from agentflow.llm.policy import retry_after
from agentflow.redaction import redact

Kind = Literal[
    "auth", "bad_request", "rate_limit", "server", "connection", "timeout", "malformed", "refused", "circuit_open"
]

#: Statuses besides 5xx after which the same request may succeed.
TRANSIENT_STATUSES: Final = frozenset({408, 409, 425, 429})

#: Names of exceptions, of litellm, httpx and openai, for which no response arrived at all.
_TIMEOUTS: Final = frozenset({"Timeout", "APITimeoutError", "TimeoutException", "ReadTimeout", "ConnectTimeout"})
#: What litellm puts before a provider's own words, and where it begins to quote raw responses or advise on litellm.
_PREFIX: Final = re.compile(r"(?:(?:litellm\.)?\w*(?:Error|Exception|Timeout)(?: \w*Error)?\s*[:-]\s*)+")
_NOISE: Final = re.compile(
    r",? Received response|,? Original Response:|\. Handle with `litellm|,? Raw keys:"
    r"|[. ]*Original exception:|\. Error_str"
)
#: How the client libraries say, each in its own exception, that they were given no key, so that nothing was sent.
_NO_KEY: Final = re.compile(r"missing (\w+ )?(credentials|api[ _]key)|api[ _]key is not set", re.IGNORECASE)
_LIBRARIES: Final = frozenset({"litellm", "openai", "httpx", "httpcore", "h11", "anyio"})
_BROKEN_BODY: Final = (json.JSONDecodeError, UnicodeDecodeError)


@dataclass(frozen=True, slots=True)
class Fault:
    """Why one attempt failed.

    Attributes:
        kind: As in `ProviderError.kind`.
        reason: In words, without secrets.
        status: The HTTP status, when a complete response came.
        retry_after: Seconds the provider asked to wait.
        transient: Trying the same again may help.
        cut: The answer ended because it ran out of room.
        unsent: There was no key to send it with, so it never left this machine.
    """

    kind: Kind
    reason: str
    status: int | None = None
    retry_after: float | None = None
    transient: bool = False
    cut: bool = False
    unsent: bool = False


class FaultError(Exception):
    """Carries a `Fault` through tenacity; never seen outside of `agentflow.llm`."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault)
        self.fault = fault


def fault_of(error: Exception, *secrets: str | None) -> Fault:
    """The fault behind an exception that a provider call raised."""
    status, headers = _response(error)
    reason = _words(error, *secrets)
    if isinstance(error, ActionTimeoutError) or (status is None and _is_timeout(error)):
        return Fault("timeout", reason, transient=True)
    if status is None:
        return _unanswered(error, reason)
    transient = status in TRANSIENT_STATUSES or status >= 500
    return Fault(
        _kind(status), f"HTTP {status}: {reason}", status, retry_after(headers) if transient else None, transient
    )


def comes_from_provider(error: BaseException) -> bool:
    """Whether an exception tells of a provider or the way to it, and not of a mistake in somebody's code."""
    known = isinstance(error, (OSError, ActionTimeoutError, *_BROKEN_BODY))
    return known or type(error).__module__.partition(".")[0] in _LIBRARIES


def refused_call(error: BaseException) -> ProviderError | None:
    """The guard's refusal inside an exception, if that is what it comes from."""
    return next((each for each in _chain(error) if isinstance(each, ProviderError)), None)


def _unanswered(error: Exception, reason: str) -> Fault:
    """No HTTP status: the connection failed, the body was broken, or litellm refused the request itself."""
    if any(isinstance(each, _BROKEN_BODY) for each in _chain(error)):
        return Fault("server", f"the response body is not valid JSON ({reason})", 200, transient=True)
    if _NO_KEY.search(reason):
        return Fault("auth", reason, unsent=True)
    status = getattr(error, "status_code", None)
    if isinstance(status, int) and 400 <= status < 500 and status not in TRANSIENT_STATUSES:
        return Fault(_kind(status), reason)
    if any(
        isinstance(each, OSError) or type(each).__module__.startswith(("httpx", "httpcore")) for each in _chain(error)
    ):
        return Fault("connection", reason, transient=True)
    return Fault("server", reason, transient=True)


def _kind(status: int) -> Kind:
    if status in (401, 403):
        return "auth"
    if status == 429:
        return "rate_limit"
    if status == 408:
        return "timeout"
    return "server" if status >= 500 or status in TRANSIENT_STATUSES else "bad_request"


def _response(error: BaseException) -> tuple[int | None, Mapping[str, str]]:
    """Status and headers of the response that made httpx raise; litellm's own numbers are guesses."""
    for each in _chain(error):
        response: Any = getattr(each, "response", None)
        if type(each).__module__.partition(".")[0] in ("httpx", "openai") and response is not None:
            return int(response.status_code), response.headers
    return None, {}


def _is_timeout(error: BaseException) -> bool:
    return any(type(each).__name__ in _TIMEOUTS for each in _chain(error))


def _words(error: Exception, *secrets: str | None) -> str:
    """The first line of the exception, shortened: litellm appends tracebacks, gateways whole HTML pages."""
    lines = str(error).strip().splitlines()
    first = _NOISE.split(redact(lines[0], *secrets) if lines else "")[0]
    words = _PREFIX.sub("", first, count=1) if _PREFIX.match(first) else first
    return words[:300].strip(" .,-") or type(error).__name__


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
