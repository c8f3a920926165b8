"""What went wrong with one attempt, and whether trying again can help.

An exception of litellm, of a provider's SDK or of httpx comes in; a `Fault` goes out. Those exceptions never travel
further: they do not survive pickling, and their texts may hold keys and tracebacks. What must not live here: retrying.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from agentflow.errors import ActionTimeoutError, ProviderError
from agentflow.llm.policy import retry_after
from agentflow.llm.redaction import redact

Kind = Literal[
    "auth", "bad_request", "rate_limit", "server", "connection", "timeout", "malformed", "refused", "circuit_open"
]

#: Statuses besides 5xx after which the same request may succeed.
TRANSIENT_STATUSES: Final = frozenset({408, 409, 425, 429})

#: Names of exceptions, of litellm, httpx and openai, for which no response arrived at all.
_TIMEOUTS: Final = frozenset({"Timeout", "APITimeoutError", "TimeoutException", "ReadTimeout", "ConnectTimeout"})
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
        reply: The malformed text, for the re-ask to quote.
        cut: The answer ended because it ran out of room.
    """

    kind: Kind
    reason: str
    status: int | None = None
    retry_after: float | None = None
    transient: bool = False
    reply: str | None = None
    cut: bool = False


class FaultError(Exception):
    """Carries a `Fault` through tenacity; never seen outside of `agentflow.llm`."""

    def __init__(self, fault: Fault, cause: ProviderError | None = None) -> None:
        super().__init__(fault)
        self.fault = fault
        self.cause = cause


def fault_of(error: Exception, *secrets: str | None) -> Fault:
    """The fault behind an exception that a provider call raised."""
    status, headers = _response(error)
    reason = _words(error, *secrets)
    if isinstance(error, ActionTimeoutError) or (status is None and _is_timeout(error)):
        return Fault("timeout", reason, transient=True)
    if status is None:
        return _unanswered(error, reason)
    transient = status in TRANSIENT_STATUSES or status >= 500
    return Fault(_kind(status), reason, status, retry_after(headers) if transient else None, transient)


def refused_call(error: BaseException) -> ProviderError | None:
    """The guard's refusal inside an exception, if that is what it comes from."""
    return next((each for each in _chain(error) if isinstance(each, ProviderError)), None)


def _unanswered(error: Exception, reason: str) -> Fault:
    """No HTTP status: the connection failed, the body was broken, or litellm refused the request itself."""
    if any(isinstance(each, _BROKEN_BODY) for each in _chain(error)):
        return Fault("server", f"the response body is not valid JSON ({reason})", 200, transient=True)
    status = getattr(error, "status_code", None)
    if isinstance(status, int) and 400 <= status < 500 and status not in TRANSIENT_STATUSES:
        return Fault(_kind(status), reason)
    network = any(type(each).__module__.partition(".")[0] in ("httpx", "httpcore") for each in _chain(error))
    if network or isinstance(error, OSError):
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
    first = redact(lines[0], *secrets) if lines else ""
    name = type(error).__name__
    first = first.removeprefix("litellm.").removeprefix(f"{name}: ").removeprefix(f"{name}: ")
    return f"{name}: {first[:300]}" if first else name


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
