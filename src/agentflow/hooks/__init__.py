"""What can be observed: one Protocol per moment, and the set that fires them.

A hook is any object with methods of these names, plain or async, each called with the keyword arguments it declares.
Hooks before a moment run in the order they were added, hooks after one in reverse, so that the first is the outermost.
A hook observes one application; one with an attribute `cascades = True` observes its children too, as its tracker does.
An error in a hook is raised to the caller of the run; what was committed before it stays committed. What must not
live here: what a particular hook does with what it sees.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from agentflow.hooks.listening import MOMENTS, NO_HOOKS, Hook, HookSet, Listener, fire
from agentflow.hooks.methods import ExecuteMethod

if TYPE_CHECKING:
    from agentflow.hooks.moments import (
        DoLogAttributeHook,
        PostApplicationCreateHook,
        PostDecideHook,
        PostEndSpanHook,
        PostEndStreamHook,
        PostRunExecuteCallHook,
        PostRunStepHook,
        PostStreamItemHook,
        PostUpdateStateHook,
        PreRunExecuteCallHook,
        PreRunStepHook,
        PreStartSpanHook,
        PreStartStreamHook,
    )
    from agentflow.hooks.ready import AsyncSlowDownHook, SlowDownHook, StateAndResultsFullLogger

__all__ = [
    "MOMENTS",
    "NO_HOOKS",
    "AsyncSlowDownHook",
    "DoLogAttributeHook",
    "ExecuteMethod",
    "Hook",
    "HookSet",
    "Listener",
    "PostApplicationCreateHook",
    "PostDecideHook",
    "PostEndSpanHook",
    "PostEndStreamHook",
    "PostRunExecuteCallHook",
    "PostRunStepHook",
    "PostStreamItemHook",
    "PostUpdateStateHook",
    "PreRunExecuteCallHook",
    "PreRunStepHook",
    "PreStartSpanHook",
    "PreStartStreamHook",
    "SlowDownHook",
    "StateAndResultsFullLogger",
    "fire",
]


#: The ready ones need json and dates; the Protocols are for those who annotate what they write.
_READY = ("AsyncSlowDownHook", "SlowDownHook", "StateAndResultsFullLogger")


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module(f"agentflow.hooks.{'ready' if name in _READY else 'moments'}"), name)
    raise AttributeError(f"module 'agentflow.hooks' has no attribute {name!r}")
