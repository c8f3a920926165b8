"""Typed state with pydantic models, under the name people look for it by; it lives in `agentflow.typed`."""

from __future__ import annotations

from agentflow.typed import PydanticTypingSystem

__all__ = ["PydanticTypingSystem"]
