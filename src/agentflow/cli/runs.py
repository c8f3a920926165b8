"""`agentflow runs`: what is saved, and what was tracked: list, show, compare, fork, go on with, export, prune, examine.

What must not live here: how a run is printed (`_printing.py`), stores, or trackers.
"""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from agentflow.cli._files import write
from agentflow.errors import InputError
from agentflow.ids import new_id

if TYPE_CHECKING:
    from agentflow.persistence import Persister
    from agentflow.persistence.records import Head
    from agentflow.tracking import Runs

NAME: Final = "runs"
HELP: Final = "saved and tracked runs: list, show, diff, fork, resume, export, prune, doctor, watch"

#: Where to look when nobody says: what this variable names, or this file.
VARIABLE: Final = "AGENTFLOW_STORE"
FILE: Final = "agentflow.db"


def add_arguments(parser: ArgumentParser) -> None:
    """Which verb, and of which application."""
    verbs = parser.add_subparsers(metavar="verb", required=True)
    _list(_verb(verbs, "list", list_runs, "the applications, newest first"))
    _show(_verb(verbs, "show", show, "one application: its state, its steps and its decisions", "app"))
    _verb(verbs, "diff", diff, "how the states of two applications differ", "app", "other")
    fork = _verb(verbs, "fork", fork_run, "make a new application that goes on from a step of another", "app")
    fork.add_argument("--at", type=int, metavar="STEP", help="the step (default: the last one)")
    fork.add_argument("--as", dest="name", metavar="ID", help="the id of the new one (default: made up)")
    _resume(_verb(verbs, "resume", resume, "go on with an application until it halts", "module:builder", "app"))
    export = _verb(verbs, "export", export_run, "everything that is saved of an application, as JSON", "app")
    export.add_argument("--to", metavar="FILE", help="a file (default: the terminal)")
    prune = _verb(verbs, "prune", prune_run, "delete all but the last steps of an application", "app")
    prune.add_argument("--keep", type=int, default=1, metavar="N", help="how many steps to keep (default: 1)")
    _verb(verbs, "doctor", doctor, "read every saved step, and say what is damaged and what is stuck")
    watch = _verb(verbs, "watch", watch_run, "what happens in a tracked application, as it happens", "app")
    watch.add_argument("--seconds", type=float, default=3600.0, help="for how long (default: 3600)")


def run(arguments: Namespace) -> int:
    """Do what was asked for."""
    return int(arguments.verb(arguments))


def list_runs(given: Namespace) -> int:
    """Print the applications."""
    from agentflow.cli import _printing

    if given.limit < 0:
        raise InputError(f"--limit {given.limit} is not usable: give a whole number, 0 or more.")
    if given.tracked:
        from agentflow.tracking import Runs

        found = Runs(given.root).applications(partition_key=given.partition, limit=given.limit)
        _printing.tracked(found, as_json=given.json)
        return 0
    with _store(given) as store:
        heads = sorted(store.all_heads(given.partition), key=lambda head: -head.updated_at)
        _printing.heads(heads[: given.limit], as_json=given.json)
    return 0


def show(given: Namespace) -> int:
    """Print one application."""
    from agentflow.cli import _printing

    if given.tracked:
        runs, whose = _tracked(given), {"partition_key": given.partition}
        steps, decisions = runs.steps(given.app, **whose), runs.decisions(given.app, **whose)
        _printing.tracked_steps(steps, decisions, as_json=given.json)
        return 0
    with _store(given) as store:
        head = _head(store, given, given.app)
        history = store.history(head.app_id, head.partition_key)
        if given.json:
            print(json.dumps(_printing.whole(store, head, history), indent=2, ensure_ascii=False))
        else:
            _printing.application(store, head, history)
    return 0


def diff(given: Namespace) -> int:
    """Print how two states differ; 1 if they do."""
    from agentflow.cli import _printing

    with _store(given) as store:
        states = [_state(store, _head(store, given, name)) for name in (given.app, given.other)]
    return int(_printing.difference(*states))


def fork_run(given: Namespace) -> int:
    """Make a fork, and print its id."""
    with _store(given) as store:
        head = _head(store, given, given.app)
        made = store.fork(head.app_id, given.name or new_id(), given.at, head.partition_key)
        print(made.app_id)
    return 0


def resume(given: Namespace) -> int:
    """Go on with an application."""
    from agentflow.cli import _printing
    from agentflow.cli._inputs import inputs_of
    from agentflow.cli._loading import load_builder

    with _store(given) as store:
        head = _head(store, given, given.app)
        builder = load_builder(getattr(given, "module:builder"), head.app_id, head.partition_key)
        app = builder.saved_in(store, head.app_id, head.partition_key).build()
        inputs = inputs_of(given.input, app.get_next_action(), app.graph.actions)
        app.run(halt_before=given.halt_before, halt_after=given.halt_after, inputs=inputs, max_steps=given.max_steps)
        _printing.application(store, _head(store, given, given.app), store.history(head.app_id, head.partition_key))
        print(f"\n{app.status.value}{f': {app.halted_by}' if app.halted_by else ''}")
    return 0


