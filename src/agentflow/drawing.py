"""A graph as a picture: boxes, diamonds and arrows as plain facts, and their text in mermaid and graphviz.

What must not live here: what a graph means; it gives its facts to `Drawing.of`.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from agentflow.actions import Action
from agentflow.conditions import default
from agentflow.errors import BuildError, MissingExtraError
from agentflow.select.selector import END, Selector

if TYPE_CHECKING:
    from agentflow.checks import Edge


@dataclass(frozen=True, slots=True)
class Shape:
    """One thing drawn: `kind` is "action", "choice", "input" or "end"."""

    key: str
    label: str
    kind: str


@dataclass(frozen=True, slots=True)
class Arrow:
    """From one shape to another."""

    start: str
    end: str
    label: str = ""
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Drawing:
    """Everything that is drawn."""

    shapes: tuple[Shape, ...]
    arrows: tuple[Arrow, ...]

    @classmethod
    def of(
        cls,
        actions: Sequence[Action],
        transitions: Sequence[Edge],
        include_conditions: bool = True,
        include_state: bool = False,
    ) -> Drawing:
        """The drawing of a graph: an action is a box with its inputs beside it, a choice is a diamond."""
        shapes: dict[str, Shape] = {}
        arrows: list[Arrow] = []
        for action in actions:
            shapes[action.name] = Shape(action.name, _box_text(action, include_state), "action")
            parameters = action.contract.parameters
            if parameters.names:
                key = f"inputs of {action.name}"
                wanted = [*parameters.required, *(f"{name}?" for name in parameters.optional)]
                shapes[key] = Shape(key, "\n".join(wanted), "input")
                arrows.append(Arrow(key, action.name, dashed=True))
        named = {transition.source for transition in transitions} - shapes.keys()
        for name in sorted(named):
            shapes[name] = Shape(name, name, "choice")
        for transition in transitions:
            arrows += _arrows_of(transition, named, shapes, include_conditions)
        if any(arrow.end == END for arrow in arrows):
            shapes[END] = Shape(END, "end", "end")
        return cls(tuple(shapes.values()), tuple(arrows))

    def mermaid(self) -> str:
        """The text of a mermaid flowchart."""
        keys = {shape.key: f"n{number}" for number, shape in enumerate(self.shapes)}
        forms = {"action": '["{}"]', "choice": '{{"{}"}}', "input": '[/"{}"/]', "end": '(["{}"])'}
        lines = ["flowchart TD"]
        for shape in self.shapes:
            lines.append(f"    {keys[shape.key]}{forms[shape.kind].format(_mermaid_text(shape.label))}")
        for arrow in self.arrows:
            line = "-.->" if arrow.dashed else "-->"
            label = f'|"{_mermaid_text(arrow.label)}"|' if arrow.label else ""
            lines.append(f"    {keys[arrow.start]} {line}{label} {keys[arrow.end]}")
        return "\n".join(lines) + "\n"

    def dot(self, attributes: Iterable[tuple[str, str]] = ()) -> str:
        """The text of a graphviz digraph."""
        forms = {"action": "box", "choice": "diamond", "input": "note", "end": "oval"}
        rounded = {"action": ', style="rounded"', "input": ', style="dashed"'}
        lines = ["digraph agentflow {", '    node [fontname="Helvetica"]; edge [fontname="Helvetica"];']
        lines += [f"    {name}={_dot_text(value)};" for name, value in attributes]
        for shape in self.shapes:
            form = f"shape={forms[shape.kind]}{rounded.get(shape.kind, '')}"
            lines.append(f"    {_dot_text(shape.key)} [label={_dot_text(shape.label)}, {form}];")
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
        BuildError: The engine or the file's ending is not known.
        MissingExtraError: A picture is asked for and graphviz is not installed.
    """
    if engine not in ("mermaid", "graphviz"):
        raise BuildError(f"engine={engine!r} cannot draw: use 'mermaid' or 'graphviz'.")
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


def _arrows_of(
    transition: Edge, named: set[str], shapes: dict[str, Shape], include_conditions: bool
) -> Iterable[Arrow]:
    selector, source = transition.selector, transition.source
    if isinstance(selector, Selector):
        if source not in named:  # a named choice is its own diamond
            key = f"choice after {source}"
            shapes[key] = Shape(key, selector.name, "choice")
            yield Arrow(source, key)
            source = key
        else:
            shapes[source] = Shape(source, f"{source}\n{selector.name}", "choice")
        for target in transition.targets:
            yield Arrow(source, target, "fallback" if target == selector.fallback else "")
        return
    label = "" if selector is default or not include_conditions else selector.name
    yield Arrow(source, transition.targets[0], label)


def _box_text(action: Action, include_state: bool) -> str:
    if not include_state:
        return action.name
    scope = action.contract.scope
    return f"{action.name}\nreads {', '.join(sorted(scope.reads)) or '-'}\nwrites {', '.join(sorted(scope.writes)) or '-'}"


def _mermaid_text(text: str) -> str:
    escaped = re.sub(r'[&<>"#;`\\]', lambda match: f"#{ord(match.group())};", text)
    return escaped.replace("\n", "<br/>")


def _dot_text(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
