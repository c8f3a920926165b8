"""Expression: text that was checked once and can be evaluated on any state. How it gets there lives next door."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from agentflow.errors import AgentflowError, EvaluationError
from agentflow.expressions.checking import Checked
from agentflow.expressions.compiling import Compiler
from agentflow.expressions.literals import is_literal, value_of
from agentflow.expressions.plain import Meter, Trouble
from agentflow.expressions.reading import Run
from agentflow.expressions.source import Text


@dataclass(frozen=True, slots=True)
class Expression:
    """A checked expression over state keys, ready to be evaluated any number of times, from any thread.

    Attributes:
        source: What the user wrote.
        reads: The state keys it names.
        equality: `(key, literal)` when all it says is `key == literal` or `literal == key`, else None. A member of an
            Enum in the state counts as its value, which a lookup by literal has to respect.

    Example:
        >>> compile_expression("count < 10 and mode == 'image'").evaluate({"count": 3, "mode": "image"})
        True
    """

    source: str
    reads: frozenset[str]
    equality: tuple[str, object] | None
    _run: Run = field(repr=False, compare=False)
    _metered: bool = field(repr=False, compare=False)

    def evaluate(self, state: Mapping[str, object]) -> object:
        """The value on this state.

        Raises:
            MissingKeyError: A state key has no value.
            EvaluationError: The values are not plain data, do not fit the operators, or are too many.
        """
        try:
            return self._run(state, Meter() if self._metered else None)
        except AgentflowError:
            raise
        except Trouble as trouble:
            raise EvaluationError(f"expression {self.source!r} {trouble}") from None
        except (TypeError, ValueError, ArithmeticError, RecursionError) as error:
            raise EvaluationError(
                f"expression {self.source!r} failed: {error}. Check the values first, or use when(function)."
            ) from None

    def __reduce__(self) -> tuple[Callable[[str], Expression], tuple[str]]:
        return compile_expression, (self.source,)


def compile_expression(source: str) -> Expression:
    """Check `source` and make it ready to be evaluated; nothing of it is ever run as code.

    Args:
        source: One Python expression: state keys, literals, comparisons, and/or/not, arithmetic on numbers, indexing
            (`user.name` is `user["name"]` of a dict), slices, if-else, len/min/max/abs/any/all/sum, and one
            comprehension inside of these. At most 2,000 characters, 200 parts, 40 deep.

    Raises:
        ExpressionError: It is not allowed; the message shows where, and what to write instead.
    """
    text = Text(source)
    checked = Checked(text)
    run = Compiler(text).closure(text.tree)
    return Expression(text.source, checked.reads, _equality(text.tree), run, checked.metered)


def _equality(node: ast.expr) -> tuple[str, object] | None:
    if not isinstance(node, ast.Compare) or len(node.ops) != 1 or not isinstance(node.ops[0], ast.Eq):
        return None
    left, right = node.left, node.comparators[0]
    if is_literal(left):
        left, right = right, left
    return (left.id, value_of(right)) if isinstance(left, ast.Name) and is_literal(right) else None
