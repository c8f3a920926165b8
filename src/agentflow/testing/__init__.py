"""Testing agents offline: a provider that says what it is told, over the providers' own HTTP."""

from agentflow.testing.exchange import Fault, Reply, Request
from agentflow.testing.scripted import ScriptedProvider, UnscriptedRequestError

__all__ = ["Fault", "Reply", "Request", "ScriptedProvider", "UnscriptedRequestError"]
