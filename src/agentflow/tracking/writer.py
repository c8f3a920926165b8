"""Writer: the one thread of a process that writes what was tracked into a file, in batches, behind everybody's back.

Whoever hands over an event never waits and is never told of a failure: what cannot be kept or written is dropped and
counted. The thread begins with the first event, ends when there has been nothing to do for a while, and begins anew
after a fork. What must not live here: what an event is made of, or SQL.
"""

from __future__ import annotations

import atexit
import itertools
import logging
import os
import sqlite3
import threading
import time
import weakref
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from agentflow.redaction import Redactor, redact
from agentflow.tracking.places import storable
from agentflow.tracking.store import Built, Row, Source, Store

#: What waits to be written may be so many events and so many characters; what comes on top is dropped.
WAITING: Final = 10_000
CHARACTERS: Final = 64_000_000
#: How long the thread gathers events before it writes them, and waits for more before it ends (seconds).
GATHER: Final = 0.05
IDLE: Final = 5.0
#: The most events in one transaction: it must not hold up others for long.
BATCH: Final = 1_000
#: How long a batch is tried again while others hold the file, and how long nothing is tried after a failure (seconds).
PERSIST: Final = 10.0
PAUSE: Final = 0.5
#: How long the process waits at its end for what is not written yet (seconds).
FAREWELL: Final = 2.0

Event = tuple[Redactor, Row | Built]


class Writer:
    """Writes events into one file; get the one of a file from `writer_of`."""

    def __init__(self, store: Store) -> None:
        self.store: Store = store
        #: Why the last batch that failed did so, None when none has.
        self.problem: str | None = None
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._waiting: deque[Event | threading.Event] = deque()
        self._characters: int = 0
        self._lost = itertools.count()
        self._wake = threading.Event()
        self._hurry = threading.Event()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._asleep = True
        self._stopping = False

    @property
    def dropped(self) -> int:
        """How many events were lost."""
        return int(repr(self._lost)[len("count(") : -1])

    def lose(self, count: int = 1) -> None:
        """Count events as lost."""
        for _ in range(count):
            next(self._lost)  # one call into C, so no two threads count the same

    def put(self, redactor: Redactor, event: Row | Built, size: int) -> None:
        """Have an event of so many characters written some time soon."""
        if len(self._waiting) >= WAITING or self._characters + size > CHARACTERS:
            self.lose()
            return
        self._characters += size
        self._waiting.append((redactor, event))
        if self._asleep:
            self._rouse()

    def flush(self, timeout: float = FAREWELL) -> bool:
        """Wait until everything handed over so far is written or lost; whether that was so within `timeout` seconds."""
        done = threading.Event()
        self._waiting.append(done)
        self._hurry.set()
        self._rouse()
        return done.wait(timeout)

    def close(self, timeout: float = FAREWELL) -> bool:
        """The same, and end the thread; the next event begins another."""
        flushed = self.flush(timeout) if self._waiting or self._thread is not None else True
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            self._stopping = True
            self._rouse()
            thread.join(timeout)
        return flushed

    def after_fork(self) -> None:
        """This is another process now: what waited is the parent's to write, and so is its connection."""
        self.store.abandon()
        self._begin_anew()

    # -- the thread

    def _rouse(self) -> None:
        self._wake.set()
        if self._thread is None:
            with self._starting:
                if self._thread is None:
                    thread = threading.Thread(target=self._work, name="agentflow-tracking", daemon=True)
                    self._thread = thread
                    thread.start()

    def _work(self) -> None:
        while True:
            self._asleep = True
            if not self._waiting:
                woken = self._wake.wait(IDLE)
                if (self._stopping or not woken) and not self._waiting and self._leave():
                    return
            self._asleep = False
            self._wake.clear()
            if self._waiting and not self._hurry.is_set():
                self._hurry.wait(GATHER)
            self._hurry.clear()
            self._empty()

    def _leave(self) -> bool:
        """End the thread, unless something came just now."""
        self.store.close()
        with self._starting:
            self._thread, self._stopping = None, False
            if self._waiting:
                self._thread = threading.current_thread()
                return False
            return True

    def _empty(self) -> None:
        """Write everything there is."""
        while self._waiting:
            events: list[Event] = []
            flushed: threading.Event | None = None
            while self._waiting and len(events) < BATCH and flushed is None:
                item = self._waiting.popleft()
                if isinstance(item, threading.Event):
                    flushed = item
                else:
                    events.append(item)
            if events:
                self._write(events)
            if flushed is not None:
                flushed.set()
        self._characters = 0

    def _write(self, events: Sequence[Event]) -> None:
        cleaned = [made for event in events if (made := self._cleaned(event)) is not None]
        built = [event for event in cleaned if isinstance(event, Built)]
        self._try(built, without_superseded([event for event in cleaned if isinstance(event, Row)]))

    def _try(self, built: Sequence[Built], rows: Sequence[Row]) -> None:
        try:
            self._insist(built, rows)
        except (ValueError, TypeError, OverflowError, sqlite3.ProgrammingError, sqlite3.InterfaceError) as error:
            if len(built) + len(rows) > 1:  # one of them has a name or a number that no database takes
                for one in built:
                    self._try([one], [])
                for row in rows:
                    self._try([], [row])
            else:
                self.lose()
                self.note(error)
        except Exception as error:  # a tracker that fails must not be noticed by who is tracked
            self.lose(len(built) + len(rows))
            self.note(error)
            self.store.close()
            self._hurry.wait(PAUSE)

    def _insist(self, built: Sequence[Built], rows: Sequence[Row]) -> None:
        deadline = time.monotonic() + PERSIST
        while True:
            try:
                return self.store.write(built, rows)
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise

    def _cleaned(self, event: Event) -> Row | Built | None:
        redactor, fact = event
        try:
            project, partition, app_id = fact.source
            whose = None if partition is None else storable(str(partition))
            source = Source(storable(project), whose, storable(str(app_id)))
            if isinstance(fact, Built):
                return fact._replace(source=source, graph=storable(redactor.json(fact.graph)))
            return fact._replace(source=source, data=storable(redactor.json(fact.data)))
        except Exception as error:
            self.lose()
            self.note(error)
            return None

    def note(self, error: Exception) -> None:
        """Keep what went wrong, and say so in the log the first time."""
        told, self.problem = self.problem, redact(f"{type(error).__name__}: {error}")
        if told is None:
            logging.getLogger("agentflow").warning(
                "what was tracked cannot be written to %s (%s): the run goes on, and what is lost is counted in the "
                "tracker's `dropped`.",
                self.store.path,
                self.problem,
            )


