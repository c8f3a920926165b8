"""Changes that a persister keeps in the same file: they are not tracked a second time, but looked up when read.

They are read as text, without making the values again: this needs no types, and a value that has a type shows its
plain content. What must not live here: anything that writes, or that a run depends on.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from agentflow.redaction import Redactor
from agentflow.tracking.parsing import DAMAGE, Event, read_facts

#: Asks the store: a statement, and its values.
Ask = Callable[[str, dict[str, Any]], list[tuple[Any, ...]]]

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")


def table_in(path: Path, persister: Any) -> str | None:
    """What the names of a persister's tables begin with, if it keeps them in this very file."""
    where, name = getattr(persister, "db_path", None), getattr(persister, "table_name", None)
    if where is None or not isinstance(name, str) or not _NAME.fullmatch(name):
        return None
    return name if os.path.realpath(where) == os.path.realpath(path) else None


def with_saved(events: Iterable[Event], ask: Ask, app_id: str, partition_key: str | None) -> list[Event]:
    """The events, with what each step changed and an application started from, as the persister has it."""
    found = list(events)
    marked = [event for event in found if '"saved":' in str(event.data)]
    if not marked:
        return found
    steps = [event.step for event in marked if event.step is not None]
    about = {
        "app": app_id,
        "partition": partition_key or "",
        "low": min(steps, default=0),
        "high": max(steps, default=0),
    }
    saved = _Saved(ask, about)
    return [event for given in found if (event := saved.completed(given)) is not None]


class _Saved:
    def __init__(self, ask: Ask, about: dict[str, Any]) -> None:
        self._ask = ask
        self._about = about
        self._rows: dict[str, dict[int, str]] = {}
        self._redactor = Redactor()
        self._begun = False

    def completed(self, event: Event) -> Event | None:
        """The event with what the persister has of it; None for a beginning that only went on."""
        try:
            facts = read_facts(event.data)
            table = facts.get("saved")
            if not isinstance(table, str) or not _NAME.fullmatch(table):
                return event
            if event.kind == "build":
                return self._beginning(event, facts, table)
            if "status" not in facts:
                row = self._known(table).get(event.step if event.step is not None else -1)
                facts.update(self._change(table, row))
        except DAMAGE as error:
            facts = {"action": "", "damaged": f"what the persister has of event {event.number} is damaged: {error}"}
        return event._replace(data=json.dumps(facts))

    def _beginning(self, event: Event, facts: Mapping[str, Any], table: str) -> Event | None:
        if self._begun:
            return None
        self._begun = True
        known = self._known(table)
        first = self._change(table, known[min(known)]) if known else {}
        return event._replace(data=json.dumps({**facts, "state": first.get("set", {})}))

    def _known(self, table: str) -> dict[int, str]:
        if table not in self._rows:
            rows = self._ask(
                f"SELECT s.step, coalesce(CASE WHEN s.action IS NULL THEN s.snapshot END, s.delta) FROM {table}_step s "
                f"JOIN {table}_app a ON a.id = s.app WHERE a.app_id = :app AND a.partition_key = :partition AND "
                "(s.action IS NULL OR s.step BETWEEN :low AND :high)",
                self._about,
            )
            self._rows[table] = {int(step): str(text) for step, text in rows}
        return self._rows[table]

    def _change(self, table: str, text: str | None) -> dict[str, Any]:
        if text is None:
            return {}
        parts = read_facts(self._redactor.json(text))
        change: dict[str, Any] = {"delete": parts.get("delete", [])}
        for name in ("set", "append"):
            large = {key: self._large(table, digest) for key, digest in parts.get(f"large_{name}", {}).items()}
            change[name] = unwrapped({**parts.get(name, {}), **large})
        return change

    def _large(self, table: str, digest: Any) -> Any:
        rows = self._ask(f"SELECT body FROM {table}_blob WHERE digest = :digest", {"digest": digest})
        return json.loads(self._redactor.json(str(rows[0][0]))) if rows else "..."


def unwrapped(value: Any) -> Any:
    """Values of named types as their plain content."""
    if isinstance(value, list):
        return [unwrapped(item) for item in value]
    if isinstance(value, dict):
        if "@" in value and "of" in value:
            return unwrapped(value["of"])
        return {key: unwrapped(inner) for key, inner in value.items()}
    return value
