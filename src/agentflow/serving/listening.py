"""serve: a server that listens for an API, on this machine only unless it is told otherwise.

What must not live here: the API.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import Any, Final

import uvicorn
from fastapi import FastAPI

from agentflow.errors import BuildError

#: How long requests that are being answered, and streams that are being watched, may take to end (seconds).
GRACE: Final = 3


def serve(api: Any, *, host: str = "127.0.0.1", port: int = 8000, tell: Callable[[str], None] | None = None) -> None:
    """Listen for an API until the process is told to stop.

    Args:
        api: What `create_api` made, or any other ASGI application.
        host: Where to listen; another than this machine only for an API that has its own authentication.
        port: Which port; 0 for any that is free.
        tell: Is called with the address to open once the server listens. The token is in the part of it that browsers
            do not send.

    Raises:
        BuildError: A server with nothing but a token would listen for other machines, or there is no such port.
    """
    if not 0 <= port <= 65535:
        raise BuildError(f"there is no port {port}: give one from 1 to 65535, or 0 for any that is free.")
    token = getattr(api.state, "token", None) if isinstance(api, FastAPI) else None
    if token is not None and not _is_loopback(host):
        raise BuildError(
            f"host={host!r} lets other machines in, and a token on its own travels there unencrypted: pass "
            "create_api(partition_key=...) an authentication of yours, and put the server behind TLS."
        )
    config = uvicorn.Config(
        api,
        host=host,
        port=port,
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=GRACE,
        timeout_keep_alive=10,
        h11_max_incomplete_event_size=64 * 1024,
    )
    _Server(config, token, tell).run()


class _Server(uvicorn.Server):
    """A server that says where it listens."""

    def __init__(self, config: uvicorn.Config, token: str | None, tell: Callable[[str], None] | None) -> None:
        super().__init__(config)
        self._token = token
        self._tell = tell

    async def startup(self, sockets: Any = None) -> None:
        """Begin to listen."""
        await super().startup(sockets)
        if self.started and self._tell is not None:
            host, port = self.servers[0].sockets[0].getsockname()[:2]
            shown = f"[{host}]" if ":" in host else host
            self._tell(f"http://{shown}:{port}/" + (f"#token={self._token}" if self._token else ""))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
