"""Where tracked runs are kept.

What must not live here: opening what lies there.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

#: The name of the file in its root.
FILE: Final = "agentflow.db"


def root_folder(root: str | os.PathLike[str] | None = None) -> Path:
    """Where tracked runs are kept: `root`, or the variable AGENTFLOW_HOME, or ~/.agentflow."""
    return Path(root or os.environ.get("AGENTFLOW_HOME") or Path.home() / ".agentflow")
