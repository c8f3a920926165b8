"""Reports laid out for a reader: as text, as HTML, as JSON.

What must not live here: working out a figure.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Final

#: A report as plain values: what `Report.as_dict` gives.
Plain = Mapping[str, Any]
Row = Sequence[str]
#: So many misses are shown in a terminal; the other forms show all.
MISSES_SHOWN: Final = 20


def text(reports: Sequence[Plain]) -> str:
    """All figures, as tables of text."""
    parts = [_aligned(_summary(reports))]
    for report in reports:
        title = f"{report['name']}\n" if len(reports) > 1 else ""
        parts.append(title + _aligned(_scores(report)))
        parts.append("What was right (rows), what was chosen (columns)\n" + _aligned(_confusion(report)))
        misses = _wrong(report)
        if misses:
            shown = _aligned(_misses(misses[:MISSES_SHOWN], width=60))
            left = len(misses) - MISSES_SHOWN
            parts.append(f"{_counted(misses)}\n{shown}" + (f"\n... and {left} more" if left > 0 else ""))
    return "\n\n".join(parts) + "\n"


def page(reports: Sequence[Plain]) -> str:
    """All figures as one HTML page: no script, nothing to load."""
    body = [f"<h1>Evaluation</h1>{_html_table(_summary(reports))}"]
    for report in reports:
        body.append(f"<h2>{escape(report['name'])}</h2>{_html_table(_scores(report))}")
        body.append(f"<h3>What was right (rows), what was chosen (columns)</h3>{_html_confusion(report)}")
        misses = _wrong(report)
        if misses:
            body.append(f"<h3>{_counted(misses)}</h3>{_html_table(_misses(misses, width=None))}")
    return _PAGE.replace("BODY", "\n".join(body))


def as_json(reports: Sequence[Plain]) -> str:
    """Plain reports as JSON."""
    return json.dumps({"reports": list(reports)}, ensure_ascii=False, indent=2)


# -- tables, their first row being the head


def _summary(reports: Sequence[Plain]) -> list[Row]:
    rows: list[Row] = [("", "accuracy", "right", "abstained", "errors", "tokens", "cost", "median", "p95", "all in")]
    for report in reports:
        cases, cost = report["cases"], report["cost"]
        rows.append(
            (
                report["name"],
                _percent(report["accuracy"]),
                f"{cases - len(_wrong(report))}/{cases}",
                str(report["abstentions"]),
                str(report["errors"]),
                str(report["tokens"]),
                "-" if cost is None else f"${cost:.4f}",
                _duration(report["latency"]["median"]),
                _duration(report["latency"]["p95"]),
                _duration(report["seconds"]),
            )
        )
    return rows


def _scores(report: Plain) -> list[Row]:
    head = ("target", "precision", "recall", "cases", "chosen")
    return [
        head,
        *(
            (name, _percent(each["precision"]), _percent(each["recall"]), str(each["cases"]), str(each["chosen"]))
            for name, each in report["scores"].items()
        ),
    ]


def _confusion(report: Plain) -> list[Row]:
    matrix = report["confusion"]
    chosen = sorted({answer for row in matrix.values() for answer in row} | set(report["targets"]))
    rows = [(expected, *(str(row.get(answer, 0)) for answer in chosen)) for expected, row in matrix.items()]
    return [("", *chosen), *rows]


def _misses(misses: Sequence[Plain], width: int | None) -> list[Row]:
    rows: list[Row] = [("case", "right", "chosen", "why")]
    for each in misses:
        why = each["error"] or each["reason"] or ""
        rows.append((_cut(each["given"], width), each["expected"] or "(none)", each["answer"], _cut(why, width)))
    return rows


def _wrong(report: Plain) -> list[Plain]:
    return [outcome for outcome in report["outcomes"] if not outcome["right"]]


def _counted(misses: Sequence[Plain]) -> str:
    return "1 miss" if len(misses) == 1 else f"{len(misses)} misses"


def _percent(part: float | None) -> str:
    return "-" if part is None else f"{part * 100:.1f} %"


def _duration(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.1f} ms"


def _cut(value: str, width: int | None) -> str:
    line = " ".join(value.split())
    return line if width is None or len(line) <= width else f"{line[: width - 1]}…"


def _aligned(rows: Sequence[Row]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def _html_table(rows: Sequence[Row]) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in rows[0])
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows[1:])
    return f"<table><tr>{head}</tr>{body}</table>"


def _html_confusion(report: Plain) -> str:
    head, *rows = _confusion(report)
    lines = ["".join(f"<th>{escape(cell)}</th>" for cell in head)]
    for row in rows:
        most = max(sum(map(int, row[1:])), 1)
        cells = []
        for answer, count in zip(head[1:], row[1:], strict=True):
            kind = "right" if answer == row[0] else "wrong"
            cells.append(f'<td class="{kind}" style="--part:{int(count) / most:.2f}">{count}</td>')
        lines.append(f"<th>{escape(row[0])}</th>{''.join(cells)}")
    return "<table>" + "".join(f"<tr>{line}</tr>" for line in lines) + "</table>"


_PAGE: Final = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Evaluation</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; color: #222 }
table { border-collapse: collapse; margin: .5rem 0 1.5rem }
th, td { border: 1px solid #ddd; padding: .25rem .6rem; text-align: left; vertical-align: top }
th { background: #f5f5f5 }
.right { background: rgb(46 160 67 / calc(var(--part) * .6)) }
.wrong { background: rgb(207 34 46 / calc(var(--part) * .6)) }
</style>
<body>
BODY
</body></html>
"""
