"""Rows about many at once: many processes on one application, stale owners, many tasks on one object, clocks that lie.

What must not live here: killing (`kills.py`), except by a stopped process.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from agentflow.errors import BusyError, ConflictError
from agentflow.persistence import persister_from
from agentflow.persistence.owner import new_owner
from agentflow.testing.torture import victims
from agentflow.testing.torture.processes import ended, forked, note, notes
from agentflow.testing.torture.rows import Found, Trial

WRITERS = 16


def race(trial: Trial) -> Found:
    """16 processes step one application up to `size`; each step is won by one."""
    return _raced(trial, "counter")


def branching_race(trial: Trial) -> Found:
    """The same where each next action is chosen by code, as a model would."""
    return _raced(trial, "decider")


def _raced(trial: Trial, kind: str) -> Found:
    found, log = Found(), trial.folder / "won.log"
    app_id = f"race-{new_owner()}".replace("/", "-")
    workers = [
        forked(lambda seed=seed: _contend(trial, kind, app_id, log, seed), trial.folder / "errors.log")  # type: ignore[misc]
        for seed in range(WRITERS)
    ]
    neighbour = forked(lambda: _neighbour(trial, app_id), trial.folder / "errors.log")
    codes = [ended(worker) for worker in workers]
    _verdict(trial, app_id, log, codes, found)
    found.expect("unrelated applications disturbed", 0, int(ended(neighbour) != 0))
    return found


def _contend(trial: Trial, kind: str, app_id: str, log: Path, seed: int) -> None:
    persister = persister_from(trial.url)
    lost = 0
    while True:
        app = getattr(victims, kind)(persister, app_id, trial.folder / f"effects-{seed}.log").build()
        if app.state["n"] >= trial.size:
            break
        try:
            app.step()
            note(log, f"won {app.sequence_id}")
        except ConflictError:
            lost += 1
            time.sleep(0.001 * (seed % 4))
    note(log, f"lost {lost}")


def _neighbour(trial: Trial, app_id: str) -> None:
    app = victims.counter(persister_from(trial.url), f"{app_id}-neighbour", trial.folder / "neighbour.log").build()
    for _ in range(50):
        app.step()


def _verdict(trial: Trial, app_id: str, log: Path, codes: list[int | None], found: Found) -> None:
    lines = [line.partition(" ") for line in notes(log)]
    won = Counter(number for kind, _, number in lines if kind == "won")
    persister = persister_from(trial.url)
    committed = [step.sequence_id for step in persister.history(app_id)]
    persister.close()
    found.facts["typed conflicts"] = sum(int(number) for kind, _, number in lines if kind == "lost")
    found.expect("processes that ended with an error", 0, sum(code != 0 for code in codes))
    found.expect("steps won", trial.size, len(won))
    found.expect("steps won twice", 0, sum(count > 1 for count in won.values()))
    found.expect("steps committed", list(range(-1, trial.size)) == committed, True)


def stale(trial: Trial) -> Found:
    """Owners are stopped past their lease, others take over, and the owners wake up: nothing of theirs is committed."""
    found, fenced = Found(), 0
    for number in range(trial.size):
        app_id, log = f"stale-{new_owner()}-{number}".replace("/", "-"), trial.folder / f"stale-{number}.log"
        worker = forked(lambda app_id=app_id, log=log: _sleepy(trial, app_id, log), trial.folder / "errors.log")  # type: ignore[misc]
        while not notes(log):
            time.sleep(0.001)
        os.kill(worker, signal.SIGSTOP)
        persister = persister_from(trial.url)
        app = victims.counter(
            persister, app_id, trial.folder / "others.log", on_conflict="wait", wait_seconds=10.0
        ).build()
        began = time.monotonic()
        app.step()
        found.facts["longest pickup, seconds"] = round(time.monotonic() - began, 2)
        app.step()
        before = persister.load(None, app_id)
        os.kill(worker, signal.SIGCONT)
        fenced += ended(worker, 20.0) == 0
        after = persister.load(None, app_id)
        persister.close()
        if before is None or after is None or before["state"] != after["state"]:
            found.wrong.append(f"a stale owner changed {app_id}")
    found.expect("stale owners fenced", trial.size, fenced)
    return found


def _sleepy(trial: Trial, app_id: str, log: Path) -> None:
    app = victims.counter(persister_from(trial.url), app_id, log, 0.3, lease_seconds=0.2).build()
    try:
        app.step()
    except ConflictError:
        return
    raise AssertionError("a stale owner committed its step")


def one_object(trial: Trial) -> Found:
    """Many threads, then many tasks, step one application object: each step is taken, or refused as busy."""
    found = Found()
    persister = persister_from(trial.url)
    app = victims.counter(persister, f"object-{new_owner()}".replace("/", "-"), trial.folder / "one.log").build()
    outcomes: Counter[str] = Counter()

    def step() -> None:
        try:
            app.step()
            outcomes["taken"] += 1
        except BusyError:
            outcomes["busy"] += 1

    async def astep() -> None:
        try:
            await app.astep()
            outcomes["taken"] += 1
        except BusyError:
            outcomes["busy"] += 1

    async def all_at_once() -> None:
        await asyncio.gather(*(astep() for _ in range(trial.size)))

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda _: step(), range(trial.size)))
    asyncio.run(all_at_once())
    persister.close()
    found.facts["refused as busy"] = outcomes["busy"]
    found.expect("steps accounted for", 2 * trial.size, outcomes.total())
    found.expect("steps in the state", outcomes["taken"], app.state["n"])
    return found


def clock(trial: Trial) -> Found:
    """Processes whose clocks are an hour off go on with one application in turn; the last step is the last for all."""
    found = Found()
    app_id = f"clock-{new_owner()}".replace("/", "-")
    hours = [trial.chance.choice((-3600.0, 0.0, 3600.0)) for _ in range(trial.size)]
    for off in hours:
        worker = forked(lambda off=off: _off_by(off, trial, app_id), trial.folder / "errors.log")  # type: ignore[misc]
        if ended(worker, 30.0) != 0:
            found.wrong.append(f"a process {off:+.0f} seconds off could not go on")
    persister = persister_from(trial.url)
    loaded = persister.load(None, app_id)
    persister.close()
    found.expect("steps in the state", trial.size, loaded and loaded["state"]["n"])
    return found


def _off_by(seconds: float, trial: Trial, app_id: str) -> None:
    for name in ("time", "monotonic"):
        real = getattr(time, name)
        setattr(time, name, lambda real=real: real() + seconds)
    victims.counter(persister_from(trial.url), app_id, trial.folder / "clock.log").build().step()
