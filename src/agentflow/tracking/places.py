"""Where tracked runs are kept, and which texts can be kept there.

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


def storable(text: str) -> str:
    """A text that UTF-8 can hold: half a character becomes its escape, which JSON reads as that half."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")
