"""Processes to torture: forked, so that a thousand of them cost seconds, and killed by their own ids only.

What must not live here: what they do.
"""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path


def forked(work: Callable[[], object], log: Path | None = None) -> int:
    """Run something in a process of its own: its id. It exits with 0, or with 1 and its traceback in `log`."""
    sys.stdout.flush()
    sys.stderr.flush()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # before its own work begins, a child is not interrupted
    child = os.fork()
    if child:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        return child
    code = 1
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        work()
        code = 0
    except BaseException:
        if log is not None:
            with log.open("a", encoding="utf-8") as file:
                traceback.print_exc(file=file)
    finally:
        os._exit(code)


def ended(process: int, within: float | None = None) -> int | None:
    """How a process ended: its exit code, or minus the signal that killed it; None if it did not end in time."""
    deadline = None if within is None else time.monotonic() + within
    while True:
        found, status = os.waitpid(process, 0 if deadline is None else os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if deadline is not None and time.monotonic() > deadline:
            return None
        time.sleep(0.0005)


def strike(process: int, after: float, with_signal: int = signal.SIGKILL) -> int:
    """Signal a process after so many seconds, unless it ends before: how it ended."""
    code = ended(process, after)
    if code is not None:
        return code
    os.kill(process, with_signal)
    code = ended(process, 30.0)
    if code is None:
        os.kill(process, signal.SIGKILL)
        code = ended(process)
    assert code is not None
    return code


def note(path: Path, text: str) -> None:
    """Append a line so that it is there whatever happens to this process next."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, f"{text}\n".encode())
    finally:
        os.close(descriptor)


def notes(path: Path) -> list[str]:
    """The lines that were noted."""
    return path.read_text(encoding="utf-8").split("\n")[:-1] if path.exists() else []
