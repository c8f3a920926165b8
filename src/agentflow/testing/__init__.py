"""Testing agents offline: a provider that says what it is told, over the providers' own HTTP, and what was run.

Each public name is loaded when it is first used: pytest loads this package wherever agentflow is installed.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agentflow.testing.branches import BranchCoverage
    from agentflow.testing.exchange import Fault, Reply, Request
    from agentflow.testing.forcing import force_decision
    from agentflow.testing.paths import assert_path
    from agentflow.testing.recording import Recording
    from agentflow.testing.scripted import ScriptedProvider
    from agentflow.testing.unscripted import UnscriptedRequestError

__all__ = [
    "BranchCoverage",
    "Fault",
    "Recording",
    "Reply",
    "Request",
    "ScriptedProvider",
    "UnscriptedRequestError",
    "assert_path",
    "force_decision",
]

_HOMES = {
    "BranchCoverage": "branches",
    "Fault": "exchange",
    "Recording": "recording",
    "Reply": "exchange",
    "Request": "exchange",
    "ScriptedProvider": "scripted",
    "UnscriptedRequestError": "unscripted",
    "assert_path": "paths",
    "force_decision": "forcing",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"agentflow.testing.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'agentflow.testing' has no attribute {name!r}")
