"""Serving: a web API, and the server for it, made from a graph.

Needs the `serve` extra. What must not live here: pages; those belong to whoever serves them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from agentflow.errors import MissingExtraError

if TYPE_CHECKING:
    from agentflow.serving.api import create_api


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'agentflow.serving' has no attribute {name!r}")
    try:
        module = importlib.import_module("agentflow.serving.api")
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in ("fastapi", "pydantic", "starlette"):
            raise
        raise MissingExtraError("serving", "serve") from None
    return getattr(module, name)


__all__ = ["create_api"]
