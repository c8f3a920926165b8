"""The providers' HTTP: each module reads a request of one dialect and writes replies in it."""

from agentflow.testing.dialects import anthropic, gemini, openai

#: Asked in this order which of them a request is.
DIALECTS = (anthropic, gemini, openai)

__all__ = ["DIALECTS"]
