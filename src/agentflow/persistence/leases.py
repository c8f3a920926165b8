"""Renewing leases while actions run, and writing out what a fast run holds back: one thread for a whole process.

It is there while somebody holds something, and ends soon after. What must not live here: who may take a lease.
"""

from __future__ import annotations

import os
import weakref
from typing import Protocol

from agentflow.runtime import Ticker, new_lock

#: How often the thread looks, in seconds.
TICK = 0.05


class Held(Protocol):
    """What is looked after while it is held."""

    def look(self) -> None:
        """Renew the lease if it is time to, and write out what has been held back too long."""


_held: weakref.WeakSet[Held] = weakref.WeakSet()
_lock = new_lock()
_ticker: Ticker | None = None
_idle = 0


def keep(journal: Held) -> None:
    """Look after something from here on."""
    global _ticker
    with _lock:
        _held.add(journal)
        if _ticker is None:
            _ticker = Ticker(TICK, _tick, "agentflow-leases")


def _forget() -> None:
    """In a forked child nothing is held yet, and the thread and whatever it had locked stayed behind."""
    global _held, _lock, _ticker, _idle
    _held, _lock, _ticker, _idle = weakref.WeakSet(), new_lock(), None, 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def drop(journal: Held) -> None:
    """Look after it no longer."""
    with _lock:
        _held.discard(journal)


def _tick() -> bool:
    global _ticker, _idle
    with _lock:
        held = list(_held)
        _idle = 0 if held else _idle + 1
        if _idle * TICK > 1.0:
            _ticker, _idle = None, 0
            return False
    for journal in held:
        journal.look()
    return True
