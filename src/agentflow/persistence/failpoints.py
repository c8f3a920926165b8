"""The boundaries of the commit protocol, each with a name, where a test can have the process die.

`AGENTFLOW_FAILPOINT=after-commit:3` kills this process (SIGKILL) the third time it gets there. Nobody sets that but a
test; otherwise a boundary costs one look at an empty variable. What must not live here: what happens between them.
"""

from __future__ import annotations

import os
import signal
from typing import Final

#: Every boundary, in the order in which a step passes them.
POINTS: Final = (
    "before-claim",
    "after-claim",
    "before-decision",
    "after-decision",
    "before-intent",
    "after-intent",
    "after-effect",
    "in-transaction",
    "after-commit",
    "before-child",
    "after-child",
    "before-reduce",
    "after-reduce",
    "before-release",
    "after-release",
)

_armed: tuple[str, int] | None = None
_passed = 0


def arm(setting: str | None) -> None:
    """Have the process die at a boundary: its name, a colon, and the how manieth time; None for nowhere.

    Raises:
        ValueError: There is no such boundary.
    """
    global _armed, _passed
    name, _, times = (setting or "").partition(":")
    if name and name not in POINTS:
        raise ValueError(f"AGENTFLOW_FAILPOINT names {name!r}, no boundary: use one of {', '.join(POINTS)}.")
    _armed, _passed = (name, int(times or 1)) if name else None, 0


def reach(name: str) -> None:
    """Say that a boundary is reached; the process may end here."""
    if _armed is not None:
        _die_at(name)


def _die_at(name: str) -> None:
    global _passed
    assert _armed is not None
    if name == _armed[0]:
        _passed += 1
        if _passed == _armed[1]:
            os.kill(os.getpid(), signal.SIGKILL)


arm(os.environ.get("AGENTFLOW_FAILPOINT"))
