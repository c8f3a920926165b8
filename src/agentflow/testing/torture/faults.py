"""Rows about stores that fail: the disk is full, an answer is lost, nothing can be written.

What must not live here: processes that die (`kills.py`).
"""

from __future__ import annotations

import resource
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agentflow.application import Application
from agentflow.errors import StoreError
from agentflow.persistence import Persister, persister_from
from agentflow.persistence.owner import new_owner
from agentflow.testing.torture import victims
from agentflow.testing.torture.processes import ended, forked, note, notes
from agentflow.testing.torture.rows import Found, Trial


def faults(trial: Trial) -> Found:
    """A store that refuses, and one whose answers are lost, `size` times each; and a disk that is full."""
    found = Found()
    for kind, failing in (("refused", _refusing), ("lost answer", _losing)):
        _broken(trial, kind, failing, found)
    if trial.url.startswith("sqlite"):
        log = trial.folder / "full.log"
        worker = forked(
            lambda: _full(trial.url, f"full-{new_owner()}".replace("/", "-"), log), trial.folder / "errors.log"
        )
        found.expect("a full disk: exit code", 0, ended(worker, 60.0))
        found.expect("a full disk: what was seen", ["StoreError", "same state", "went on"], notes(log))
    return found


def _broken(trial: Trial, kind: str, failing: Callable[[Callable[..., Any]], Callable[..., Any]], found: Found) -> None:
    persister = persister_from(trial.url)
    log = trial.folder / f"{kind.replace(' ', '-')}.log"
    app_id = f"{kind}-{new_owner()}".replace("/", "-").replace(" ", "-")
    app = victims.counter(persister, app_id, log, 0.0).build()
    app.step()
    errors = 0
    for _ in range(trial.size):
        before = app.state, app.sequence_id
        persister.commit = failing(type(persister).commit.__get__(persister))  # type: ignore[method-assign]
        try:
            app.step()
        except StoreError:
            errors += 1
            if (app.state, app.sequence_id) != before:
                found.wrong.append(f"{kind}: memory moved although nothing was committed")
        del persister.commit
        app.step()
    stored = persister.load(None, app_id)
    persister.close()
    found.expect(f"{kind}: errors raised", trial.size if kind == "refused" else 0, errors)
    found.expect(f"{kind}: memory is what is stored", True, stored is not None and stored["state"] == app.state)
    expected = list(range(app.state["n"]))
    effects = [int(line.split()[1]) for line in notes(log)]
    found.expect(f"{kind}: steps performed", expected, sorted(set(effects)))


def _refusing(commit: Callable[..., Any]) -> Callable[..., Any]:
    def refuse(*_: Any, **__: Any) -> None:
        raise StoreError("the store is on strike.")

    return refuse


def _losing(commit: Callable[..., Any]) -> Callable[..., Any]:
    def lose(*args: Any, **kwargs: Any) -> None:
        commit(*args, **kwargs)
        raise StoreError("the answer got lost.")

    return lose


def _full(url: str, app_id: str, log: Path) -> None:
    """Run until no file may grow any more, see that nothing moved, and go on once there is room again."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    persister: Persister = persister_from(url)
    app: Application[Any] = victims.counter(persister, app_id, log.with_suffix(".effects"), 0.0).build()
    app.step()
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64 * 1024, hard))
    before = app.state, app.sequence_id
    try:
        while True:
            before = app.state, app.sequence_id
            app.step()
    except StoreError:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        note(log, "StoreError")
    note(log, "same state" if (app.state, app.sequence_id) == before else f"{app.sequence_id} after {before[1]}")
    app.step()
    loaded = persister.load(None, app_id)
    note(log, "went on" if loaded is not None and loaded["state"] == app.state else "could not go on")