def export_run(given: Namespace) -> int:
    """Print everything, as JSON, or write it."""
    from agentflow.cli import _printing

    with _store(given) as store:
        head = _head(store, given, given.app)
        text = json.dumps(
            _printing.whole(store, head, store.history(head.app_id, head.partition_key)), indent=2, ensure_ascii=False
        )
    if given.to:
        write(given.to, f"{text}\n")
    else:
        print(text)
    return 0


def prune_run(given: Namespace) -> int:
    """Delete old steps, and print how many."""
    with _store(given) as store:
        head = _head(store, given, given.app)
        print(f"{store.prune(head.app_id, head.partition_key, given.keep)} steps deleted")
    return 0


def doctor(given: Namespace) -> int:
    """Read everything; 1 if something is damaged."""
    from agentflow.cli import _printing

    with _store(given) as store:
        return int(_printing.examined(store))


def watch_run(given: Namespace) -> int:
    """Print what is tracked of an application, for so many seconds; it may be one that has not begun."""
    from agentflow.cli import _printing
    from agentflow.tracking import Runs

    runs = Runs(given.root)
    if runs.application(given.app, given.partition) is None:
        print(f"nothing of {given.app!r} is in {runs.path} yet: waiting for it", file=sys.stderr, flush=True)
    for event in runs.follow(given.app, seconds=given.seconds, partition_key=given.partition):
        _printing.event(event)
    _tracked(given)  # or nothing came
    return 0


# -- what they take


def _verb(verbs: Any, name: str, work: Callable[[Namespace], int], text: str, *positional: str) -> ArgumentParser:
    made: ArgumentParser = verbs.add_parser(name, help=text, description=text)
    for each in positional:
        made.add_argument(each)
    made.add_argument("--store", metavar="URL", help=f"the store (default: ${VARIABLE}, or {FILE} here)")
    made.add_argument("--partition", metavar="KEY", help="whose application (default: found by its id)")
    made.add_argument("--root", metavar="FOLDER", help="where tracked runs are (default: ~/.agentflow)")
    made.set_defaults(verb=work)
    return made


def _list(parser: ArgumentParser) -> None:
    parser.add_argument("--limit", type=int, default=50, metavar="N", help="at most so many (default: 50)")
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.add_argument("--tracked", action="store_true", help="those that were tracked, not those that are saved")


def _show(parser: ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.add_argument("--tracked", action="store_true", help="as it was tracked, not as it is saved")


def _resume(parser: ArgumentParser) -> None:
    parser.add_argument("--input", action="append", default=[], metavar="NAME=VALUE", help="an input; may be repeated")
    parser.add_argument("--halt-before", action="append", default=[], metavar="ACTION", help="may be repeated")
    parser.add_argument("--halt-after", action="append", default=[], metavar="ACTION", help="may be repeated")
    parser.add_argument("--max-steps", type=int, default=1000, metavar="N", help="at most so many (default: 1000)")


def _store(given: Namespace) -> Persister:
    import os

    from agentflow.persistence import persister_from

    url = given.store or os.environ.get(VARIABLE)
    if not url and not Path(FILE).exists():
        raise InputError(f"there is no {FILE} here: name a store with --store URL or the variable {VARIABLE}.")
    store = persister_from(url or f"sqlite:///{FILE}")
    if not store.is_initialized():  # every verb is about runs that are there, so none makes a store
        raise InputError(f"there is no store at {url or FILE}: name one with --store URL or the variable {VARIABLE}.")
    return store


def _tracked(given: Namespace) -> Runs:
    from agentflow.tracking import Runs

    runs = Runs(given.root)
    if runs.application(given.app, given.partition) is None:
        raise InputError(
            f"nothing was tracked of an application {given.app!r} in {runs.path}: `agentflow runs list --tracked` "
            "shows those that something was."
        )
    return runs


def _head(store: Persister, given: Namespace, app_id: str) -> Head:
    found = [head for head in store.all_heads(given.partition) if head.app_id == app_id]
    found = found or [head for head in store.all_heads(given.partition) if head.app_id.startswith(app_id)]
    if len(found) == 1:
        return found[0]
    if not found:
        raise InputError(f"there is no application {app_id!r} in this store: `agentflow runs list` shows them.")
    whose = ", ".join(sorted({f"{head.app_id} of {head.partition_key!r}" for head in found})[:5])
    raise InputError(f"{app_id!r} may be {whose}: say more of its id, or whose with --partition.")


def _state(store: Persister, head: Head) -> dict[str, Any]:
    loaded = store.load(head.partition_key, head.app_id)
    return {} if loaded is None else loaded["state"].get_all()
