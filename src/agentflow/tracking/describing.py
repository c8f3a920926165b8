"""What a tracker is told, as plain facts: graphs (once for each different one), pointers, decisions, outcomes.

What must not live here: making text of it (`encoding.py`), or pictures (`agentflow.drawing`).
"""

from __future__ import annotations

import hashlib
import weakref
from collections.abc import Callable, Mapping
from typing import Any

from agentflow.actions import Action
from agentflow.graph import Graph, Transition
from agentflow.select.selector import Decision
from agentflow.signatures import names
from agentflow.state import State, delta
from agentflow.tracking.store import Pointer

_known: weakref.WeakKeyDictionary[Graph, tuple[str, str]] = weakref.WeakKeyDictionary()


def described(graph: Graph, encode: Callable[[Any], str]) -> tuple[str, str]:
    """The graph as JSON text, and the digest of that."""
    found = _known.get(graph)
    if found is None:
        text = encode(graph_facts(graph))
        found = _known[graph] = hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:32], text
    return found


def graph_facts(graph: Graph) -> dict[str, Any]:
    """Its actions with what they declare, and its transitions with what decides about them."""
    return {
        "actions": [_action(action) for action in graph.actions],
        "transitions": [_transition(transition) for transition in graph.transitions],
    }


def _action(action: Action) -> dict[str, Any]:
    contract = action.contract
    return {
        "name": action.name,
        "description": action.description,
        "reads": sorted(contract.scope.reads),
        "writes": sorted(contract.scope.writes),
        "inputs": {"required": contract.parameters.required, "optional": list(contract.parameters.optional)},
        "tags": list(names(action.tags)),
        "streaming": bool(action.streaming),
    }


def _transition(transition: Transition) -> dict[str, Any]:
    return {
        "source": transition.source,
        "targets": transition.targets,
        "decided_by": transition.selector.name,
        "choice": transition.is_choice,
    }


def pointer_facts(given: Any) -> Pointer:
    """A pointer to a step of another application, or to nothing."""
    return Pointer() if given is None else Pointer(given.app_id, given.partition_key, given.sequence_id)


def decision_facts(decision: Decision) -> dict[str, Any]:
    """A decision without what it has nothing to say about."""
    facts: dict[str, Any] = {"source": decision.source, "target": decision.target, "decided_by": decision.decided_by}
    if len(decision.targets) > 1:
        facts["targets"] = decision.targets
    for name in ("reason", "confidence", "raw", "tokens", "cost", "seconds", "fallback"):
        value = getattr(decision, name)
        if value:
            facts[name] = value
    return facts


def add_outcome(facts: dict[str, Any], state: State[Any], result: Mapping[str, Any] | None, saved: str | None) -> None:
    """Note what a step changed, and its result where that is more than what was written into the state.

    Where a persister's tables hold the change (their name is `saved`), only that is noted.
    """
    change = delta(state)
    if saved is not None:
        facts["saved"] = saved
    else:
        for name, part in (("set", change.set), ("append", change.append), ("delete", sorted(change.delete))):
            if part:
                facts[name] = part
    if not result:
        return
    written = change.set
    if isinstance(result, Mapping) and all(key in written and written[key] is result[key] for key in result):
        facts["result_of"] = list(result)
    else:
        facts["result"] = result
