"""How often, how long and how patiently a call is tried: the numbers, and the waits that tenacity follows.

One layer of retries: litellm's, the provider SDK's and instructor's own are switched off. What must not live here:
telling faults apart (faults.py) and making calls.
"""

from __future__ import annotations

import email.utils
import time
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """What a call may cost in attempts and seconds.

    Transient faults (no connection, resets, 408, 409, 425, 429, 5xx, time-outs, broken bodies) are tried again after
    the provider's Retry-After, or else after exponential back-off with full jitter. Malformed answers are re-asked at
    once, with what was wrong with them, on a budget of their own. Everything else fails at once.

    Attributes:
        retries: How many transient faults one model is forgiven.
        reasks: How many malformed answers one model is forgiven.
        backoff: Seconds the first back-off may take at most; it doubles every time.
        max_backoff: Seconds any back-off may take at most.
        max_retry_after: The longest Retry-After, in seconds, worth waiting for; a longer one fails at once.
        timeout: Seconds one attempt may take.
        deadline: Seconds the whole call may take, waiting and fallback models included.

    Example:
        >>> RetryPolicy(retries=1, deadline=10).timeout
        60.0
    """

    retries: int = 4
    reasks: int = 2
    backoff: float = 0.5
    max_backoff: float = 20.0
    max_retry_after: float = 60.0
    timeout: float = 60.0
    deadline: float = 180.0


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds a response asks to wait: `retry-after-ms`, or `Retry-After` in seconds or as an HTTP date.

    Sources: RFC 9110 section 10.2.3; `retry-after-ms` is what OpenAI-style servers send for fractions of a second.

    >>> retry_after({"retry-after": "1.5"})
    1.5
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    text = headers.get("retry-after")
    seconds = _number(text)
    if seconds is not None or not text:
        return seconds
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except ValueError:
        return None


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if 0 <= value < float("inf") else None
