"""Files that a command is told to write to: looked at before its work is done, and written when it is.

What must not live here: what is written.
"""

from __future__ import annotations

import os
from pathlib import Path

from agentflow.errors import InputError


def check_place(option: str, path: str | Path) -> None:
    """See that what the work comes to will have a place to go.

    Raises:
        InputError: It will not.
    """
    place = Path(path)
    if place.is_dir() or not os.access(place if place.exists() else place.parent, os.W_OK):
        raise InputError(
            f"cannot write {option} to {path}: give a file that can be written, in a directory that exists."
        )


def write(path: str | Path, text: str, otherwise: str = "give another file") -> None:
    """Write a text; `otherwise` is what is said where that fails.

    Raises:
        InputError: It cannot be written.
    """
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}; {otherwise}.") from None
