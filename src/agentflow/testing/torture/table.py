"""The table of all rows, at any share of their full size, against every store that can be reached.

What must not live here: what a row does.
"""

from __future__ import annotations

import os
import random
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from agentflow.errors import StoreError
from agentflow.persistence import persister_from
from agentflow.testing.torture import faults, growth, interrupts, kills, people, races
from agentflow.testing.torture.rows import Found, RowOfTable, Trial, timed

ROWS = (
    RowOfTable("kill", "no acknowledged step is lost or redone", 1000, "kills", kills.kill_loop),
    RowOfTable("decisions", "no decision is paid for twice", 100, "kills", kills.decisions),
    RowOfTable("boundaries", "a crash at every boundary is survived", 2, "kills at each", kills.boundaries),
    RowOfTable("race", "16 processes: each step won once", 2000, "steps", races.race),
    RowOfTable("branching-race", "the same where code chooses what is next", 2000, "steps", races.branching_race),
    RowOfTable("stale", "a stopped owner commits nothing when it wakes", 30, "owners", races.stale),
    RowOfTable("one-object", "one object, many threads and tasks", 64, "of each", races.one_object),
    RowOfTable("clock", "clocks an hour off change nothing", 60, "processes", races.clock),
    RowOfTable("interrupts", "what is interrupted is never completed", 1000, "instants", interrupts.interrupts),
    RowOfTable("faults", "a failing store moves nothing in memory", 50, "faults of each kind", faults.faults),
    RowOfTable("growth", "turns of 1 KB: bytes, time of a step, loading", 1000, "turns", growth.growth),
    RowOfTable("handles", "live applications on one persister", 2000, "applications", growth.handles),
    RowOfTable("people", "answers given twice, late, out of order", 250, "answers", people.people),
)

#: Which variable names a store, by the kind of it.
VARIABLES = {"postgresql": "AGENTFLOW_TEST_POSTGRES", "redis": "AGENTFLOW_TEST_REDIS"}


def reachable() -> dict[str, str]:
    """The stores that can be reached, by kind: SQLite always, others where a variable names them."""
    found = {"sqlite": ""}
    for kind, variable in VARIABLES.items():
        url = os.environ.get(variable)
        if url:
            persister = persister_from(url)
            try:
                persister.initialize()
                found[kind] = url
            except StoreError:
                continue
            finally:
                persister.close()
    return found


def run(
    stores: dict[str, str], names: Iterable[str] = (), share: float = 1.0, seed: int = 0
) -> Iterator[tuple[RowOfTable, str, int, Found]]:
    """Run rows: each with the kind of store, the size it was run at, and what was found.

    Args:
        stores: From the kind of a store to its URL; an empty one of SQLite means a new file for each row.
        names: Which rows; all of them when empty.
        share: The share of the full sizes, such as 0.05.
        seed: Of the random instants.
    """
    wanted = set(names)
    for url in filter(None, stores.values()):  # opened once here, so that no forked process has to load its client
        with persister_from(url):
            pass
    for row in ROWS:
        for kind, url in stores.items():
            if (wanted and row.name not in wanted) or kind not in row.stores:
                continue
            size = max(int(row.size * share), 1)
            with tempfile.TemporaryDirectory(prefix="agentflow-torture-") as folder:
                where = url or f"sqlite:///{folder}/runs.db"
                chance = random.Random(f"{seed}-{row.name}-{kind}")
                yield row, kind, size, timed(row, Trial(where, size, Path(folder), chance))
