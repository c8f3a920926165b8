"""What holds for every test: litellm at its quietest, no network but loopback, one body for both colours."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from typing import Any

os.environ.update(  # before anything imports litellm, which reads these once
    LITELLM_LOCAL_MODEL_COST_MAP="True",
    LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS="True",
    LITELLM_MODE="PRODUCTION",
    DISABLE_AIOHTTP_TRANSPORT="True",
    OPENAI_API_KEY="sk-test",
    ANTHROPIC_API_KEY="sk-test",
    GEMINI_API_KEY="sk-test",
)

import pytest

from tests.drivers import drive

__all__ = ["drive"]

LOOPBACK = ("127.0.0.1", "localhost", "::1", "", None)


@pytest.fixture(autouse=True)
def no_network_but_loopback(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A test that tries to reach anybody else fails, however it tries."""
    real_getaddrinfo, real_connect = socket.getaddrinfo, socket.socket.connect

    def getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
        if (host.decode() if isinstance(host, bytes) else host) not in LOOPBACK:
            raise OSError(f"a test tried to look up {host!r}: only loopback may be reached")
        return real_getaddrinfo(host, *args, **kwargs)

    def connect(self: socket.socket, address: Any) -> Any:
        if isinstance(address, tuple) and not str(address[0]).startswith(("127.", "::1", "localhost")):
            raise OSError(f"a test tried to connect to {address!r}: only loopback may be reached")
        return real_connect(self, address)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(socket.socket, "connect", connect)
    yield
