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
from dataclasses import dataclass
from typing import Any

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


def is_measured(nodeid: str) -> bool:
    """Whether a test is measured."""
    name = nodeid.removeprefix("tests/")
    return not name.startswith(UNMEASURED) and not (
        name.startswith(STORED) and name.endswith(("postgresql]", "redis]"))
    )


@dataclass(frozen=True)
class Tracers:
    """What is called for each line, in this thread and in those that are started."""

    here: Any
    in_threads: Any

    @classmethod
    def now(cls) -> Tracers:
        return cls(sys.gettrace(), threading.gettrace())

    def set(self) -> None:
        sys.settrace(self.here)
        threading.settrace(self.in_threads)


_none = _measuring = Tracers(None, None)


@contextmanager
def measured(wanted: bool) -> Iterator[None]:
    """Switch measuring on or off for a while, if coverage is measured at all."""
    if _measuring is _none:
        yield
        return
    before = Tracers.now()
    (_measuring if wanted else _none).set()
    try:
        yield
    finally:
        before.set()


def stop() -> None:
    """For a process that only hands out tests."""
    if (coverage := _running()) is not None:
        coverage.stop()


def start() -> None:
    """For a process that runs tests: load what is large, and all of agentflow, whichever test comes first."""
    global _measuring
    if _running() is None:
        return
    _measuring = Tracers.now()
    with measured(False):
        for name in LARGE:
            importlib.import_module(name)
    for module in pkgutil.walk_packages(agentflow.__path__, "agentflow."):
        if module.name != "agentflow.__main__":
            importlib.import_module(module.name)


def _running() -> Any:
    return sys.modules["coverage"].Coverage.current() if "coverage" in sys.modules else None
