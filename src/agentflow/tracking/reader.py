"""Runs: looking at what was tracked, also while it is being tracked.

It never writes. One damaged record is shown as damaged and spoils nothing else; a store that is not there is an empty
one. What must not live here: what a record is made of (`parsing.py`).
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from agentflow.runtime import ASYNC, BLOCKING, run_blocking
from agentflow.tracking.folding import folded, with_spans_closed
from agentflow.tracking.parsing import DAMAGE, Event, as_application, as_decision, as_event, as_step, read, read_facts
from agentflow.tracking.places import FILE, root_folder, storable
from agentflow.tracking.records import (
    Found,
    TrackedApplication,
    TrackedDecision,
    TrackedEvent,
    TrackedProject,
    TrackedSpan,
    TrackedStep,
)
from agentflow.tracking.saved import with_saved

#: How many characters around what was found an excerpt shows.
EXCERPT: Final = 60
#: How often a store is looked at again while somebody follows a run, in seconds.
LOOK: Final = 0.2

_APP: Final = (
    "id, project, partition_key, app_id, created_at, parent_app, parent_partition, parent_step, fork_app, "
    "fork_partition, fork_step, graph"
)
_EVENT: Final = "id, kind, step, at, data"


class Runs:
    """What was tracked under a root, or in one file.

    Every verb that names an application takes `partition_key` and `project` too, for where an id is not unique; without
    them it is the newest of that id.

    Args:
        root_or_path: The folder that was given to the tracker, or the file; by default the variable AGENTFLOW_HOME, or
            ~/.agentflow.

    Example:
        >>> for step in Runs().steps(app_id):
        ...     print(step.sequence_id, step.action, step.set, step.error)
    """

    def __init__(self, root_or_path: str | os.PathLike[str] | None = None) -> None:
        self._given = root_folder(root_or_path)

    @property
    def path(self) -> Path:
        """The file."""
        return self._given / FILE if self._given.is_dir() else self._given

    def projects(self) -> list[TrackedProject]:
        """The projects, by name."""
        rows = self._rows("SELECT project, count(*), max(created_at) FROM tracked_app GROUP BY project ORDER BY 1")
        return [TrackedProject(name=str(name), applications=count, last_at=last) for name, count, last in rows]

    def applications(
        self,
        project: str | None = None,
        partition_key: str | None = None,
        limit: int = 100,
        after: int | None = None,
    ) -> list[TrackedApplication]:
        """Applications, the newest first; `after` is the `number` of the last one of the page before."""
        rows = self._rows(
            f"SELECT {_APP} FROM tracked_app WHERE (:project IS NULL OR project = :project) AND "
            "(:partition IS NULL OR partition_key = :partition) AND (:after IS NULL OR id < :after) "
            "ORDER BY id DESC LIMIT :limit",
            {"project": project, "partition": partition_key, "after": after, "limit": limit},
        )
        return [self._application(row) for row in rows]

    def application(
        self, app_id: str, partition_key: str | None = None, project: str | None = None
    ) -> TrackedApplication | None:
        """One application, with its graph; None when nothing was tracked of it."""
        found = self._find(app_id, partition_key, project)
        return None if found is None else replace(self._application(found), graph=self._graph(found[11]))

    def children(
        self, app_id: str, partition_key: str | None = None, project: str | None = None
    ) -> list[TrackedApplication]:
        """The applications that a step of this one spawned, in the order they were first tracked."""
        rows = self._rows(
            f"SELECT {_APP} FROM tracked_app WHERE parent_app = :app AND "
            "(:partition IS NULL OR parent_partition = :partition) AND (:project IS NULL OR project = :project) "
            "ORDER BY id",
            {"app": app_id, "partition": partition_key, "project": project},
        )
        return [self._application(row) for row in rows]

    def steps(
        self,
        app_id: str,
        after: int = 0,
        limit: int | None = None,
        partition_key: str | None = None,
        project: str | None = None,
    ) -> list[TrackedStep]:
        """Its steps in order, each attempt one; the last may be under way. `after` is the `number` of one before."""
        found = self._find(app_id, partition_key, project)
        if found is None:
            return []
        events = self._events(found, ("step",), after, limit)
        if limit is None or len(events) < limit:  # so the end of what there is was reached
            last = events[-1].number if events else after
            events += self._events(found, ("begin",), last, None)[-1:]
        reads = {name: tuple(keys) for name, keys in self._reads(found[11]).items()}
        records = [read(event, as_step, TrackedStep) for event in self._completed(found, events)]
        return [replace(step, reads=reads.get(step.action, ())) for step in records]

    def decisions(
        self,
        app_id: str,
        after: int = 0,
        limit: int | None = None,
        partition_key: str | None = None,
        project: str | None = None,
    ) -> list[TrackedDecision]:
        """Its choices in order."""
        found = self._find(app_id, partition_key, project)
        events = self._events(found, ("decision",), after, limit)
        return [read(event, as_decision, TrackedDecision) for event in events]

    def spans(
        self, app_id: str, sequence_id: int | None = None, partition_key: str | None = None, project: str | None = None
    ) -> list[TrackedSpan]:
        """The spans of its steps, or of one step, in the order they were opened."""
        found = self._find(app_id, partition_key, project)
        events = self._events(found, ("span", "span_end", "attributes"), 0, None)
        return with_spans_closed([event for event in events if sequence_id is None or event.step == sequence_id])

    def state(
        self,
        app_id: str,
        sequence_id: int | None = None,
        partition_key: str | None = None,
        project: str | None = None,
    ) -> dict[str, Any]:
        """The state after a step, or after the last one, made of what each step changed; values as they are shown."""
        found = self._find(app_id, partition_key, project)
        events = self._events(found, ("build", "step", "update"), 0, None)
        return folded(self._completed(found, events), sequence_id)

    def events(
        self,
        app_id: str,
        after: int = 0,
        limit: int | None = None,
        partition_key: str | None = None,
        project: str | None = None,
    ) -> list[TrackedEvent]:
        """Everything that was tracked of it, in order."""
        found = self._find(app_id, partition_key, project)
        return [read(event, as_event, TrackedEvent) for event in self._events(found, (), after, limit)]

    def follow(self, app_id: str, after: int = 0, seconds: float = 60.0, **whose: Any) -> Iterator[TrackedEvent]:
        """Its events as they come, for so many seconds; `after` is the `number` of the last one seen."""
        deadline = time.monotonic() + seconds
        while True:
            for event in self.events(app_id, after, **whose):
                after = event.number
                yield event
            if time.monotonic() >= deadline:
                return
            run_blocking(BLOCKING.sleep(LOOK))

    async def afollow(
        self, app_id: str, after: int = 0, seconds: float = 60.0, **whose: Any
    ) -> AsyncIterator[TrackedEvent]:
        """The async twin of `follow`."""
        deadline = time.monotonic() + seconds
        while True:
            for event in await ASYNC.offload(self.events, app_id, after, **whose):
                after = event.number
                yield event
            if time.monotonic() >= deadline:
                return
            await ASYNC.sleep(LOOK)

    def search(self, text: str, project: str | None = None, limit: int = 50) -> list[Found]:
        """Where a text turns up, in ids and in whatever was tracked, the newest first; case matters not in ASCII."""
        told = {"project": project, "limit": limit}
        apps = self._rows(
            "SELECT id, project, app_id, partition_key, 'app', NULL, app_id FROM tracked_app WHERE app_id LIKE :text "
            "ESCAPE '\\' AND (:project IS NULL OR project = :project) ORDER BY id DESC LIMIT :limit",
            {**told, "text": f"%{_escaped(text)}%"},
        )
        inside = json.dumps(text, ensure_ascii=False)[1:-1]
        events = self._rows(
            "SELECT e.id, a.project, a.app_id, a.partition_key, e.kind, e.step, e.data FROM tracked_event e JOIN "
            "tracked_app a ON a.id = e.app WHERE e.data LIKE :text ESCAPE '\\' AND e.kind != 'begin' AND "
            "(:project IS NULL OR a.project = :project) ORDER BY e.id DESC LIMIT :limit",
            {**told, "text": f"%{_escaped(inside)}%"},
        )
        return [_found(row) for row in apps + [(*row[:6], _around(row[6], inside)) for row in events]][:limit]

    # -- inside

    def _find(self, app_id: str, partition_key: str | None, project: str | None) -> tuple[Any, ...] | None:
        rows = self._rows(
            f"SELECT {_APP} FROM tracked_app WHERE app_id = :app AND (:partition IS NULL OR partition_key = :partition)"
            " AND (:project IS NULL OR project = :project) ORDER BY id DESC LIMIT 1",
            {"app": app_id, "partition": partition_key, "project": project},
        )
        return rows[0] if rows else None

    def _application(self, row: tuple[Any, ...]) -> TrackedApplication:
        return as_application(row[:11], self._standing(row[0]))

    def _standing(self, number: int) -> dict[str, Any]:
        """How an application stands, told from its last events."""
        last = self._rows(
            f"SELECT {_EVENT} FROM tracked_event WHERE id IN (SELECT max(id) FROM tracked_event WHERE app = :app AND "
            "kind IN ('begin', 'step', 'run', 'update', 'build') GROUP BY kind) ORDER BY id",
            {"app": number},
        )
        ((count,),) = self._rows(
            "SELECT count(*) FROM tracked_event WHERE app = :app AND kind = 'step'", {"app": number}
        ) or [(0,)]
        standing: dict[str, Any] = {"steps": count}
        for event in map(Event._make, last):
            standing["last_at"] = max(float(event.at or 0), standing.get("last_at", 0.0))
            if event.kind in ("begin", "step"):
                step = read(event, as_step, TrackedStep)
                standing.update(status=step.status, last_action=step.action or None, last_step=step.sequence_id)
        return standing

    def _graph(self, digest: str | None) -> dict[str, Any]:
        rows = self._rows("SELECT data FROM tracked_graph WHERE digest = :digest", {"digest": digest})
        try:
            return read_facts(rows[0][0]) if rows else {}
        except DAMAGE:
            return {}

    def _reads(self, digest: str | None) -> dict[str, list[str]]:
        try:
            return {action["name"]: action["reads"] for action in self._graph(digest).get("actions", ())}
        except DAMAGE:
            return {}

    def _events(
        self, found: tuple[Any, ...] | None, kinds: Sequence[str], after: int, limit: int | None
    ) -> list[Event]:
        if found is None:
            return []
        wanted = f"AND kind IN ({', '.join(repr(kind) for kind in kinds)}) " if kinds else ""
        rows = self._rows(
            f"SELECT {_EVENT} FROM tracked_event WHERE app = :app AND id > :after {wanted}ORDER BY id LIMIT :limit",
            {"app": found[0], "after": after, "limit": -1 if limit is None else limit},
        )
        return [Event._make(row) for row in rows]

    def _completed(self, found: tuple[Any, ...] | None, events: list[Event]) -> list[Event]:
        return with_saved(events, self._rows, found[3], found[2]) if found is not None else events

    def _rows(self, statement: str, values: dict[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """What a question gives, as far as it can be read."""
        rows: list[tuple[Any, ...]] = []
        if not self.path.is_file():
            return rows
        try:
            told = {
                name: storable(given) if isinstance(given, str) else given for name, given in (values or {}).items()
            }
            with closing(self._connection()) as connection:
                rows.extend(connection.execute(statement, told))
        except sqlite3.DatabaseError:
            pass  # no table yet, or a page that is damaged: what came before it is shown
        return rows

    def _connection(self) -> sqlite3.Connection:
        connection = sqlite3.connect(f"file:{quote(str(self.path))}?mode=ro", uri=True, timeout=5.0)
        connection.text_factory = lambda text: text.decode("utf-8", "replace")
        return connection


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _around(data: Any, text: str) -> str:
    whole = str(data)
    at = max(0, whole.lower().find(text.lower()))
    return whole[max(0, at - EXCERPT) : at + len(text) + EXCERPT]


def _found(row: tuple[Any, ...]) -> Found:
    number, project, app_id, partition_key, kind, step, excerpt = row
    return Found(
        number=number,
        project=str(project),
        app_id=str(app_id),
        partition_key=partition_key,
        kind=kind,
        sequence_id=step,
        excerpt=str(excerpt),
    )
