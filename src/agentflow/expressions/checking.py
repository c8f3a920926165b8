"""What an expression may say: every construct is allowed by name here, or refused with a remedy.

The check walks the tree once, before anything is built from it, and collects the state keys that are read. What must
not live here: what the constructs do.
"""

from __future__ import annotations

import ast
from typing import Final

from agentflow.errors import ExpressionError, did_you_mean
from agentflow.expressions.literals import is_literal, is_literal_collection, is_none
from agentflow.expressions.operations import FUNCTIONS, MAX_INT
from agentflow.expressions.source import Text

#: Parts in one expression.
MAX_PARTS: Final = 200
#: Parts inside parts.
MAX_DEPTH: Final = 40

_MORE: Final = "use when(function) for more."
_AGGREGATES: Final = ("any", "all", "sum", "len", "min", "max")
_ALONE: Final = f"A comprehension stands alone inside {', '.join(_AGGREGATES)}: write any(... for x in items)."
_COMPREHENSIONS: Final = (ast.GeneratorExp, ast.ListComp, ast.SetComp, ast.DictComp)
_FOREIGN_CONSTANTS: Final = {"true": "True", "false": "False", "null": "None", "none": "None"}

_REFUSED: Final[dict[type[ast.AST], str]] = {
    ast.Lambda: "An expression has no lambda: " + _MORE,
    ast.NamedExpr: "An expression cannot assign: use == to compare.",
    ast.JoinedStr: "An expression has no f-strings: compare the state key itself.",
    ast.SetComp: "An expression has no set comprehension: write any(... for x in items).",
    ast.DictComp: "An expression has no dict comprehension: " + _MORE,
    ast.Await: "An expression cannot await: " + _MORE,
    ast.Yield: "An expression cannot yield: " + _MORE,
    ast.YieldFrom: "An expression cannot yield: " + _MORE,
    ast.Starred: "An expression has no unpacking: name the values one by one.",
    ast.GeneratorExp: _ALONE,
    ast.ListComp: _ALONE,
    ast.Slice: "A slice stands alone inside brackets: write items[1:3].",
}
_REFUSED_OPERATORS: Final[dict[type[ast.AST], str]] = {
    ast.Pow: "An expression has no **: multiply instead.",
    ast.BitAnd: "An expression has no &: write 'and', with each comparison on its own side.",
    ast.BitOr: "An expression has no |: write 'or', with each comparison on its own side.",
    ast.BitXor: "An expression has no ^: write != between two truths.",
    ast.LShift: "An expression has no <<: multiply instead.",
    ast.RShift: "An expression has no >>: use // instead.",
    ast.MatMult: f"An expression has no @: {_MORE}",
    ast.Invert: "An expression has no ~: write 'not'.",
    ast.UAdd: "An expression has no leading +: leave it out.",
}


