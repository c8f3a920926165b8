"""From a checked tree to closures, which is all that evaluating an expression calls.

Every closure takes the state and the meter of this evaluation; the meter is None in an expression that never goes
through the items of a container. What must not live here: what is allowed.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import Any, Final

from agentflow.expressions import operations, reading
from agentflow.expressions.literals import collection_of, is_literal, is_literal_collection, is_none, value_of
from agentflow.expressions.operations import FUNCTIONS, Comparison, Produced, bounded, number
from agentflow.expressions.plain import COMPUTED, CONTAINERS, ITERATED, Meter, Trouble, a_type, elements, identity, pure
from agentflow.expressions.reading import Run
from agentflow.expressions.source import Text

_BINARY: Final[dict[type[ast.operator], Callable[[Any, Any], Any]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_ORDER: Final[dict[type[ast.cmpop], Callable[[Any, Any], Any]]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_COMPARE: Final[dict[type[ast.cmpop], Comparison]] = {
    ast.Eq: operations.equal,
    ast.NotEq: operations.not_equal,
    ast.In: operations.contained,
    ast.NotIn: operations.not_contained,
    ast.Is: lambda left, right, meter, labels: left is right,
    ast.IsNot: lambda left, right, meter, labels: left is not right,
    **{kind: operations.ordering(compare) for kind, compare in _ORDER.items()},
}
_DIRECT: Final[dict[type[ast.cmpop], Callable[[Any, Any], Any]]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    **_ORDER,
}
_TURNED: Final[dict[type[ast.cmpop], type[ast.cmpop]]] = {
    ast.Eq: ast.Eq,
    ast.NotEq: ast.NotEq,
    ast.Lt: ast.Gt,
    ast.LtE: ast.GtE,
    ast.Gt: ast.Lt,
    ast.GtE: ast.LtE,
}


class Compiler:
    """Turns the parts of one checked tree into closures, innermost first."""

    def __init__(self, text: Text) -> None:
        self._text = text
        self._bound: str | None = None

    def closure(self, node: ast.expr) -> Run:
        build: Callable[[Any], Run] = getattr(self, f"_{type(node).__name__.lower()}")
        return build(node)

    def _closures(self, nodes: list[ast.expr]) -> tuple[Run, ...]:
        return tuple(self.closure(node) for node in nodes)

    def _constant(self, node: ast.Constant) -> Run:
        value = node.value
        return lambda state, meter: value

    def _name(self, node: ast.Name) -> Run:
        if node.id == self._bound:
            return lambda state, meter: meter.item
        return reading.key(node.id, self._text.source)

    def _unlooked(self, node: ast.expr) -> Run:
        """The value for `is None`, which any object may be asked."""
        if isinstance(node, ast.Name) and node.id != self._bound:
            return reading.anything(node.id, self._text.source)
        return self.closure(node)

    def _boolop(self, node: ast.BoolOp) -> Run:
        parts = self._closures(node.values)
        stops = isinstance(node.op, ast.Or)
        first, rest = parts[0], parts[1:]

        def combined(state: Mapping[str, Any], meter: Any) -> Any:
            value = first(state, meter)
            for part in rest:
                if (not value) is not stops:
                    return value
                value = part(state, meter)
            return value

        return combined

    def _unaryop(self, node: ast.UnaryOp) -> Run:
        operand, label = self.closure(node.operand), self._text.segment(node.operand)
        if isinstance(node.op, ast.Not):
            return lambda state, meter: not operand(state, meter)
        return lambda state, meter: bounded(-number(operand(state, meter), label))

    def _binop(self, node: ast.BinOp) -> Run:
        left, right = self.closure(node.left), self.closure(node.right)
        labels = self._labels(node.left, node.right)
        calculate = _BINARY[type(node.op)]

        def calculated(state: Mapping[str, Any], meter: Any) -> Any:
            first, second = number(left(state, meter), labels[0]), number(right(state, meter), labels[1])
            try:
                return bounded(calculate(first, second))
            except ZeroDivisionError:
                raise Trouble(f"divides by {labels[1]!r}, which is 0. Check it first.") from None

        return calculated

    def _compare(self, node: ast.Compare) -> Run:
        if len(node.ops) == 1:
            return self._single(node.left, node.ops[0], node.comparators[0])
        operands = [node.left, *node.comparators]
        runs = self._closures(operands)
        labels = [self._labels(*pair) for pair in pairwise(operands)]
        first = runs[0]
        steps = tuple(zip([_COMPARE[type(op)] for op in node.ops], runs[1:], labels, strict=True))

        def chained(state: Mapping[str, Any], meter: Any) -> Any:
            left = first(state, meter)
            value: object = True
            for compare, run, names in steps:
                right = run(state, meter)
                value = compare(left, right, meter, names)
                if not value:
                    return value
                left = right
            return value

        return chained

    def _single(self, left: ast.expr, op: ast.cmpop, right: ast.expr) -> Run:
        kind = type(op)
        if isinstance(op, (ast.Is, ast.IsNot)):
            asked = self._unlooked(right if is_none(left) else left)
            if isinstance(op, ast.Is):
                return lambda state, meter: asked(state, meter) is None
            return lambda state, meter: asked(state, meter) is not None
        if isinstance(op, (ast.In, ast.NotIn)) and is_literal_collection(right):
            return self._listed(left, right, isinstance(op, ast.In))
        if is_literal(left) and not is_literal(right) and kind in _TURNED:
            left, right, kind = right, left, _TURNED[kind]
        compare, labels = _COMPARE[kind], self._labels(left, right)
        if isinstance(left, ast.Name) and left.id != self._bound and is_literal(right) and kind in _TURNED:
            return reading.against(left.id, self._text.source, _DIRECT[kind], value_of(right), compare, labels)
        first, second = self.closure(left), self.closure(right)
        return lambda state, meter: compare(first(state, meter), second(state, meter), meter, labels)

    def _listed(self, left: ast.expr, right: ast.expr, wanted: bool) -> Run:
        """`x in ["a", "b"]`: a literal collection is made once, and holds nothing that needs a look."""
        item, values, label = self.closure(left), collection_of(right), self._text.segment(left)
        refuses = (list, dict) if isinstance(values, frozenset) else ()

        def listed(state: Mapping[str, Any], meter: Any) -> bool:
            value = item(state, meter)
            if identity(type(value)) in CONTAINERS:
                if type(value) in refuses:
                    raise Trouble(f"looks for {label!r} in a set, and a {type(value).__name__} is in none. Use a list.")
                return not wanted  # a collection of scalars holds no container
            return (value in values) is wanted

        return listed

    def _ifexp(self, node: ast.IfExp) -> Run:
        test, body, other = self._closures([node.test, node.body, node.orelse])
        return lambda state, meter: body(state, meter) if test(state, meter) else other(state, meter)

    def _list(self, node: ast.List) -> Run:
        parts = self._closures(node.elts)
        return lambda state, meter: [part(state, meter) for part in parts]

    def _tuple(self, node: ast.Tuple) -> Run:
        parts = self._closures(node.elts)
        return lambda state, meter: tuple([part(state, meter) for part in parts])

    def _set(self, node: ast.Set) -> Run:
        parts, label = self._closures(node.elts), self._text.segment(node)
        return lambda state, meter: {pure(part(state, meter), meter, label) for part in parts}

    def _dict(self, node: ast.Dict) -> Run:
        keys, values = self._closures([key for key in node.keys if key is not None]), self._closures(node.values)
        pairs, label = tuple(zip(keys, values, strict=True)), self._text.segment(node)
        return lambda state, meter: {pure(k(state, meter), meter, label): v(state, meter) for k, v in pairs}

    def _attribute(self, node: ast.Attribute) -> Run:
        base, key, labels = self.closure(node.value), node.attr, (self._text.segment(node.value), node.attr)

        def read(state: Mapping[str, Any], meter: Any) -> Any:
            value = base(state, meter)
            if type(value) is not dict:
                raise Trouble(
                    f"reads {key!r} of {labels[0]!r}, which is {a_type(value)}: a dot reads a key of a"
                    " dict. Store a dict, or use when(function)."
                )
            return operations.item_of(value, key, meter, labels)

        return read

    def _subscript(self, node: ast.Subscript) -> Run:
        base, labels = self.closure(node.value), self._labels(node.value, node.slice)
        if isinstance(node.slice, ast.Slice):
            lower, upper, step = (
                self.closure(bound) if bound is not None else lambda state, meter: None
                for bound in (node.slice.lower, node.slice.upper, node.slice.step)
            )
            return lambda state, meter: operations.slice_of(
                base(state, meter),
                slice(lower(state, meter), upper(state, meter), step(state, meter)),
                meter,
                labels[0],
            )
        key = self.closure(node.slice)
        return lambda state, meter: operations.item_of(base(state, meter), key(state, meter), meter, labels)

    def _call(self, node: ast.Call) -> Run:
        assert isinstance(node.func, ast.Name)  # the check lets no other call through
        function, label = FUNCTIONS[node.func.id], self._text.segment(node.args[0])
        argument = node.args[0]
        if isinstance(argument, (ast.GeneratorExp, ast.ListComp)):
            run = self._comprehension(argument)
        elif len(node.args) > 1:
            run = self._together(self._closures(node.args))
        else:
            run = self.closure(argument)
        return lambda state, meter: function(run(state, meter), meter, label)

    def _together(self, parts: tuple[Run, ...]) -> Run:
        return lambda state, meter: Produced([part(state, meter) for part in parts])

    def _comprehension(self, node: ast.GeneratorExp | ast.ListComp) -> Run:
        loop = node.generators[0]
        items, label = self.closure(loop.iter), self._text.segment(loop.iter)
        assert isinstance(loop.target, ast.Name)  # the check lets no other variable through
        self._bound = loop.target.id
        tests, element = self._closures(loop.ifs), self.closure(node.elt)
        self._bound = None
        parts = [part for tree in (*loop.ifs, node.elt) for part in ast.walk(tree) if isinstance(part, ast.expr)]
        cost = max(ITERATED, COMPUTED * len(parts))

        def produced(state: Mapping[str, Any], meter: Meter) -> Iterator[Any]:
            for item in elements(items(state, meter), meter, label):
                meter.enter(item, cost)
                if not tests or all(test(state, meter) for test in tests):
                    yield element(state, meter)

        if isinstance(node, ast.ListComp):
            return lambda state, meter: list(produced(state, meter))
        return lambda state, meter: Produced(produced(state, meter))

    def _labels(self, left: ast.AST, right: ast.AST) -> tuple[str, str]:
        return self._text.segment(left), self._text.segment(right)
