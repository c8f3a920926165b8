"""What went wrong as an answer: a status, a word for programs, and one sentence for people.

The messages of agentflow's own errors are written for people; those of other code may say anything, so only their kind
is told, and the rest is logged. What must not live here: raising any of it.
"""

from __future__ import annotations

import logging
from typing import Any, Final

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from agentflow import errors
from agentflow.redaction import redact

log: Final = logging.getLogger("agentflow.serving")

#: The first that fits counts.
KNOWN: Final[tuple[tuple[type[Exception], int, str], ...]] = (
    (errors.HeldError, 409, "held"),
    (errors.ConflictError, 409, "conflict"),
    (errors.BusyError, 409, "busy"),
    (errors.UncertainStep, 409, "uncertain"),
    (errors.StepLimitError, 409, "step_limit"),
    (errors.InputError, 422, "invalid"),
    (errors.InvalidValueError, 422, "invalid"),
    (errors.ProviderError, 502, "provider"),
    (errors.DecideError, 502, "no_decision"),
    (errors.ActionTimeoutError, 504, "timed_out"),
    (errors.CorruptRecord, 500, "corrupt_record"),
    (errors.StoreError, 503, "store"),
    (errors.GraphMismatch, 500, "graph_mismatch"),
    (errors.AgentflowError, 500, "failed"),
)


class Refused(Exception):
    """A request that goes no further.

    Attributes:
        status: The HTTP status.
        error: The word for programs.
        facts: What else the answer says.
    """

    def __init__(self, status: int, error: str, message: str, **facts: Any) -> None:
        super().__init__(message)
        self.status = status
        self.error = error
        self.facts = facts


def told(error: BaseException) -> tuple[int, dict[str, Any]]:
    """The status of an error, and what the answer says."""
    if isinstance(error, Refused):
        return error.status, {"error": error.error, "message": str(error), **error.facts}
    for kind, status, word in KNOWN:
        if isinstance(error, kind):
            facts = {"sequence_id": error.sequence_id} if isinstance(error, errors.ConflictError) else {}
            return status, {"error": word, "message": redact(str(error)), **facts}
    return 500, {"error": "failed", "message": f"The step failed with {type(error).__name__}; nothing of it was kept."}


def explained(stored: str | None, next_name: str | None) -> str | None:
    """Why the last attempt at a step failed, out of what the store says about it."""
    if stored is None:
        return None
    kind, _, said = stored.partition(": ")
    if isinstance(getattr(errors, kind, None), type):
        return redact(said)
    step = f" at '{next_name}'" if next_name else ""
    return f"The last attempt{step} failed with {kind}."


def answer(error: BaseException) -> JSONResponse:
    """The answer to a request that failed."""
    status, facts = told(error)
    if status == 500:
        log.error("A request failed.", exc_info=error)
    headers = {"etag": f'"{facts["sequence_id"]}"'} if isinstance(facts.get("sequence_id"), int) else None
    return JSONResponse(facts, status, headers)


async def on_invalid(request: Request, error: Exception) -> JSONResponse:
    """FastAPI's handler for requests that do not fit their models; what was sent is not sent back."""
    assert isinstance(error, RequestValidationError)
    parts = [{"where": [str(part) for part in each["loc"]], "what": each["msg"]} for each in error.errors()]
    where = ".".join(parts[0]["where"]) if parts else "the request"
    message = f"{where}: {parts[0]['what']}." if parts else "The request does not fit."
    return JSONResponse({"error": "invalid", "message": message, "problems": parts}, 422)


async def on_http(request: Request, error: Exception) -> JSONResponse:
    """FastAPI's handler for what it refuses by itself, such as an unknown path."""
    assert isinstance(error, HTTPException)
    if error.status_code == 400:  # a body that is not even text is one that does not fit, as any other
        return JSONResponse({"error": "invalid", "message": "body: it is no JSON."}, 422)
    words = {401: "unauthorized", 404: "not_found", 405: "method_not_allowed"}
    body = {"error": words.get(error.status_code, "refused"), "message": f"{str(error.detail).rstrip('.')}."}
    return JSONResponse(body, error.status_code, error.headers)
