"""Tracking: recording what applications do in one file, and looking at it afterwards or meanwhile.

`LocalTracker` is a hook that records; `Runs` reads. What must not live here: anything a run depends on.
"""

from __future__ import annotations

from agentflow.tracking.aliases import LocalTrackingClient
from agentflow.tracking.local import LocalTracker
from agentflow.tracking.reader import Runs
from agentflow.tracking.records import (
    Found,
    Stream,
    TrackedApplication,
    TrackedDecision,
    TrackedEvent,
    TrackedProject,
    TrackedSpan,
    TrackedStep,
)

__all__ = [
    "Found",
    "LocalTracker",
    "LocalTrackingClient",
    "Runs",
    "Stream",
    "TrackedApplication",
    "TrackedDecision",
    "TrackedEvent",
    "TrackedProject",
    "TrackedSpan",
    "TrackedStep",
]
