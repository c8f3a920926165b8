"""How much the tests try: a quick run tries less of the same things, and `AGENTFLOW_THOROUGH=1` is all there is to try.

`make test` is quick; `make test-all` and `.ci/run` are thorough. `AGENTFLOW_FUZZ=10000` is any number instead of both.
"""

from __future__ import annotations

import os

THOROUGH = "AGENTFLOW_THOROUGH" in os.environ


def tries(quick: int, thorough: int) -> int:
    """How many random things a test tries."""
    return int(os.environ.get("AGENTFLOW_FUZZ", thorough if THOROUGH else quick))
