"""Time zones by name, for names that may be hostile: no import and no file outside the time zone database.

What must not live here: any other type.
"""

from __future__ import annotations

import functools
import os
import re
import zoneinfo

_NAME = re.compile(r"[A-Za-z0-9_+-]{1,40}(/[A-Za-z0-9_+-]{1,40}){0,3}")


def zone(name: str) -> zoneinfo.ZoneInfo:
    """The time zone of this name.

    Raises:
        ValueError: There is none on this machine.
    """
    # `ZoneInfo` alone would import a package under `tzdata` that is named by whoever wrote the record.
    if not _NAME.fullmatch(name) or not (_on_disk(name) or name in _packaged()):
        raise ValueError("this machine knows no time zone of its name")
    return zoneinfo.ZoneInfo(name)


def _on_disk(name: str) -> bool:
    return any(os.path.isfile(os.path.join(root, *name.split("/"))) for root in zoneinfo.TZPATH)


@functools.cache
def _packaged() -> frozenset[str]:
    if any(os.path.isdir(root) for root in zoneinfo.TZPATH):
        return frozenset()  # the system's own database is the whole of it
    return frozenset(zoneinfo.available_timezones())
