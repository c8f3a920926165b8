"""Serving: a web API, and the server for it, made from a graph.

Needs the `serve` extra. What must not live here: pages; those belong to whoever serves them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from agentflow.errors import MissingExtraError

if TYPE_CHECKING:
    from agentflow.serving.api import create_api
    from agentflow.serving.listening import serve
    from agentflow.serving.service import Service, Write

_HOMES = {"create_api": "api", "serve": "listening", "Service": "service", "Write": "service"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'agentflow.serving' has no attribute {name!r}")
    try:
        module = importlib.import_module(f"agentflow.serving.{_HOMES[name]}")
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in ("fastapi", "pydantic", "starlette", "uvicorn"):
            raise
        raise MissingExtraError("serving", "serve") from None
    return getattr(module, name)


__all__ = ["Service", "Write", "create_api", "serve"]
