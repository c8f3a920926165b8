"""Law 10: nothing happens on import."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

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


def test_importing_agentflow_loads_no_event_loop() -> None:
    assert "False" == run("import agentflow; print('asyncio' in sys.modules)")
