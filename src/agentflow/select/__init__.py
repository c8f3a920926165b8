"""One choice among named targets: the promise, the record, the ways to choose. Deciders load when first used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from agentflow.select.selector import END, Abstention, Decision, PendingChoice, Select, Selector, Target
from agentflow.select.switch import Switch, switch

if TYPE_CHECKING:
    from agentflow.select.caching import DecisionCache, DiskCache, MemoryCache
    from agentflow.select.cascade import Cascade
    from agentflow.select.decider import Decider
    from agentflow.select.embedding import EmbeddingDecider
    from agentflow.select.examples import Example
    from agentflow.select.hashing import HashingEmbedder
    from agentflow.select.human import HumanDecider
    from agentflow.select.llm import LLMDecider, create_decision_model
    from agentflow.select.rule import RuleDecider

__all__ = [
    "END",
    "Abstention",
    "Cascade",
    "Decider",
    "Decision",
    "DecisionCache",
    "DiskCache",
    "EmbeddingDecider",
    "Example",
    "HashingEmbedder",
    "HumanDecider",
    "LLMDecider",
    "MemoryCache",
    "PendingChoice",
    "RuleDecider",
    "Select",
    "Selector",
    "Switch",
    "Target",
    "create_decision_model",
    "switch",
]

_LAZY = {
    "HashingEmbedder": "hashing",
    "EmbeddingDecider": "embedding",
    "RuleDecider": "rule",
    "HumanDecider": "human",
    "Cascade": "cascade",
    "Decider": "decider",
    "DecisionCache": "caching",
    "DiskCache": "caching",
    "Example": "examples",
    "LLMDecider": "llm",
    "MemoryCache": "caching",
    "create_decision_model": "llm",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(f"agentflow.select.{_LAZY[name]}"), name)
    raise AttributeError(f"module 'agentflow.select' has no attribute {name!r}")
