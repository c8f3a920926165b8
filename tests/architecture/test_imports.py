"""Law 10: nothing happens on import."""

from __future__ import annotations

import subprocess
import sys

LIST_FOREIGN_MODULES = """
import sys
before = set(sys.modules)
import agentflow
foreign = {name.partition(".")[0] for name in set(sys.modules) - before} - sys.stdlib_module_names - {"agentflow"}
print(sorted(foreign))
"""

WATCH_EVENTS = """
import sys
seen = []
sys.addaudithook(lambda event, args: seen.append(event) if event.startswith(("socket.", "subprocess.", "os.system")) else None)
import agentflow
print(seen)
"""


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_importing_agentflow_loads_nothing_but_itself_and_the_standard_library() -> None:
    assert run(LIST_FOREIGN_MODULES) == "[]"


def test_importing_agentflow_opens_no_socket_and_starts_no_process() -> None:
    assert run(WATCH_EVENTS) == "[]"


def test_importing_agentflow_does_not_load_an_event_loop() -> None:
    assert run("import sys, agentflow; print('asyncio' in sys.modules)") == "False"
