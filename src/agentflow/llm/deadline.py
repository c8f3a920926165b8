"""Reads that end when the call must end, in blocking code.

A read times out when nothing comes. A body that drips, or the blank lines with which gateways keep a connection alive
while a model thinks, comes for ever, so no time-out of a client library ever ends it. Async code is cancelled from
outside; a blocking read can only be told beforehand how long it may take. A thread that waits for it would do too, but
costs every call a tenth of litellm's own time. What must not live here: what happens after the deadline.
"""

from __future__ import annotations

import contextvars
import importlib
import time
from collections.abc import Callable
from typing import Any

#: When reads in this thread or task must have ended, on the monotonic clock.
_end: contextvars.ContextVar[float | None] = contextvars.ContextVar("agentflow_llm_end", default=None)


def ending_in(seconds: float) -> contextvars.Token[float | None]:
    """Reads from now on fail once `seconds` have passed, until the token is reset."""
    return _end.set(time.monotonic() + seconds)


def install() -> None:
    """Let every connection that httpx opens from now on heed `ending_in`; outside of it nothing changes."""
    httpcore = importlib.import_module("httpcore")
    connect = httpcore.SyncBackend.connect_tcp

    def connect_tcp(self: object, *args: Any, **kwargs: Any) -> Any:
        return stream_type(connect(self, *args, **kwargs))

    stream_type = _timely(httpcore)
    httpcore.SyncBackend.connect_tcp = connect_tcp


def _timely(httpcore: Any) -> Callable[[Any], Any]:
    """A network stream of httpcore's whose `read` knows when to end; its base class is not there on import."""

    class TimelyStream(httpcore.NetworkStream):  # type: ignore[misc]
        def __init__(self, stream: Any) -> None:
            self._stream = stream

        def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
            end = _end.get()
            if end is None:
                return bytes(self._stream.read(max_bytes, timeout))
            left = end - time.monotonic()
            if left <= 0:
                raise httpcore.ReadTimeout("the deadline of the call is over")
            return bytes(self._stream.read(max_bytes, left if timeout is None else min(left, timeout)))

        def write(self, buffer: bytes, timeout: float | None = None) -> None:
            self._stream.write(buffer, timeout)

        def close(self) -> None:
            self._stream.close()

        def start_tls(self, *args: Any, **kwargs: Any) -> Any:
            return TimelyStream(self._stream.start_tls(*args, **kwargs))

        def get_extra_info(self, info: str) -> Any:
            return self._stream.get_extra_info(info)

    return TimelyStream
