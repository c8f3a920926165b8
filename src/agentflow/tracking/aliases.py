"""The names under which others know what is here.

What must not live here: anything that does more than its original.
"""

from __future__ import annotations

import os

from agentflow.tracking.local import LocalTracker


class LocalTrackingClient(LocalTracker):
    """A `LocalTracker`, by the name and with the arguments under which others know it.

    Args:
        project: Under which name the runs are listed.
        storage_dir: The folder of the file.
    """

    def __init__(self, project: str = "default", storage_dir: str | os.PathLike[str] | None = None) -> None:
        super().__init__(project, storage_dir)
