"""State: an immutable mapping from key to value, and the operations that make the next one.

Every operation returns a new `State` and remembers what it changed, so that a step can be saved as a delta. An action
is handed a view with a `Scope`: the keys it declared to read and write, enforced where it reads and writes them.
What must not live here: saving, or anything about which action runs.
"""

from __future__ import annotations

from agentflow.state.changes import (
    StateDelta,
    child_view,
    compacted,
    delta,
    difference,
    independent,
    over,
    settle,
    settle_told,
    stored_values,
    view,
    without_history,
)
from agentflow.state.declared import InheritedTyping, Scope, TypingSystem
from agentflow.state.log import Log, Shelf
from agentflow.state.mapping import Data, State, written_keys

__all__ = [
    "Data",
    "InheritedTyping",
    "Log",
    "Scope",
    "Shelf",
    "State",
    "StateDelta",
    "TypingSystem",
    "child_view",
    "compacted",
    "delta",
    "difference",
    "independent",
    "over",
    "settle",
    "settle_told",
    "stored_values",
    "view",
    "without_history",
    "written_keys",
]
