"""Where coverage is not measured, because it would only take time: what is measured takes twice as long.

What must not live here: what coverage there has to be; see `pyproject.toml`.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import agentflow

#: Of the packages that agentflow and its tests use, those that take long to load.
LARGE = ("litellm", "instructor", "fastapi", "distributed")

#: Tests that run the same lines many times, or spend their time in other people's code, and of agentflow run hardly a
#: line that no other test runs. (With `dynamic_context = "test_function"`, `coverage report --contexts` shows that.)
UNMEASURED = (
    "docs",
    "examples",
    "expressions/test_equivalence.py",
    "expressions/test_fuzz.py",
    "laws",
    "llm/test_calls.py",
    "llm/test_fault_matrix.py",
    "llm/test_secrets.py",
    "parallel/test_race.py",
    "persistence/serde/test_random_values.py",
    "persistence/test_against_model.py",
    "persistence/test_killed_assistant.py",
    "persistence/test_saved_children.py",
    "select/test_only_declared_targets.py",
    "serving/test_counting_once.py",
    "serving/test_hostile_ids.py",
    "test_redaction.py",
    "tracking/test_cost.py",
)
#: Of these, the variants for a store that has tests of its own.
STORED = "persistence/test_saved_runs.py"


def is_unmeasured(nodeid: str) -> bool:
    """Whether a test runs without being measured."""
    name = nodeid.removeprefix("tests/")
    return name.startswith(UNMEASURED) or (name.startswith(STORED) and name.endswith(("postgresql]", "redis]")))


@contextmanager
def unmeasured() -> Iterator[None]:
    """Switch measuring off in this thread and in those that are started meanwhile."""
    here, in_threads = sys.gettrace(), threading.gettrace()
    sys.settrace(None)
    threading.settrace(None)  # type: ignore[arg-type]
    try:
        yield
    finally:
        threading.settrace(in_threads)  # type: ignore[arg-type]
        sys.settrace(here)


def stop_measuring() -> None:
    """For a process that only hands out tests."""
    if "coverage" in sys.modules and (measuring := sys.modules["coverage"].Coverage.current()):
        measuring.stop()


def load_all() -> None:
    """Where coverage is measured: load what is large without it, and agentflow with it, whichever test comes first."""
    if sys.gettrace() is None:
        return
    with unmeasured():
        for name in LARGE:
            importlib.import_module(name)
    for module in pkgutil.walk_packages(agentflow.__path__, "agentflow."):
        if module.name != "agentflow.__main__":
            importlib.import_module(module.name)
