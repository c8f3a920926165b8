"""Rows about kill -9: at random instants, and at every boundary of the protocol.

A worker counts, notes each effect before and each acknowledgement after it, and is killed; another goes on. What must
not live here: gentler ends of a process (`interrupts.py`).
"""

from __future__ import annotations

import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

from agentflow.application import Application
from agentflow.persistence import persister_from
from agentflow.persistence.failpoints import POINTS, arm
from agentflow.persistence.owner import new_owner
from agentflow.testing.torture import victims
from agentflow.testing.torture.processes import forked, note, notes, strike
from agentflow.testing.torture.rows import Found, Trial

#: Steps of one application before the next one is begun.
STEPS = 200
#: A process that fails so often in a row will never get on.
PATIENCE = 10


def kill_loop(trial: Trial) -> Found:
    """Kill a counting process at `size` random instants; another goes on from what was committed."""
    found, kills, number, errors = Found(), 0, 0, 0
    totals: Counter[str] = Counter()
    latest = max(0.08, 3 * _start(trial))
    while kills < trial.size:
        app_id, log = f"kill-{new_owner()}-{number}".replace("/", "-"), trial.folder / f"{number}.log"
        number += 1
        stuck = 0
        while stuck < PATIENCE:
            worker = forked(lambda app_id=app_id, log=log: _count(trial.url, app_id, log), trial.folder / "errors.log")  # type: ignore[misc]
            code = strike(worker, trial.chance.uniform(0.0, latest))
            if code == 0:
                break
            kills += code == -signal.SIGKILL
            stuck = stuck + 1 if code > 0 else 0
            errors += code > 0
        totals.update(_judged(trial, app_id, log))
        totals["stuck applications"] += stuck >= PATIENCE
    found.facts |= {"kills": kills, "applications": number, "repeated un-acknowledged effects": totals["repeated"]}
    found.expect("acknowledged steps lost or redone", 0, totals["lost"] + totals["redone"])
    found.expect("gaps", 0, totals["gaps"])
    found.expect("stuck applications", 0, totals["stuck applications"])
    found.expect("errors while going on", 0, errors)
    return found


def _start(trial: Trial) -> float:
    """How long a process takes to perform its first step; one that is always killed before it would never get on."""
    began = time.perf_counter()
    app_id = f"first-{new_owner()}".replace("/", "-")
    strike(forked(lambda: _decide(trial.url, app_id, trial.folder / "first.log", None, 1)), 60.0)
    return time.perf_counter() - began


def decisions(trial: Trial) -> Found:
    """Kill a deciding process between each decision and its target; count how often each choice was paid for."""
    found, log = Found(), trial.folder / "asked.log"
    app_id = f"decide-{new_owner()}".replace("/", "-")
    for _ in range(trial.size):
        strike(forked(lambda: _decide(trial.url, app_id, log, "after-decision:1", None)), 30.0)
    strike(forked(lambda: _decide(trial.url, app_id, log, None, trial.size + 1)), 60.0)
    asked = Counter(notes(log))
    found.facts["decisions"] = len(asked)
    found.expect("decisions paid for twice", 0, sum(1 for count in asked.values() if count > 1))
    found.expect("steps", trial.size + 1, _loaded(trial.url, app_id)["n"])
    return found


def boundaries(trial: Trial) -> Found:
    """Kill a process at each of the first `size` times it reaches each boundary, and let another go on."""
    found = Found()
    kills: Counter[str] = Counter()
    for name in POINTS:
        for times in range(1, trial.size + 1):
            for kind in ("counter", "decider", "once", "mapper"):
                kills[name] += _bounded(trial, kind, f"{name}:{times}", found)
    found.facts["kills"] = kills.total()
    found.expect("boundaries never reached", [], sorted(name for name in _points(trial) if not kills[name]))
    return found


def _points(trial: Trial) -> list[str]:
    """The boundaries that a store has; in a script of Redis nobody can die."""
    return [name for name in POINTS if name != "in-transaction" or not trial.url.startswith("redis")]


def _bounded(trial: Trial, kind: str, point: str, found: Found) -> int:
    log = trial.folder / f"{kind}-{point.replace(':', '-')}.log"
    app_id = f"{kind}-{point}-{new_owner()}".replace("/", "-").replace(":", "-")
    first = strike(forked(lambda: _steps(trial.url, kind, app_id, log, point), trial.folder / "errors.log"), 30.0)
    second = strike(forked(lambda: _steps(trial.url, kind, app_id, log, None), trial.folder / "errors.log"), 30.0)
    state = _loaded(trial.url, app_id)
    if second != 0 or state["n"] != 4:
        found.wrong.append(f"{kind} killed at {point} ended with {second} and n={state.get('n')} instead of 4")
    effects = Counter(line for line in notes(log) if kind == "once" or line.startswith("asked"))
    twice = [line for line, count in effects.items() if count > 1]
    if twice and not (kind == "decider" and point.startswith("before-decision")):  # it was paid, and not yet saved
        found.wrong.append(f"{kind} killed at {point} did {twice} more than once")
    return int(first == -signal.SIGKILL)


def _steps(url: str, kind: str, app_id: str, log: Path, point: str | None) -> None:
    arm(point)
    app = getattr(victims, kind)(persister_from(url), app_id, log).build()
    while app.state["n"] < 4:
        if app.state["n"] % 2:
            app.run(halt_when=lambda _: True)  # a run that does not know beforehand that this step is its last
        else:
            app.step()


def _decide(url: str, app_id: str, log: Path, point: str | None, upto: int | None) -> None:
    arm(point)
    app = victims.decider(persister_from(url), app_id, log).build()
    while upto is None or app.state["n"] < upto:
        app.step()
        arm(None if upto is not None else point)


def _count(url: str, app_id: str, log: Path) -> None:
    app: Application[Any] = victims.counter(persister_from(url), app_id, log).build()
    while app.state["n"] < STEPS:
        app.step()
        note(log, f"acked {app.state['n'] - 1}")


def _loaded(url: str, app_id: str) -> dict[str, object]:
    persister = persister_from(url)
    loaded = persister.load(None, app_id)
    persister.close()
    return {} if loaded is None else loaded["state"].get_all()


def _judged(trial: Trial, app_id: str, log: Path) -> Counter[str]:
    """What became of the steps that were acknowledged."""
    persister = persister_from(trial.url)
    history = persister.history(app_id)
    state = _loaded(trial.url, app_id)
    persister.close()
    judged: Counter[str] = Counter()
    acked: set[str] = set()
    seen: Counter[str] = Counter()
    for line in notes(log):
        kind, _, number = line.partition(" ")
        if kind == "acked":
            acked.add(number)
        else:
            seen[number] += 1
            judged["redone"] += number in acked
            judged["repeated"] += seen[number] > 1 and number not in acked
    committed = [step.sequence_id for step in history]
    judged["lost"] += sum(1 for number in acked if int(number) not in committed)
    judged["gaps"] += committed != list(range(-1, len(committed) - 1))
    judged["gaps"] += state.get("log") != [f"entry {number}" for number in range(len(committed) - 1)]
    return judged