def without_superseded(rows: list[Row]) -> list[Row]:
    """The rows without the beginnings of steps whose end is among them too: the end says everything."""
    ended: set[tuple[Source, int | None]] = set()
    kept: list[Row] = []
    for row in reversed(rows):
        if row.kind == "step":
            ended.add((row.source, row.step))
        elif row.kind == "begin" and (row.source, row.step) in ended:
            ended.discard((row.source, row.step))
            continue
        kept.append(row)
    kept.reverse()
    return kept


_writers: weakref.WeakValueDictionary[str, Writer] = weakref.WeakValueDictionary()
_finding = threading.Lock()


def writer_of(path: Path, max_bytes: int | None = None) -> Writer:
    """The writer of that file; there is one in a process."""
    where = os.path.realpath(path)
    with _finding:
        writer = _writers.get(where)
        if writer is None:
            writer = _writers[where] = Writer(Store(Path(where), max_bytes))
        elif max_bytes is not None:
            writer.store.max_bytes = max_bytes
        return writer


def _say_farewell() -> None:
    deadline = time.monotonic() + FAREWELL
    for writer in list(_writers.values()):
        writer.close(max(0.05, deadline - time.monotonic()))


def _after_fork() -> None:
    global _finding
    _finding = threading.Lock()
    for writer in list(_writers.values()):
        writer.after_fork()


atexit.register(_say_farewell)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
