"""The one place that talks to a provider: litellm below, one layer of retries, usage and cost above.

Every verb has an `a` twin for async code. Importing this loads no third-party library; the first call does. What must
not live here: graphs, actions and deciders, which call these verbs like anybody else.
"""

from agentflow.llm.completing import acomplete, complete
from agentflow.llm.embedding import aembed, embed
from agentflow.llm.guard import allow_real_calls, forbid_real_calls, real_calls_allowed
from agentflow.llm.limits import Limits, configure
from agentflow.llm.policy import RetryPolicy
from agentflow.llm.requests import Options
from agentflow.llm.results import Attempt, Completion, Embedding, Message, Structured, ToolCall
from agentflow.llm.streams import AsyncTextStream, TextStream, astream, stream
from agentflow.llm.structuring import Mode, astructured, structured
from agentflow.redaction import redact

__all__ = [
    "AsyncTextStream",
    "Attempt",
    "Completion",
    "Embedding",
    "Limits",
    "Message",
    "Mode",
    "Options",
    "RetryPolicy",
    "Structured",
    "TextStream",
    "ToolCall",
    "acomplete",
    "aembed",
    "allow_real_calls",
    "astream",
    "astructured",
    "complete",
    "configure",
    "embed",
    "forbid_real_calls",
    "real_calls_allowed",
    "redact",
    "stream",
    "structured",
]
