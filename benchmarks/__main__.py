"""`python -m benchmarks`: measure everything and print the table.

Only ratios within one run mean anything; absolute figures move between machines and with what else they do.
"""

from __future__ import annotations

import argparse
import json
import sys

from benchmarks.runner import FAMILIES, Row, measure, run_one


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("families", nargs="*", help=f"which of {', '.join(FAMILIES)}; by default all")
    parser.add_argument("--rounds", type=int, default=5, help="how often each way is measured")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--check", action="store_true", help="exit with 1 when a goal is not met")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        run_one(*given.one)
        return 0
    rows = measure(given.families, given.rounds)
    print(as_json(rows) if given.json else as_table(rows))
    return int(given.check and any(row.met is False for row in rows))


def as_table(rows: list[Row]) -> str:
    """A table in Markdown."""
    lines = ["| work | figures (median) | goal | |", "|---|---|---|---|"]
    for row in rows:
        shown = ", ".join(
            f"{way} {'not installed' if value is None else f'{value:,.3g}'}" for way, value in row.medians.items()
        )
        verdict = {True: "met", False: "**not met**", None: "not measured"}[row.met]
        lines.append(f"| {row.case.name} ({row.case.unit}) | {shown} | {row.case.goal} | {verdict} |")
    return "\n".join(lines)


def as_json(rows: list[Row]) -> str:
    """The same as JSON."""
    return json.dumps(
        [
            {
                "work": row.case.name,
                "unit": row.case.unit,
                "medians": row.medians,
                "goal": row.case.goal,
                "met": row.met,
            }
            for row in rows
        ],
        indent=2,
    )


if __name__ == "__main__":
    sys.exit(main())
