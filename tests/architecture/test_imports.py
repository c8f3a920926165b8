"""Law 10: nothing happens on import."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import agentflow

SOURCES = Path(agentflow.__file__).parents[1]

LIST_FOREIGN_MODULES = """
before = set(sys.modules)
import agentflow
foreign = {name.partition(".")[0] for name in set(sys.modules) - before} - sys.stdlib_module_names - {"agentflow"}
print(sorted(foreign))
"""

WATCH_EVENTS = """
seen = []
outside = ("socket.", "subprocess.", "os.system", "os.exec", "os.fork", "os.posix_spawn", "urllib.")
sys.addaudithook(lambda event, args: seen.append(event) if event.startswith(outside) else None)
import agentflow
print(seen)
"""


def run(code: str, *options: str) -> str:
    """What a new interpreter prints that gets nothing from its surroundings but agentflow itself."""
    code = f"import sys; sys.path.insert(0, {str(SOURCES)!r})\n{code}"
    done = subprocess.run([sys.executable, "-I", *options, "-c", code], capture_output=True, text=True, check=False)
    assert "" == done.stderr
    return done.stdout.strip()


def test_importing_agentflow_loads_nothing_but_itself_and_the_standard_library() -> None:
    assert "[]" == run(LIST_FOREIGN_MODULES)


def test_agentflow_is_whole_where_nothing_else_is_installed() -> None:
    public = sorted({*agentflow.__all__} - {*agentflow._LAZY})
    assert str(len(public)) == run(f"import agentflow; print(len([getattr(agentflow, n) for n in {public}]))", "-S")


def test_importing_agentflow_opens_no_socket_and_starts_no_process() -> None:
    assert "[]" == run(WATCH_EVENTS)


#: Modules of the standard library that cost more than many of ours, and that most runs can do without.
COSTLY = (
    "asyncio copy concurrent dataclasses datetime difflib hashlib inspect json logging pathlib random socket sqlite3 "
    "subprocess tempfile uuid"
).split()
RUN = """
import sys
import agentflow
from agentflow import ApplicationBuilder, State, action, expr, switch, when

@action(reads=["count"], writes=["count"])
def count(state: State, by: int = 1) -> State:
    "Count."
    return state.update(count=state["count"] + by)

builder = ApplicationBuilder().with_actions(count).with_transitions(("count", "count", when(count=1)))
app = builder.with_entrypoint("count").with_state(count=0).build()
app.run(inputs={"by": 1})
assert app.state["count"] == 2
"""


@pytest.mark.parametrize("code", ["import agentflow", RUN], ids=["import", "run"])
def test_neither_an_import_nor_a_blocking_run_loads_what_is_costly(code: str) -> None:
    assert "[]" == run(f"{code}\nprint(sorted({{*sys.modules}} & {{*{COSTLY!r}}}))")


def test_what_only_some_programs_use_loads_when_it_is_first_used() -> None:
    late = ("agentflow.hooks.moments", "agentflow.tracing", "agentflow.persistence", "agentflow.parallel")
    assert "[]" == run(f"import agentflow; print(sorted({{*sys.modules}} & {{*{late!r}}}))")
