"""Rows that an attacker wrote are read as data or refused as corrupt: nothing is imported, opened, run or connected to.

`AGENTFLOW_FUZZ=10000` reads that many instead of 500.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROWS = os.environ.get("AGENTFLOW_FUZZ", "500")
SEED = "7" if "AGENTFLOW_FUZZ" not in os.environ else str(int.from_bytes(os.urandom(4)))


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    program = [sys.executable, "-m", "tests.persistence.serde.hostile", ROWS, SEED]
    done = subprocess.run(
        program, capture_output=True, text=True, timeout=600, cwd=Path(__file__).parents[3], check=False
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    print(f"seed {SEED}: {found}")
    return found


def test_every_row_is_read_or_refused_as_corrupt(report: dict[str, Any]) -> None:
    assert set() == report["outcomes"].keys() - {"read", "refused"}
    assert report["outcomes"]["refused"] > int(ROWS) // 2


def test_nothing_but_reading_happens(report: dict[str, Any]) -> None:
    assert {} == report["events"]
    assert 1 == report["watched"]
    assert 0 == report["made"]


def test_no_row_takes_long(report: dict[str, Any]) -> None:
    assert report["slowest"] < 1.0


def test_no_changed_row_opens_with_a_key(report: dict[str, Any]) -> None:
    assert 0 == report["outcomes"].get("opened", 0)
