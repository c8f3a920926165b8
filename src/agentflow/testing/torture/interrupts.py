"""Rows about gentler ends: cancellation, Ctrl-C and SIGTERM at random instants never record a step as completed.

What must not live here: kill -9 (`kills.py`).
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections import Counter
from pathlib import Path

from agentflow.persistence import persister_from
from agentflow.persistence.owner import new_owner
from agentflow.testing.torture import victims
from agentflow.testing.torture.processes import forked, note, notes, strike
from agentflow.testing.torture.rows import Found, Trial


def interrupts(trial: Trial) -> Found:
    """Ctrl-C, SIGTERM and cancellation at `size` random instants of a running application."""
    found, endings = Found(), Counter[str]()
    app_id, log = f"interrupt-{new_owner()}".replace("/", "-"), trial.folder / "effects.log"
    for number in range(trial.size):
        kind = ("ctrl-c", "sigterm", "cancel")[number % 3]
        after = trial.chance.uniform(0.0, 0.03)
        if kind == "cancel":
            work = forked(lambda after=after: _cancelled(trial.url, app_id, log, after), trial.folder / "errors.log")  # type: ignore[misc]
            code = strike(work, 30.0)
        else:
            work = forked(lambda: _running(trial.url, app_id, log), trial.folder / "errors.log")
            code = strike(work, after, signal.SIGINT if kind == "ctrl-c" else signal.SIGTERM)
        endings[f"{kind}: {code}"] += 1
    persister = persister_from(trial.url)
    committed = [step.sequence_id for step in persister.history(app_id)]
    loaded = persister.load(None, app_id)
    persister.close()
    done = {line.split()[1] for line in notes(log) if line.startswith("done")}
    found.facts["endings"] = dict(endings)
    found.expect("gaps", committed == list(range(-1, len(committed) - 1)), True)
    found.expect("steps committed whose action had not ended", 0, sum(str(n) not in done for n in committed if n >= 0))
    found.expect("entries in the state", len(committed) - 1, loaded and loaded["state"]["n"])
    slow = [float(line.split()[1]) for line in notes(log) if line.startswith("latency")]
    found.facts["slowest cancellation, ms"] = round(max(slow, default=0.0) * 1000, 1)
    return found


def _running(url: str, app_id: str, log: Path) -> None:
    app = victims.marked(persister_from(url), app_id, log, on_conflict="takeover").build()
    while True:
        app.step()


def _cancelled(url: str, app_id: str, log: Path, after: float) -> None:
    async def run() -> None:
        app = await victims.amarked(persister_from(url), app_id, log, on_conflict="takeover").abuild()
        running = asyncio.ensure_future(app.arun(max_steps=10_000))
        await asyncio.sleep(after)
        began = time.perf_counter()
        running.cancel()
        try:
            await running
        except asyncio.CancelledError:
            note(log, f"latency {time.perf_counter() - began}")
        if app.status.value not in ("cancelled", "ready"):
            raise AssertionError(f"a cancelled run stands at {app.status}")

    asyncio.run(run())
