"""Fails when a test that should have run was skipped: a suite that skips half of itself is green, and proves nothing.

Reads pytest's JUnit reports. A test that is expected to fail counts as skipped. Usage: skips.py ALLOWED REPORT...
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree


def allowed_reasons(path: Path) -> set[str]:
    """The reasons in a file of one a line, without its comments."""
    lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    return {line for line in lines if line and not line.startswith("#")}


def skips(report: Path) -> Iterator[tuple[str, str]]:
    """The tests of a report that did not run, each with its reason."""
    for case in ElementTree.parse(report).iter("testcase"):
        for skipped in case.iter("skipped"):
            yield f"{case.get('classname')}.{case.get('name')}", skipped.get("message", "")


def main(allowed: Path, *reports: Path) -> int:
    """Print every skip that is not allowed; 1 if there was one."""
    reasons = allowed_reasons(allowed)
    wrong = [(report, *skip) for report in reports for skip in skips(report) if skip[1] not in reasons]
    for report, test, reason in wrong:
        print(f"{report.stem}: {test} was skipped ({reason}), and {allowed} does not allow that")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main(*(Path(argument) for argument in sys.argv[1:])))
