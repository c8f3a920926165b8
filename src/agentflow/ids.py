"""Ids for applications that were given none: 128 random bits each, as hexadecimal digits.

What must not live here: ids that follow from something, as those of children do.
"""

from __future__ import annotations

import os
from typing import Final

_TAKEN_AT_ONCE: Final = 64
_spare: Final[list[str]] = []


def new_id() -> str:
    """An id that nothing else has; safe in threads, and in processes forked from this one.

    Example:
        >>> len(new_id())
        32
    """
    try:
        return _spare.pop()
    except IndexError:
        return _refilled()


def _refilled() -> str:
    # Asking the system once for many costs a fraction of asking for each.
    digits = os.urandom(16 * _TAKEN_AT_ONCE).hex()
    first, *others = [digits[at : at + 32] for at in range(0, len(digits), 32)]
    _spare.extend(others)
    return first


if hasattr(os, "register_at_fork"):  # a system without it has no forks
    os.register_at_fork(after_in_child=_spare.clear)  # what the parent has in stock is the parent's
