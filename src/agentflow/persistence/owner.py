"""Who runs an application, told apart across hosts, processes and objects; and whether they can still be there.

An owner is text: host / process id / start of the process / object. That a process on this host is gone is seen at
once, so a crash never costs the rest of a lease. What must not live here: leases, which only stores count.
"""

from __future__ import annotations

import functools
import os
import sys
from itertools import count

_numbers = count(1)
_here: set[str] = set()  # the owners of this process that hold something


def new_owner() -> str:
    """Somebody new: an object of this process."""
    process = os.getpid()
    return f"{host()}/{process}/{_own_start(process)}/{next(_numbers)}"


def holds(owner: str) -> None:
    """From here on, this owner of this process holds something."""
    _here.add(owner)


def lets_go(owner: str) -> None:
    """It does no longer."""
    _here.discard(owner)


def alive(owner: str) -> bool:
    """Whether an owner can still be there; True for all of other hosts, of which nothing is known."""
    where, _, rest = owner.partition("/")
    process, _, rest = rest.partition("/")
    start = rest.partition("/")[0]
    if where != host() or not process.isdigit():
        return True
    if int(process) == os.getpid():
        return start == _own_start(os.getpid()) and owner in _here
    return start != "" and started(int(process)) == start


@functools.lru_cache(maxsize=1)
def host() -> str:
    """This boot of this machine, and the namespace that its process ids count in."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            boot = file.read().strip()
        return f"{boot}-{os.stat('/proc/self/ns/pid').st_ino}"
    except OSError:
        import socket  # not on Linux

        return socket.gethostname().replace("/", "-")


def started(process: int) -> str:
    """When a process started, so that its number given to another is told apart; "" when it is gone."""
    if sys.platform == "win32":  # os.kill(pid, 0) would end the process there
        return "?"
    try:
        with open(f"/proc/{process}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
        return "" if fields[0] in (b"Z", b"X") else fields[19].decode("ascii")
    except OSError:
        pass
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        pass
    return "" if os.path.isdir("/proc/self") else "?"


@functools.lru_cache(maxsize=1)
def _own_start(process: int) -> str:
    return started(process)  # the number is asked for again after a fork
