"""A graph as a picture: boxes, diamonds, arrows and frames as plain facts, and their text in mermaid and graphviz.

An action that runs a graph of its own says so by an attribute `nested`, and is drawn as a frame around that graph where
the picture is deep enough. What must not live here: what a graph means; it gives its facts to `Drawing.of`.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from agentflow.actions import Action
from agentflow.conditions import default
from agentflow.errors import BuildError, MissingExtraError
from agentflow.select.selector import END, Selector

if TYPE_CHECKING:
    from agentflow.checks import Edge

    class Drawable(Protocol):
        """A graph, as far as it is drawn."""

        @property
        def actions(self) -> Sequence[Action]: ...
        @property
        def transitions(self) -> Sequence[Edge]: ...

    class Nested(Protocol):
        """A graph that an action runs, with its way in and out."""

        @property
        def graph(self) -> Drawable: ...
        @property
        def entrypoint(self) -> str: ...
        @property
        def halt_after(self) -> Sequence[str]: ...


@dataclass(frozen=True, slots=True)
class Shape:
    """One thing drawn: `kind` is "action", "choice", "input" or "end"; `frame` is the key of the frame it is in."""

    key: str
    label: str
    kind: str
    frame: str = ""


@dataclass(frozen=True, slots=True)
class Arrow:
    """From one shape to another."""

    start: str
    end: str
    label: str = ""
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Frame:
    """What is drawn around the graph that an action runs; `frame` is the key of the frame it is in itself."""

    key: str
    label: str
    frame: str = ""


@dataclass(frozen=True, slots=True)
class Drawing:
    """Everything that is drawn."""

    shapes: tuple[Shape, ...]
    arrows: tuple[Arrow, ...]
    frames: tuple[Frame, ...] = ()

    @classmethod
    def of(
        cls,
        graph: Drawable,
        include_conditions: bool = True,
        include_state: bool = False,
        depth: int = 0,
    ) -> Drawing:
        """The drawing of a graph: an action is a box with its inputs beside it, a choice is a diamond.

        Args:
            graph: The graph.
            include_conditions: Write the conditions on the arrows.
            include_state: Write what each action reads and writes into its box.
            depth: How many levels of graphs within actions are drawn out, in frames.

        Raises:
            BuildError: The depth is negative.
        """
        if depth < 0:
            raise BuildError(f"depth={depth} cannot be drawn: use 0 to leave subgraphs closed, 1 to open them once.")
        pen = _Pen(include_conditions, include_state)
        pen.draw(graph, "", depth)
        return cls(tuple(pen.shapes.values()), tuple(pen.arrows), tuple(pen.frames))

    def mermaid(self) -> str:
        """The text of a mermaid flowchart."""
        keys = {shape.key: f"n{number}" for number, shape in enumerate(self.shapes)}
        keys |= {frame.key: f"f{number}" for number, frame in enumerate(self.frames)}
        forms = {"action": '["{}"]', "choice": '{{"{}"}}', "input": '[/"{}"/]', "end": '(["{}"])'}

        def inside(frame: str, indent: str) -> Iterator[str]:
            for shape in self.shapes:
                if shape.frame == frame:
                    yield f"{indent}{keys[shape.key]}{forms[shape.kind].format(_mermaid_text(shape.label))}"
            for inner in self.frames:
                if inner.frame == frame:
                    yield f'{indent}subgraph {keys[inner.key]}["{_mermaid_text(inner.label)}"]'
                    yield from inside(inner.key, f"{indent}    ")
                    yield f"{indent}end"

        lines = ["flowchart TD", *inside("", "    ")]
        for arrow in self.arrows:
            line = "-.->" if arrow.dashed else "-->"
            label = f'|"{_mermaid_text(arrow.label)}"|' if arrow.label else ""
            lines.append(f"    {keys[arrow.start]} {line}{label} {keys[arrow.end]}")
        return "\n".join(lines) + "\n"

    def dot(self, attributes: Iterable[tuple[str, str]] = ()) -> str:
        """The text of a graphviz digraph."""
        forms = {"action": "box", "choice": "diamond", "input": "note", "end": "oval"}
        rounded = {"action": ', style="rounded"', "input": ', style="dashed"'}

        def inside(frame: str, indent: str) -> Iterator[str]:
            for shape in self.shapes:
                if shape.frame == frame:
                    form = f"shape={forms[shape.kind]}{rounded.get(shape.kind, '')}"
                    yield f"{indent}{_dot_text(shape.key)} [label={_dot_text(shape.label)}, {form}];"
            for inner in self.frames:
                if inner.frame == frame:
                    yield f"{indent}subgraph {_dot_text(f'cluster {inner.key}')} {{"  # its name is what makes it framed
                    yield f'{indent}    label={_dot_text(inner.label)}; style="rounded"; fontname="Helvetica";'
                    yield from inside(inner.key, f"{indent}    ")
                    yield f"{indent}}}"

        lines = ["digraph agentflow {", '    node [fontname="Helvetica"]; edge [fontname="Helvetica"];']
        lines += [f"    {name}={_dot_text(value)};" for name, value in attributes]
        lines += inside("", "    ")
        for arrow in self.arrows:
            style = ", style=dashed" if arrow.dashed else ""
            lines.append(
                f"    {_dot_text(arrow.start)} -> {_dot_text(arrow.end)} [label={_dot_text(arrow.label)}{style}];"
            )
        return "\n".join([*lines, "}"]) + "\n"


def render(
    drawing: Drawing,
    engine: str,
    output_file_path: str | None,
    *,
    view: bool = False,
    write_dot: bool = False,
    **attributes: str,
) -> str:
    """Write the drawing where it is asked for, and return its text.

    Raises:
        BuildError: The engine or the file's ending is not known, or an attribute is no text.
        MissingExtraError: A picture is asked for and graphviz is not installed.
    """
    if engine not in ("mermaid", "graphviz"):
        raise BuildError(f"engine={engine!r} cannot draw: use 'mermaid' or 'graphviz'.")
    for name, value in attributes.items():
        if not isinstance(value, str):
            raise BuildError(
                f"{name}={value!r} is no option of visualize(): for an attribute of graphviz, give a text."
            )
    dot = drawing.dot(attributes.items())
    text = drawing.mermaid() if engine == "mermaid" else dot
    if output_file_path is None:
        return text
    path = Path(output_file_path)
    if path.suffix in (".mmd", ".md"):
        mermaid = drawing.mermaid()
        path.write_text(f"```mermaid\n{mermaid}```\n" if path.suffix == ".md" else mermaid, encoding="utf-8")
    elif path.suffix in (".dot", ".gv"):
        path.write_text(dot, encoding="utf-8")
    elif path.suffix in (".svg", ".png", ".pdf"):
        _picture(dot, path, view)
    else:
        raise BuildError(f"cannot draw to {path.name!r}: end its name in .mmd, .md, .dot, .svg, .png or .pdf.")
    if write_dot:
        path.with_suffix(".dot").write_text(dot, encoding="utf-8")
    return text


def _picture(dot: str, path: Path, view: bool) -> None:
    try:
        graphviz = importlib.import_module("graphviz")
    except ImportError:
        raise MissingExtraError(f"drawing to {path.name!r}", "viz") from None
    try:
        path.write_bytes(graphviz.Source(dot).pipe(format=path.suffix.removeprefix(".")))
        if view:
            graphviz.view(str(path))
    except graphviz.ExecutableNotFound as error:
        raise BuildError(
            "graphviz's 'dot' program is not on the PATH: install graphviz itself, or draw to a .mmd file."
        ) from error


class _Pen:
    """Draws a graph, and the graphs within its actions, into one picture."""

    def __init__(self, include_conditions: bool, include_state: bool) -> None:
        self._include_conditions, self._include_state = include_conditions, include_state
        self.shapes: dict[str, Shape] = {}
        self.arrows: list[Arrow] = []
        self.frames: list[Frame] = []
        self._ways_in: dict[str, str] = {}
        self._ways_out: dict[str, list[str]] = {}

    def draw(self, graph: Drawable, frame: str, depth: int) -> None:
        """Draw a graph into a frame, or beside all frames."""
        for action in graph.actions:
            nested: Nested | None = getattr(action, "nested", None) if depth else None
            if nested is None:
                self._draw_box(action, frame)
            else:
                self._draw_frame(action, nested, frame, depth - 1)
        known = {action.name for action in graph.actions}
        named = {transition.source for transition in graph.transitions} - known
        for name in sorted(named):
            self._add(frame, name, name, "choice")
        found = [arrow for each in graph.transitions for arrow in self._arrows_of(each, each.source in named, frame)]
        if any(arrow.end == _key(frame, END) for arrow in found):
            self._add(frame, END, "end", "end")
        for arrow in found:
            end = self._ways_in.get(arrow.end, arrow.end)
            self.arrows += [replace(arrow, start=start, end=end) for start in self._exits(arrow.start)]

    def _draw_box(self, action: Action, frame: str) -> None:
        box = self._add(frame, action.name, _box_text(action, self._include_state), "action")
        parameters = action.contract.parameters
        if parameters.names:
            wanted = [*parameters.required, *(f"{name}?" for name in parameters.optional)]
            note = self._add(frame, f"inputs of {action.name}", "\n".join(wanted), "input")
            self.arrows.append(Arrow(note, box, dashed=True))

    def _draw_frame(self, action: Action, nested: Nested, frame: str, depth: int) -> None:
        """The graph an action runs; what leads to the action leads to its entrypoint, what leaves it to its ends."""
        key = _key(frame, action.name)
        self.frames.append(Frame(key, _box_text(action, self._include_state), frame))
        self.draw(nested.graph, key, depth)
        entry = _key(key, nested.entrypoint)
        self._ways_in[key] = self._ways_in.get(entry, entry)
        left = {transition.source for transition in nested.graph.transitions}
        ends = nested.halt_after or [each.name for each in nested.graph.actions if each.name not in left]
        exits = [shape for name in ends for shape in self._exits(_key(key, name))]
        if _key(key, END) in self.shapes:
            exits.append(_key(key, END))
        self._ways_out[key] = exits or [self._ways_in[key]]

    def _exits(self, key: str) -> list[str]:
        return self._ways_out.get(key, [key])

    def _arrows_of(self, transition: Edge, is_named: bool, frame: str) -> Iterator[Arrow]:
        selector, source = transition.selector, _key(frame, transition.source)
        if isinstance(selector, Selector):
            if is_named:  # a named choice is its own diamond
                self._add(frame, transition.source, f"{transition.source}\n{selector.name}", "choice")
            else:
                choice = self._add(frame, f"choice after {transition.source}", selector.name, "choice")
                yield Arrow(source, choice)
                source = choice
            for target in transition.targets:
                yield Arrow(source, _key(frame, target), "fallback" if target == selector.fallback else "")
            return
        label = "" if selector is default or not self._include_conditions else selector.name
        yield Arrow(source, _key(frame, transition.targets[0]), label)

    def _add(self, frame: str, name: str, label: str, kind: str) -> str:
        key = _key(frame, name)
        self.shapes[key] = Shape(key, label, kind, frame)
        return key


def _key(frame: str, name: str) -> str:
    return f"{frame} / {name}" if frame else name


def _box_text(action: Action, include_state: bool) -> str:
    if not include_state:
        return action.name
    scope = action.contract.scope
    return (
        f"{action.name}\nreads {', '.join(sorted(scope.reads)) or '-'}\nwrites {', '.join(sorted(scope.writes)) or '-'}"
    )


def _mermaid_text(text: str) -> str:
    escaped = re.sub(r'[&<>"#;`\\]', lambda match: f"#{ord(match.group())};", text)
    return escaped.replace("\n", "<br/>")


def _dot_text(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
