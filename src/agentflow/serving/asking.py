"""What every request says of itself: who asks, about which application, at which step, and whether again.

What must not live here: routes.
"""

from __future__ import annotations

import inspect
import secrets
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import Depends, Header, HTTPException, Path, Request
from fastapi.security import HTTPBearer
from pydantic import BeforeValidator, WithJsonSchema

from agentflow.persistence.records import Key
from agentflow.serving.problems import Refused
from agentflow.serving.shapes import Id


def with_token(token: str) -> Callable[..., Awaitable[None]]:
    """A dependency that lets those in who bear a token, all into one partition, which it keeps with the request."""
    return _Token(token)


class _Token(HTTPBearer):
    def __init__(self, token: str) -> None:
        super().__init__(scheme_name="token", description="The token of this server.", auto_error=False)
        self._token = token.encode()

    async def __call__(self, request: Request) -> None:  # type: ignore[override]  # it keeps what it finds
        given = await super().__call__(request)
        if given is None or not secrets.compare_digest(given.credentials.strip().encode(), self._token):
            raise HTTPException(401, "Send the token as Authorization: Bearer <token>", {"www-authenticate": "Bearer"})
        request.state.partition = ""


def remembering(partition_key: Callable[..., Any]) -> Callable[..., Any]:
    """A dependency that keeps with the request what the one given says whose it is."""

    async def known(request: Request, partition: str | None) -> None:
        if partition is not None and not isinstance(partition, str):
            raise TypeError(f"the dependency partition_key gave {type(partition).__name__}: have it give text or None.")
        request.state.partition = partition or ""

    requested = inspect.Parameter("request", inspect.Parameter.KEYWORD_ONLY, annotation=Request)
    given = inspect.Parameter(
        "partition", inspect.Parameter.KEYWORD_ONLY, default=Depends(partition_key), annotation=Any
    )
    known.__signature__ = inspect.Signature([requested, given])  # type: ignore[attr-defined]  # FastAPI reads it
    return known


async def partition_of(request: Request) -> str:
    """Whose applications are asked for."""
    partition: str = request.state.partition
    return partition


async def key_of(request: Request, app_id: Annotated[Id, Path(description="The id of the application.")]) -> Key:
    """Which application is asked for."""
    return Key(request.state.partition, app_id)


def expected_of(if_match: str | None) -> int | None:
    """The step that an `If-Match` header names.

    Raises:
        Refused: It names none.
    """
    if if_match is None or if_match.strip() == "*":
        return None
    number = if_match.strip().removeprefix("W/").strip('"')
    if not number.removeprefix("-").isascii() or not number.removeprefix("-").isdigit() or len(number) > 18:
        raise Refused(422, "invalid", 'If-Match names a step by its number: send, for example, If-Match: "3".')
    return int(number)


Partition = Annotated[str, Depends(partition_of)]
Asked = Annotated[Key, Depends(key_of)]
Expected = Annotated[
    int | None,
    BeforeValidator(expected_of),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "null"}]}),
    Header(alias="If-Match", description='The step the application is thought to be at, such as "3"; else 409.'),
]
Once = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        description="Names the request: sent again with the same key, it gets the same answer and nothing happens.",
    ),
]
