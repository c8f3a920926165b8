"""Terms: how an application is saved, as its builder says.

What must not live here: keeping them (`journal.py`).
"""

from __future__ import annotations

from dataclasses import dataclass

from agentflow.errors import BuildError, did_you_mean
from agentflow.persistence.backlog import FAST_SECONDS, FAST_STEPS

MODES = ("durable", "fast")
POLICIES = ("raise", "wait", "takeover")


@dataclass(frozen=True, slots=True)
class Terms:
    """How an application is saved.

    Attributes:
        mode: "durable": each step is committed before the next begins and before the caller sees it; "fast": in
            batches, at most `FAST_STEPS` and `FAST_SECONDS` behind, and without waiting for the disk.
        on_conflict: What to do where somebody else runs it or has moved it on: "raise", "wait" until they are done and
            go on from there, or "takeover" from them at once.
        lease_seconds: How long after its process has vanished on another host an application can be taken.
        wait_seconds: How long to wait for others at most.

    Raises:
        BuildError: A word is unknown, or a number makes no sense.
    """

    mode: str = "durable"
    on_conflict: str = "raise"
    lease_seconds: float = 30.0
    wait_seconds: float = 60.0

    @property
    def behind(self) -> str:
        """How far the store may be behind, in words."""
        far = f"at most {FAST_STEPS} steps and {FAST_SECONDS:g} seconds" if self.mode == "fast" else "no step"
        return f"{self.mode}: {far} behind"

    def __post_init__(self) -> None:
        for name, given, known in (("mode", self.mode, MODES), ("on_conflict", self.on_conflict, POLICIES)):
            if given not in known:
                raise BuildError(f"{name}={given!r} is unknown. {did_you_mean(given, known)}")
        if not self.lease_seconds > 0 or self.wait_seconds < 0:
            raise BuildError("lease_seconds has to be above 0, and wait_seconds not below it: give seconds.")