class Checked:
    """A tree in which every part is allowed.

    Attributes:
        reads: The state keys it names.
        metered: Whether evaluating it may go through the items of a container.
    """

    def __init__(self, text: Text) -> None:
        self.text = text
        self._reads: set[str] = set()
        self.metered: bool = False
        self._parts = 0
        self._bound: str | None = None  # the variable of the comprehension that is being checked
        self._visit(text.tree, 1)
        self.reads: frozenset[str] = frozenset(self._reads)

    def _visit(self, node: ast.expr, depth: int) -> None:
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise self._refusal(node, f"An expression may have {MAX_PARTS} parts: split it, or {_MORE}")
        if depth > MAX_DEPTH:
            raise self._refusal(node, f"An expression may be nested {MAX_DEPTH} deep: split it, or {_MORE}")
        refused = _REFUSED.get(type(node))
        if refused:
            raise self._refusal(node, refused)
        check = getattr(self, f"_check_{type(node).__name__}", None)
        if check is None:
            raise self._refusal(node, f"An expression has no {type(node).__name__}: {_MORE}")
        check(node, depth + 1)

    def _visit_all(self, nodes: list[ast.expr], depth: int) -> None:
        for node in nodes:
            self._visit(node, depth)

    def _refusal(self, node: ast.AST, sentence: str) -> ExpressionError:
        return self.text.refusal_at(node, sentence)

    def _check_Constant(self, node: ast.Constant, depth: int) -> None:
        value = node.value
        if type(value) is int and value > MAX_INT:
            raise self._refusal(node, "A whole number may be as large as 2**63: use a smaller one or a float.")
        if not (value is None or type(value) in (str, int, float, bool)):
            raise self._refusal(node, f"An expression has no {type(value).__name__}: use text, a number or None.")

    def _check_Name(self, node: ast.Name, depth: int) -> None:
        if node.id.startswith("__"):
            raise self._refusal(node, f"The name {node.id!r} is not a state key: names may not begin with '__'.")
        if node.id in _FOREIGN_CONSTANTS:
            raise self._refusal(node, f"Python writes {node.id!r} as {_FOREIGN_CONSTANTS[node.id]}: use that.")
        if node.id != self._bound:
            self._reads.add(node.id)

    def _check_BoolOp(self, node: ast.BoolOp, depth: int) -> None:
        self._visit_all(node.values, depth)

    def _check_UnaryOp(self, node: ast.UnaryOp, depth: int) -> None:
        self._check_operator(node, node.op)
        if isinstance(node.op, ast.USub):
            self._check_is_number(node.operand)
        self._visit(node.operand, depth)

    def _check_BinOp(self, node: ast.BinOp, depth: int) -> None:
        self._check_operator(node, node.op)
        for side in (node.left, node.right):
            self._check_is_number(side)
            self._visit(side, depth)

    def _check_operator(self, node: ast.AST, operator: ast.AST) -> None:
        refused = _REFUSED_OPERATORS.get(type(operator))
        if refused:
            raise self._refusal(node, refused)

    def _check_is_number(self, node: ast.expr) -> None:
        """Refuse at build what can never be a number: `%` on a text formats it, `*` on a list repeats it."""
        fixed = isinstance(node, ast.Constant) and not isinstance(node.value, (int, float))
        if fixed or isinstance(node, (ast.List, ast.Tuple, ast.Dict, ast.Set, ast.JoinedStr)):
            raise self._refusal(node, f"Arithmetic is for numbers only: {_MORE}")

    def _check_Compare(self, node: ast.Compare, depth: int) -> None:
        operands = [node.left, *node.comparators]
        for left, operator, right in zip(operands, node.ops, node.comparators, strict=False):
            if isinstance(operator, (ast.Is, ast.IsNot)) and not (is_none(left) or is_none(right)):
                raise self._refusal(right, "Only None is compared with 'is': use == or !=.")
        self._visit_all(operands, depth)
        self.metered = self.metered or not all(map(_is_cheap, operands, node.ops, node.comparators))

    def _check_IfExp(self, node: ast.IfExp, depth: int) -> None:
        self._visit_all([node.test, node.body, node.orelse], depth)

    def _check_List(self, node: ast.List, depth: int) -> None:
        self._visit_all(node.elts, depth)

    def _check_Tuple(self, node: ast.Tuple, depth: int) -> None:
        self._visit_all(node.elts, depth)

    def _check_Set(self, node: ast.Set, depth: int) -> None:
        self.metered = True
        for element in node.elts:
            self._check_hashable(element)
            self._visit(element, depth)

    def _check_Dict(self, node: ast.Dict, depth: int) -> None:
        self.metered = True
        for key, value in zip(node.keys, node.values, strict=True):
            if key is None:
                raise self._refusal(value, "An expression has no unpacking: name the values one by one.")
            self._check_hashable(key)
            self._visit(key, depth)
            self._visit(value, depth)

    def _check_hashable(self, node: ast.expr) -> None:
        if isinstance(node, ast.Set):
            raise self._refusal(
                node, "A set cannot hold a set; only a switch template knows {{action.name}}: write one value."
            )
        if isinstance(node, (ast.List, ast.Dict)):
            raise self._refusal(node, "A set or the keys of a dict cannot hold this: use a tuple.")

    def _check_Attribute(self, node: ast.Attribute, depth: int) -> None:
        self.metered = True
        if node.attr.startswith("__"):
            raise self._refusal(node, f"The name {node.attr!r} is not a key: names may not begin with '__'.")
        self._check_not_state(node, node.value, node.attr)
        self._visit(node.value, depth)

    def _check_Subscript(self, node: ast.Subscript, depth: int) -> None:
        self.metered = True
        key = node.slice.value if isinstance(node.slice, ast.Constant) else None
        self._check_not_state(node, node.value, key if isinstance(key, str) else None)
        self._visit(node.value, depth)
        if isinstance(node.slice, ast.Slice):
            bounds = (node.slice.lower, node.slice.upper, node.slice.step)
            self._visit_all([bound for bound in bounds if bound is not None], depth)
        else:
            self._visit(node.slice, depth)

    def _check_not_state(self, node: ast.AST, base: ast.expr, key: str | None) -> None:
        if isinstance(base, ast.Name) and base.id == "state" and self._bound != "state" and key is not None:
            remedy = f"write {key}" if key.isidentifier() else "use when(function) for a key that is not a name"
            raise self._refusal(node, f"An expression names state keys directly: {remedy}.")

    def _check_Call(self, node: ast.Call, depth: int) -> None:
        self.metered = True
        known = ", ".join(FUNCTIONS)
        if isinstance(node.func, ast.Attribute):
            raise self._refusal(node.func, f"An expression calls no methods, only {known}: {_MORE}")
        if not isinstance(node.func, ast.Name):
            raise self._refusal(node.func, f"An expression calls nothing but {known}: {_MORE}")
        name = node.func.id
        if name not in FUNCTIONS:
            near = did_you_mean(name, FUNCTIONS)
            raise self._refusal(node.func, f"An expression cannot call {name!r}. {near} Otherwise {_MORE}")
        if node.keywords:
            raise self._refusal(node.keywords[0], f"{name} takes no keywords here: leave it out, or {_MORE}")
        if not node.args or (len(node.args) > 1 and name not in ("min", "max")):
            raise self._refusal(node, f"{name} takes one value: write {name}(items).")
        if len(node.args) == 1 and isinstance(node.args[0], _COMPREHENSIONS) and name in _AGGREGATES:
            self._check_comprehension(name, node.args[0], depth)
        else:
            self._visit_all(node.args, depth)

    def _check_comprehension(self, name: str, node: ast.expr, depth: int) -> None:
        if not isinstance(node, (ast.GeneratorExp, ast.ListComp)):
            raise self._refusal(node, _REFUSED[type(node)])
        if name == "len" and isinstance(node, ast.GeneratorExp):
            raise self._refusal(node, "len needs a list: write len([... for x in items]).")
        if self._bound is not None:
            raise self._refusal(node, f"A comprehension cannot hold another one: {_MORE}")
        if len(node.generators) > 1:
            raise self._refusal(node.generators[1].target, f"A comprehension goes through one collection: {_MORE}")
        loop = node.generators[0]
        if loop.is_async:
            raise self._refusal(node, f"An expression cannot await: {_MORE}")
        if not isinstance(loop.target, ast.Name):
            raise self._refusal(loop.target, "A comprehension has one plain variable: write x, then x[0] or x.name.")
        self._parts += 1
        self._visit(loop.iter, depth + 1)
        self._bound = loop.target.id
        self._visit(loop.target, depth + 1)
        self._visit_all([*loop.ifs, node.elt], depth + 1)
        self._bound = None


def _is_cheap(left: ast.expr, operator: ast.cmpop, right: ast.expr) -> bool:
    """Whether one comparison looks at no more items than the expression itself has."""
    if isinstance(operator, (ast.In, ast.NotIn)):
        return is_literal_collection(right)
    return isinstance(operator, (ast.Is, ast.IsNot)) or is_literal(left) or is_literal(right)
