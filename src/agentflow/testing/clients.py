"""Making the clients of models interceptable for a while: through httpx, and with a key to show.

What must not live here: what they are answered.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

#: Any key does, since nothing leaves the machine.
KEYS = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY")
LENT = "sk-scripted"


@contextmanager
def interceptable() -> Iterator[None]:
    """Keep async calls on httpx, and lend a key to every provider that has none."""
    borrowed = [key for key in KEYS if not os.environ.get(key)]
    os.environ.update(dict.fromkeys(borrowed, LENT))
    os.environ["DISABLE_AIOHTTP_TRANSPORT"] = "True"  # litellm reads it when it is imported
    litellm: Any = sys.modules.get("litellm")
    if litellm is not None and not getattr(litellm, "disable_aiohttp_transport", True):
        litellm.disable_aiohttp_transport = True
        litellm.in_memory_llm_clients_cache.flush_cache()  # it keeps clients that go past httpx
    try:
        yield
    finally:
        for key in borrowed:
            os.environ.pop(key, None)
