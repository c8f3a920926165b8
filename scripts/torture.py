"""`agentflow torture` against SQLite, PostgreSQL and Redis: servers that the environment names, or own ones.

python scripts/torture.py --share 0.05
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # the servers are those of the tests

from agentflow.cli import main
from tests import servers

if __name__ == "__main__":
    servers.start()
    try:
        code = main(["torture", *sys.argv[1:]])
    finally:
        servers.stop()
    sys.exit(code)
