"""Rows about what does not grow: bytes stored, the cost of a step and of loading, threads and file handles.

What must not live here: comparisons with other software (`benchmarks/`).
"""

from __future__ import annotations

import os
import statistics
import threading
import time
from typing import Any, Final

from agentflow import Application, ApplicationBuilder, State, action
from agentflow.persistence import Key, Persister, persister_from
from agentflow.persistence.owner import new_owner
from agentflow.testing.torture import victims
from agentflow.testing.torture.rows import Found, Trial

#: How often the steps of a long chat are held against those of a new one; the median counts.
GOES: Final = 3
#: From so many steps on their p99 says something.
ENOUGH: Final = 250


def growth(trial: Trial) -> Found:
    """`size` turns of 1 KB each: what is stored, what a step costs at the start and at the end, and loading."""
    found = Found()
    persister = persister_from(trial.url)
    ratios = [_compared(persister, trial.size, found) for _ in range(GOES)]
    found.facts["p99 of a step at the end by that at the start"] = [round(each, 2) for each in ratios]
    found.expect("p99 at the end at most twice that at the start", True, statistics.median(ratios) <= 2)
    name = _name()
    _turns(_chat(persister, name).build(), trial.size)
    rows = persister.rows(Key("", name))
    blobs = {digest: len(persister.blob(digest) or "") for row in rows for digest in row.blobs}
    stored = sum(len(row.delta) + len(row.snapshot or "") for row in rows) + sum(blobs.values())
    began = time.perf_counter()
    loaded = _chat(persister, name).build()
    found.facts |= {"bytes stored": stored, "load, ms": round((time.perf_counter() - began) * 1000, 1)}
    persister.close()
    found.expect("turns loaded", trial.size, len(loaded.state["turns"]))
    found.expect("at most 10 KB stored a turn", True, stored <= 10 * 1024 * trial.size + 300_000)
    return found


def _compared(persister: Persister, size: int, found: Found) -> float:
    """What the slowest steps of a long chat take by those of a new one, step by step in turns.

    Whatever else the machine does disturbs both alike; with few steps a p99 is the slowest of them, which says little,
    so they are given 5 ms then.
    """
    part = max(size // 4, 2)
    old, new = (_chat(persister, _name()).build() for _ in range(2))
    _turns(old, size - part)
    pairs = [(_timed(old), _timed(new)) for _ in range(part)]
    late, early = (statistics.quantiles(each, n=100)[98] * 1000 for each in zip(*pairs, strict=True))
    found.facts |= {"p99 at the start, ms": round(early, 2), "p99 at the end, ms": round(late, 2)}
    return float(late / (early + (0 if part >= ENOUGH else 5)))


def _chat(persister: Persister, app_id: str) -> ApplicationBuilder:
    made = ApplicationBuilder().with_actions(turn=_turn).with_transitions(("turn", "turn"))
    made.with_identifiers(app_id=app_id).with_state_persister(persister)
    return made.initialize_from(persister, default_state={"turns": []}, default_entrypoint="turn")


@action(reads=[], writes=["turns"])
def _turn(state: State[Any]) -> State[Any]:
    return state.append(turns="x" * 1024)


def _turns(app: Application[Any], count: int) -> None:
    for _ in range(count):
        app.step()


def _timed(app: Application[Any]) -> float:
    began = time.perf_counter()
    app.step()
    return time.perf_counter() - began


def _name() -> str:
    return f"growth-{new_owner()}".replace("/", "-")


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
