"""The caps that keep the source readable: 320 lines a file, 40 a function without its docstring, nesting of 3.

An exception stands in `ALLOWED` with its reason. One that is no longer needed is reported too.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

FILE_LINES, FUNCTION_LINES, NESTING = 320, 40, 3

#: What is checked, from the root of the project.
FOLDERS = ("src", "scripts", "examples", "benchmarks")

#: From "file" or "file:Class.function" to the reason why it may be longer.
ALLOWED: dict[str, str] = {
    "src/agentflow/builder.py": "two builders of one line a method; the rest is what each method promises",
    "benchmarks/cases/serving.py:by_hand": "the whole server that somebody would write by hand, to be read as one",
    "src/agentflow/application.py": "every public verb twice, each with its own signature and contract; no logic",
}

CONTROL = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try, ast.TryStar, ast.Match)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def functions(tree: ast.AST, prefix: str = "") -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Every function with its qualified name, those inside of others as well."""
    for child in ast.iter_child_nodes(tree):
        name = f"{prefix}{child.name}" if isinstance(child, (*FUNCTIONS, ast.ClassDef)) else ""
        if isinstance(child, FUNCTIONS):
            yield name, child
        yield from functions(child, f"{name}." if name else prefix)


def nesting(node: ast.AST, depth: int = 0) -> int:
    """How deep control flow is nested in a function; `elif` is as deep as its `if`."""
    deepest = depth
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (*FUNCTIONS, ast.ClassDef, ast.Lambda)):
            continue
        chained = isinstance(node, ast.If) and node.orelse == [child] and isinstance(child, ast.If)
        deepest = max(deepest, nesting(child, depth + (isinstance(child, CONTROL) and not chained)))
    return deepest


def lines_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """The lines of a function without its docstring."""
    lines = (function.end_lineno or 0) - function.lineno + 1
    if ast.get_docstring(function, clean=False) is None:
        return lines
    docstring = function.body[0]
    return lines - ((docstring.end_lineno or 0) - docstring.lineno + 1)


def breaches(path: Path) -> Iterator[tuple[str, str]]:
    """What is over a cap in one file: where, and by how much."""
    text = path.read_text(encoding="utf-8")
    if len(text.splitlines()) > FILE_LINES:
        yield str(path), f"{len(text.splitlines())} lines, more than {FILE_LINES}: is it two ideas?"
    for name, function in functions(ast.parse(text)):
        if lines_of(function) > FUNCTION_LINES:
            yield f"{path}:{name}", f"{lines_of(function)} lines, more than {FUNCTION_LINES}"
        if nesting(function) > NESTING:
            yield f"{path}:{name}", f"nested {nesting(function)} deep, more than {NESTING}"


def main() -> int:
    """Print what is over a cap, and exceptions that are not needed; 1 if there was any."""
    paths = [path for folder in FOLDERS for path in sorted(Path(folder).rglob("*.py"))]
    found = [breach for path in paths for breach in breaches(path)]
    complaints = [f"{where}: {what}" for where, what in found if where not in ALLOWED]
    idle = ALLOWED.keys() - {where for where, _ in found}
    complaints += [f"{where}: within the caps, so its exception can go" for where in sorted(idle)]
    print("\n".join(complaints) or f"{len(paths)} files within the caps")
    return int(bool(complaints))


if __name__ == "__main__":
    sys.exit(main())
