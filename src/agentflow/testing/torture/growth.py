"""Rows about what does not grow: bytes stored, the cost of a step and of loading, threads and file handles.

What must not live here: comparisons with other software (`benchmarks/`).
"""

from __future__ import annotations

import os
import statistics
import threading
import time
from typing import Any

from agentflow import ApplicationBuilder, State, action
from agentflow.persistence import Key, persister_from
from agentflow.persistence.owner import new_owner
from agentflow.testing.torture import victims
from agentflow.testing.torture.rows import Found, Trial


def growth(trial: Trial) -> Found:
    """`size` turns of 1 KB each: what is stored, what a step costs at the start and at the end, and loading."""
    found = Found()
    persister = persister_from(trial.url)
    app_id = f"growth-{new_owner()}".replace("/", "-")

    @action(reads=[], writes=["turns"])
    def turn(state: State[Any]) -> State[Any]:
        return state.append(turns="x" * 1024)

    def make() -> ApplicationBuilder:
        made = (
            ApplicationBuilder().with_actions(turn).with_transitions(("turn", "turn")).with_identifiers(app_id=app_id)
        )
        made.with_state_persister(persister)
        return made.initialize_from(persister, default_state={"turns": []}, default_entrypoint="turn")

    app, seconds = make().build(), []
    for _ in range(trial.size):
        began = time.perf_counter()
        app.step()
        seconds.append(time.perf_counter() - began)
    rows = persister.rows(Key("", app_id))
    blobs = {digest: len(persister.blob(digest) or "") for row in rows for digest in row.blobs}
    stored = sum(len(row.delta) + len(row.snapshot or "") for row in rows) + sum(blobs.values())
    began = time.perf_counter()
    loaded = make().build()
    loading = time.perf_counter() - began
    persister.close()
    part_of = max(len(seconds) // 4, 2)
    early, late = (statistics.quantiles(part, n=100)[98] for part in (seconds[:part_of], seconds[-part_of:]))
    found.facts |= {
        "bytes stored": stored,
        "p99 of a step at the start, ms": round(early * 1000, 2),
        "p99 of a step at the end, ms": round(late * 1000, 2),
        "load, ms": round(loading * 1000, 1),
    }
    found.expect("p99 at the end at most twice that at the start, and 5 ms", True, late <= 2 * early + 0.005)
    found.expect("turns loaded", trial.size, len(loaded.state["turns"]))
    found.expect("at most 10 KB stored a turn", True, stored <= 10 * 1024 * trial.size + 300_000)
    return found


def handles(trial: Trial) -> Found:
    """`size` live applications on one persister: file handles and threads stay where they were."""
    found = Found()
    persister = persister_from(trial.url)
    before = len(os.listdir("/proc/self/fd"))
    apps = []
    for number in range(trial.size):
        app_id = f"live-{new_owner()}-{number}".replace("/", "-")
        apps.append(victims.counter(persister, app_id, trial.folder / "live.log", 0.0).build())
        apps[-1].step()
    handles_now = len(os.listdir("/proc/self/fd")) - before
    found.facts["handles"] = handles_now
    found.expect("at most 16 more handles", True, handles_now <= 16)
    persister.close()
    deadline = time.monotonic() + 5.0
    while any(thread.name == "agentflow-leases" for thread in threading.enumerate()) and time.monotonic() < deadline:
        time.sleep(0.05)
    names = [thread.name for thread in threading.enumerate() if thread.name.startswith("agentflow")]
    found.expect("threads left", [], names)
    return found
