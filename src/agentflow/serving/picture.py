"""A graph laid out in rows, from its entrypoint downwards, so that a page can draw it without a library.

Rows are the longest ways from the entrypoint; a way back up is drawn along the right side, and one that would run
through shapes on its way down along the left one. What must not live here: colours,
or anything about a run.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from agentflow.drawing import Arrow, Drawing
from agentflow.graph import Graph

#: The unit is the width of a letter, about; rows and columns are this far apart.
LETTER: Final = 7.6
HEIGHT: Final = 34.0
GAP: Final = 22.0
ROW: Final = 68.0
MARGIN: Final = 14.0
#: Arrows beside each other are so far apart, and take so much of a row to turn.
LANE: Final = 12.0
BEND: Final = 22.0
#: The key of the end of a run, as drawings have it.
KINDS: Final = frozenset({"action", "choice", "end"})


def picture(graph: Graph, entrypoint: str) -> dict[str, Any]:
    """The shapes of a graph with their places, and the arrows with their ways, in pixels.

    Returns:
        `width`, `height`, `shapes` (`key`, `label`, `kind`, `x` and `y` of the middle, `width`, `height`) and `arrows`
        (`start`, `end`, `label`, `path` as SVG writes it, `x` and `y` of the label, `dashed`).
    """
    drawing = Drawing.of(graph)
    shapes = {shape.key: shape for shape in drawing.shapes if shape.kind in KINDS}
    arrows = [arrow for arrow in drawing.arrows if arrow.start in shapes and arrow.end in shapes]
    back = _ways_back(entrypoint, shapes, arrows)
    rows = _rows(shapes, [arrow for arrow in arrows if arrow not in back])
    placed = _placed(_ordered(rows, arrows), shapes)
    aside = _lanes([arrow for arrow in arrows if arrow not in back], placed)
    width = max(place["x"] + place["width"] / 2 for place in placed.values()) + MARGIN
    drawn = [
        _around(arrow, placed, aside[arrow])
        if arrow in aside
        else _drawn(arrow, placed, arrow in back, width + 12 * back.index(arrow) if arrow in back else 0)
        for arrow in arrows
    ]
    return {
        "width": width + 12 * len(back) + MARGIN,
        "height": ROW * len(rows),
        "shapes": [{"key": key, "label": shapes[key].label, "kind": shapes[key].kind, **placed[key]} for key in shapes],
        "arrows": drawn,
    }


def _ways_back(entrypoint: str, shapes: Iterable[str], arrows: list[Arrow]) -> list[Arrow]:
    """The arrows that lead to where a walk from the entrypoint has come from."""
    found: list[Arrow] = []
    state: dict[str, int] = {}
    leaving: dict[str, list[Arrow]] = {}
    for arrow in arrows:
        leaving.setdefault(arrow.start, []).append(arrow)
    for first in (entrypoint, *shapes):
        walk = [(first, iter(leaving.get(first, ())))] if first not in state else []
        state.setdefault(first, 1)
        while walk:
            here, ways = walk[-1]
            coming = next(ways, None)
            if coming is None:
                state[here] = 2
                walk.pop()
            elif coming.end not in state:
                state[coming.end] = 1
                walk.append((coming.end, iter(leaving.get(coming.end, ()))))
            elif state[coming.end] == 1:
                found.append(coming)
    return found


def _rows(shapes: Iterable[str], arrows: list[Arrow]) -> list[list[str]]:
    depth = dict.fromkeys(shapes, 0)
    for _ in depth:
        longer = [arrow for arrow in arrows if depth[arrow.end] <= depth[arrow.start]]
        if not longer:
            break
        for arrow in longer:
            depth[arrow.end] = max(depth[arrow.end], depth[arrow.start] + 1)
    rows: list[list[str]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for key, row in depth.items():
        rows[row].append(key)
    return rows


def _ordered(rows: list[list[str]], arrows: list[Arrow]) -> list[list[str]]:
    """Each row in the order of what leads to it, so that fewer arrows cross."""
    place: dict[str, float] = {}
    above: dict[str, list[str]] = {}
    for arrow in arrows:
        above.setdefault(arrow.end, []).append(arrow.start)
    for row in rows:
        known = {key: [place[each] for each in above.get(key, ()) if each in place] for key in row}
        row.sort(key=lambda key: sum(known[key]) / len(known[key]) if known[key] else 0.0)
        for number, key in enumerate(row):
            place[key] = number - (len(row) - 1) / 2
    return rows


def _placed(rows: list[list[str]], shapes: Any) -> dict[str, dict[str, float]]:
    widths = {key: max(56.0, len(shape.label) * LETTER + 22) for key, shape in shapes.items()}
    full = [sum(widths[key] for key in row) + GAP * (len(row) - 1) for row in rows]
    middle = max(full, default=0.0) / 2 + MARGIN
    placed: dict[str, dict[str, float]] = {}
    for number, row in enumerate(rows):
        left = middle - full[number] / 2
        for key in row:
            place = {"x": left + widths[key] / 2, "y": ROW * number + ROW / 2, "width": widths[key], "height": HEIGHT}
            placed[key] = place
            left += widths[key] + GAP
    return placed


def _lanes(arrows: list[Arrow], placed: dict[str, dict[str, float]]) -> dict[Arrow, float]:
    """How far left the arrows go that have to go around shapes; all is moved to the right to make room for them."""
    found: dict[Arrow, float] = {}
    for arrow in arrows:
        start, end = placed[arrow.start], placed[arrow.end]
        passed = [each for each in placed.values() if start["y"] < each["y"] < end["y"]]
        slope = (end["x"] - start["x"]) / ((end["y"] - start["y"]) or 1)
        if any(abs(start["x"] + slope * (each["y"] - start["y"]) - each["x"]) < each["width"] / 2 for each in passed):
            left = min(each["x"] - each["width"] / 2 for each in (start, *passed, end))
            found[arrow] = left - LANE * (len(found) + 1)
    room = max(0.0, MARGIN - min(found.values(), default=MARGIN))
    for place in placed.values():
        place["x"] += room
    return {arrow: lane + room for arrow, lane in found.items()}


def _around(arrow: Arrow, placed: dict[str, dict[str, float]], lane: float) -> dict[str, Any]:
    start, end = placed[arrow.start], placed[arrow.end]
    first, last = start["x"] - start["width"] / 2, end["x"] - end["width"] / 2 - 5
    down = _curve((first, start["y"]), (lane, start["y"]), (lane, start["y"]), (lane, start["y"] + BEND))
    path = f"{down} L{lane:.0f} {end['y'] - BEND:.0f} C{lane:.0f} {end['y']:.0f} {lane:.0f} {end['y']:.0f} "
    return _told(arrow, f"{path}{last:.0f} {end['y']:.0f}", lane, (start["y"] + end["y"]) / 2)


def _drawn(arrow: Arrow, placed: dict[str, dict[str, float]], is_back: bool, side: float) -> dict[str, Any]:
    start, end = placed[arrow.start], placed[arrow.end]
    top, bottom = start["y"] + HEIGHT / 2, end["y"] - HEIGHT / 2 - 5
    if is_back:
        x, y = side, (start["y"] + end["y"]) / 2
        ends = (start["x"] + start["width"] / 2, start["y"]), (end["x"] + end["width"] / 2 + 5, end["y"])
        path = _curve(ends[0], (side, start["y"]), (side, end["y"]), ends[1])
    else:
        x, y, bend = (start["x"] + end["x"]) / 2, (top + bottom) / 2, (bottom - top) / 2
        path = _curve((start["x"], top), (start["x"], top + bend), (end["x"], bottom - bend), (end["x"], bottom))
    return _told(arrow, path, x, y)


def _told(arrow: Arrow, path: str, x: float, y: float) -> dict[str, Any]:
    about = {"start": arrow.start, "end": arrow.end, "label": arrow.label, "dashed": arrow.dashed}
    return {**about, "path": path, "x": x, "y": y}


def _curve(*points: tuple[float, float]) -> str:
    first, *others = (f"{x:.0f} {y:.0f}" for x, y in points)
    return f"M{first} C{' '.join(others)}"
