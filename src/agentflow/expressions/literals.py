"""The parts of a tree whose value is known without a state. What must not live here: anything that reads one."""

from __future__ import annotations

import ast
from typing import Any


def is_none(node: ast.expr) -> bool:
    """Whether the node is the literal None."""
    return isinstance(node, ast.Constant) and node.value is None


def is_literal(node: ast.expr) -> bool:
    """Whether the node is a text, a number (also a negative one), True, False or None."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        node = node.operand
        return isinstance(node, ast.Constant) and type(node.value) in (int, float)
    return isinstance(node, ast.Constant)


def is_literal_collection(node: ast.expr) -> bool:
    """Whether the node is a list, tuple or set of literals."""
    return isinstance(node, (ast.List, ast.Tuple, ast.Set)) and all(map(is_literal, node.elts))


def value_of(node: ast.expr) -> Any:
    """The value of a literal; a negative number is a sign and a number to the parser."""
    if isinstance(node, ast.UnaryOp):
        assert isinstance(node.operand, ast.Constant)
        assert isinstance(node.operand.value, (int, float))
        return -node.operand.value
    assert isinstance(node, ast.Constant)
    return node.value


def collection_of(node: ast.expr) -> tuple[Any, ...] | frozenset[Any]:
    """The values of a list, tuple or set of literals, made once."""
    assert isinstance(node, (ast.List, ast.Tuple, ast.Set))
    values = tuple(map(value_of, node.elts))
    return frozenset(values) if isinstance(node, ast.Set) else values
