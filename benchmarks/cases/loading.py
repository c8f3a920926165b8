"""What importing costs over a bare interpreter, measured together."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable

from benchmarks.case import Case


def importing(statement: str) -> Callable[[], float]:
    """Milliseconds over a bare interpreter, the best of several pairs; a library that is missing is an ImportError."""

    def measured() -> float:
        __import__(statement.split()[-1].partition(".")[0])

        def seconds(code: str) -> float:
            started = time.perf_counter()
            subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True)
            return time.perf_counter() - started

        seconds(statement)
        return (min(seconds(statement) for _ in range(5)) - min(seconds("pass") for _ in range(5))) * 1e3

    return measured


CASES = [
    Case(
        "import, over a bare interpreter",
        "ms",
        {
            "agentflow": importing("import agentflow"),
            "Burr": importing("import burr.core"),
            "LangGraph": importing("import langgraph.graph"),
            "pydantic-graph": importing("import pydantic_graph"),
        },
        "at most 40",
        lambda median: median["agentflow"] <= 40,
    ),
]
