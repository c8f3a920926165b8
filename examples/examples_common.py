"""What the examples share: which model to ask, and the scripted provider that stands in when there is no key."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from agentflow.testing import Request, ScriptedProvider

#: The model of each provider that is asked when its key is set, the first one found.
MODELS = {
    "OPENAI_API_KEY": "gpt-4o-mini",
    "ANTHROPIC_API_KEY": "anthropic/claude-sonnet-4-5",
    "GEMINI_API_KEY": "gemini/gemini-2.5-flash",
}


def provider(
    model: str | None, api_base: str | None, answer: Callable[[Request], Any]
) -> tuple[str, ScriptedProvider | None]:
    """The model to ask, and the scripted provider to ask it of; None when it is to be asked for real.

    A model is asked for real when an address is given, when a model is named, or when a key is set.
    """
    found = next((name for key, name in MODELS.items() if os.environ.get(key)), None)
    real = api_base is not None or model is not None or found is not None
    return model or found or "gpt-4o-mini", None if real else ScriptedProvider(answer)
