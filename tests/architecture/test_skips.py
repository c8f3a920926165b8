"""A skipped test is found in pytest's report, unless its reason is allowed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "skips.py"

REPORT = """<testsuites><testsuite>
<testcase classname="tests.test_a" name="test_runs"/>
<testcase classname="tests.test_a" name="test_skipped"><skipped message="no server here"/></testcase>
</testsuite></testsuites>"""


@pytest.fixture
def report(tmp_path: Path) -> Path:
    path = tmp_path / "3.12.xml"
    path.write_text(REPORT)
    return path


def judge(allowed: str, report: Path) -> tuple[int, str]:
    reasons = report.with_name("allowed.txt")
    reasons.write_text(allowed)
    done = subprocess.run([sys.executable, SCRIPT, reasons, report], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


def test_a_skip_fails_and_is_named(report: Path) -> None:
    code, said = judge("# a comment\nanother reason\n", report)
    assert (1, True) == (code, "3.12: tests.test_a.test_skipped was skipped (no server here)" in said)


def test_a_skip_with_an_allowed_reason_passes(report: Path) -> None:
    assert (0, "") == judge("# it needs a server\nno server here\n", report)
