"""agentflow: LLM agents as explicit state machines. The public names; everything heavy loads when first used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from agentflow.actions import Action, action, bind
from agentflow.application import Application
from agentflow.budget import Budget
from agentflow.builder import ApplicationBuilder, GraphBuilder
from agentflow.conditions import Condition, default, expr, when
from agentflow.containers import AsyncStreamingResultContainer, StreamingResultContainer
from agentflow.context import ApplicationContext, get_active_context, get_active_tracker
from agentflow.engine.machine import Status
from agentflow.graph import Graph, Transition
from agentflow.select import END, Decision, PendingChoice, Select, Selector, Target, switch
from agentflow.state import State
from agentflow.streaming import AsyncStreamingAction, StreamingAction, streaming_action

if TYPE_CHECKING:
    from agentflow.redaction import Secret
    from agentflow.select.cascade import Cascade
    from agentflow.select.embedding import EmbeddingDecider
    from agentflow.select.human import HumanDecider
    from agentflow.select.llm import LLMDecider, create_decision_model
    from agentflow.select.rule import RuleDecider
    from agentflow.typed import PydanticTypingSystem

#: The name the 1-to-many transition had when it was first proposed.
OneToManyCondition = Select
#: The name of a graph as an application holds it.
ApplicationGraph = Graph

__all__ = [
    "END",
    "Action",
    "Application",
    "ApplicationBuilder",
    "ApplicationContext",
    "ApplicationGraph",
    "AsyncStreamingAction",
    "AsyncStreamingResultContainer",
    "Budget",
    "Cascade",
    "Condition",
    "Decision",
    "EmbeddingDecider",
    "Graph",
    "GraphBuilder",
    "HumanDecider",
    "LLMDecider",
    "OneToManyCondition",
    "PendingChoice",
    "PydanticTypingSystem",
    "RuleDecider",
    "Secret",
    "Select",
    "Selector",
    "State",
    "Status",
    "StreamingAction",
    "StreamingResultContainer",
    "Target",
    "Transition",
    "action",
    "bind",
    "create_decision_model",
    "default",
    "expr",
    "get_active_context",
    "get_active_tracker",
    "streaming_action",
    "switch",
    "when",
]

_LAZY = {
    "Secret": "agentflow.redaction",
    "RuleDecider": "agentflow.select.rule",
    "HumanDecider": "agentflow.select.human",
    "EmbeddingDecider": "agentflow.select.embedding",
    "Cascade": "agentflow.select.cascade",
    "LLMDecider": "agentflow.select.llm",
    "create_decision_model": "agentflow.select.llm",
    "PydanticTypingSystem": "agentflow.typed",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'agentflow' has no attribute {name!r}")
