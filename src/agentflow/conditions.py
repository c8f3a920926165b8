"""Condition: a pure predicate on the state, and the ways to write one: `when`, `expr`, `default`, `~ & |`.

What must not live here: choosing among several targets (`select/`), or how an expression is parsed (`expressions`).
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, Final

from agentflow.errors import BuildError, ResultError
from agentflow.runtime import name_of, truth
from agentflow.signatures import is_async, names
from agentflow.state import Scope, State, view


class Condition:
    """A predicate over declared state keys.

    Args:
        keys: The state keys `resolver` may read, or None when it may read all of them.
        resolver: A sync function from the state to something true or false. As the selector of several targets it
            answers a target's name instead.
        name: How messages, decisions and drawings show it.
        optional_keys: Keys it may read that need not have a value; it must ask for them with `state.get`.

    Example:
        >>> is_long = Condition(["text"], lambda state: len(state["text"]) > 100, name="long text")
    """

    #: The key of the dict that `run` returns.
    KEY: ClassVar[str] = "PROCEED"

    def __init__(
        self,
        keys: Iterable[str] | None,
        resolver: Callable[[State[Any]], Any],
        name: str | None = None,
        optional_keys: Iterable[str] | None = None,
    ) -> None:
        if not callable(resolver):
            raise BuildError(
                f"{resolver!r} is no function of the state: pass one, or use when(key=value) or expr(text)."
            )
        if is_async(resolver):
            raise BuildError(
                f"condition '{name_of(resolver)}' is async, and conditions are pure: use Select(...) for it."
            )
        self.resolver = resolver
        self.name: str = str(name or getattr(resolver, "__name__", "condition"))
        self.optional_reads: frozenset[str] = frozenset(names(optional_keys or ()))
        self.reads: frozenset[str] | None = None if keys is None else frozenset(names(keys))
        self.equality: tuple[str, Any] | None = None
        self.literal: tuple[str, str] | None = None
        self.recipe: tuple[Callable[..., Condition], tuple[Any, ...]] | None = None
        self._scope: Scope | None = None
        if self.reads is not None:
            self._scope = Scope(f"condition '{self.name}'", self.reads | self.optional_reads)

    def evaluate(self, state: State[Any]) -> bool:
        """Whether the condition holds.

        Raises:
            UndeclaredKeyError: It reads a key that is not among its `keys`.
            MissingKeyError: A key it reads has no value.
            ResultError: Its function gave something to be awaited.
        """
        answer = self.resolver(state if self._scope is None else view(state, self._scope))
        return answer if answer is True or answer is False else truth(self.resolver, answer)

    def run(self, state: State[Any]) -> dict[str, bool]:
        """The same as a dict: `{Condition.KEY: True or False}`."""
        return {self.KEY: self.evaluate(state)}

    # -- the ways to write one

    @classmethod
    def when(cls, predicate: Callable[[State[Any]], Any] | None = None, /, **equals: Any) -> Condition:
        """See the function `when`."""
        return when(predicate, **equals)

    @classmethod
    def expr(cls, expression: str) -> Condition:
        """See the function `expr`."""
        return expr(expression)

    @classmethod
    def lmda(cls, resolver: Callable[[State[Any]], Any], state_keys: Iterable[str]) -> Condition:
        """A condition from a function and the keys it reads."""
        return cls(state_keys, resolver)

    #: The condition that always holds; a transition with it is tried last, wherever it is written.
    default: ClassVar[Condition]

    # -- the algebra

    def __invert__(self) -> Condition:
        return _combined(f"~{_inner(self)}", operator.invert, (self,), lambda state: not self.evaluate(state))

    def __and__(self, other: Condition) -> Condition:
        _check_condition(other)
        name = f"{_inner(self)} & {_inner(other)}"
        return _combined(
            name, operator.and_, (self, other), lambda state: self.evaluate(state) and other.evaluate(state)
        )

    def __or__(self, other: Condition) -> Condition:
        _check_condition(other)
        name = f"{_inner(self)} | {_inner(other)}"
        return _combined(name, operator.or_, (self, other), lambda state: self.evaluate(state) or other.evaluate(state))

    def __repr__(self) -> str:
        return f"condition: {self.name}"

    def __reduce__(self) -> tuple[Any, ...]:
        """Sent to another process as what it was made of."""
        return self.recipe or (Condition, (self.reads, self.resolver, self.name, self.optional_reads))


class _Default(Condition):
    """The condition that always holds."""

    def __init__(self) -> None:
        super().__init__((), lambda state: True, name="default")
        self.recipe: tuple[Callable[..., Condition], tuple[Any, ...]] | None = (_the_default, ())


class _Equal(Condition):
    """One key equals one value: many of these on one key become one dictionary look-up."""

    def __init__(self, key: str, value: Any, name: str) -> None:
        super().__init__((key,), lambda state: state[key] == value, name)
        self.equality = (key, value)
        self.recipe = (_Equal, (key, value, name))

    def evaluate(self, state: State[Any]) -> bool:
        key, value = self.equality  # type: ignore[misc]
        return bool(state[key] == value)


class _Expression(Condition):
    """A compiled expression."""

    def __init__(self, source: str) -> None:
        from agentflow.expressions import compile_expression  # here: most graphs have no expression to compile

        expression = compile_expression(source)
        super().__init__(expression.reads, expression.evaluate, source)
        self.equality = expression.equality
        self.literal = _two_names(source)
        self.recipe = (_Expression, (source,))

    def evaluate(self, state: State[Any]) -> bool:
        return bool(self.resolver(state))  # an expression can read nothing but the keys it names


def when(
    predicate: Callable[[State[Any]], Any] | None = None, /, *, reads: Iterable[str] | None = None, **equals: Any
) -> Condition:
    """A condition that holds when every given key has the given value, or when a function of the state says so.

    Args:
        predicate: A sync function of the state; give this or `equals`.
        reads: The keys the function may read; by default all.
        equals: Keys and the values they must be equal to.

    Raises:
        BuildError: Neither or both of the two are given.

    Example:
        >>> when(mode="image"), when(lambda state: len(state["drafts"]) > 3, reads=["drafts"])
    """
    if predicate is None and reads is not None:  # a state key that happens to be called so
        equals["reads"] = reads
    if (predicate is None) == (not equals):
        raise BuildError("when() takes either key=value pairs or one function of the state: give one of the two.")
    if predicate is not None:
        return Condition(reads, predicate)
    return _all_equal(equals)


def _all_equal(equals: dict[str, Any]) -> Condition:
    name = " and ".join(f"{key} == {value!r}" for key, value in equals.items())
    if len(equals) == 1:
        ((key, value),) = equals.items()
        return _Equal(key, value, name)
    made = functools.reduce(operator.and_, (_Equal(key, value, f"{key} == {value!r}") for key, value in equals.items()))
    made.name, made.recipe = name, (_all_equal, (equals,))
    return made


def expr(expression: str) -> Condition:
    """A condition from a checked subset of Python: names are state keys.

    Comparisons, `and or not in is`, arithmetic on numbers, indexing, `len min max abs sum any all`; no attribute access
    and no other calls. A `name == other` whose `other` is no key of any action stands for the text "other", so
    `expr("mode==generate_image")` means what it says.

    Raises:
        ExpressionError: The string is not in the subset; the message shows a caret under the offending part.

    Example:
        >>> expr("len(drafts) > 3 and mode == 'image'")
    """
    return _Expression(expression)


def literal_when_unknown(condition: Condition, known: Iterable[str]) -> Condition:
    """`name == other` with `other` read as a text when it is no known key; any other condition as it is.

    A value of that key still wins if the state has one, such as one given by `with_state`.
    """
    operation, parts = condition.recipe or (None, ())
    if operation in _ALGEBRA:
        relaxed_parts = [literal_when_unknown(part, known) for part in parts]
        return condition if relaxed_parts == list(parts) else _named(operation(*relaxed_parts), condition)
    if condition.literal is None or condition.literal[1] in known:
        return condition
    key, other = condition.literal

    def equal(state: State[Any]) -> bool:
        return bool(state[key] == state.get(other, other))

    return _named(Condition((key,), equal, optional_keys=(other,)), condition)


def same(one: Condition, other: Condition) -> bool:
    """Whether two conditions are known to say the same; of functions that is known only if they are one function."""
    if one.equality is not None or other.equality is not None:
        return bool(one.equality == other.equality)
    if one.recipe is None or other.recipe is None:
        return one.recipe is other.recipe and one.resolver == other.resolver
    (made, parts), (other_made, other_parts) = one.recipe, other.recipe
    if made not in _ALGEBRA or made is not other_made:
        return bool(one.recipe == other.recipe)
    return all(map(same, parts, other_parts))


_ALGEBRA: Final = (operator.invert, operator.and_, operator.or_)


def _named(made: Condition, like: Condition) -> Condition:
    made.name, made.recipe = like.name, like.recipe
    return made


def _check_condition(given: object) -> None:
    if not isinstance(given, Condition):
        raise BuildError(f"{given!r} cannot be combined with a condition: wrap it, as in when(function).")


def _the_default() -> Condition:
    return default


default: Condition = _Default()
Condition.default = default


def _combined(
    name: str,
    operation: Callable[..., Condition],
    parts: tuple[Condition, ...],
    resolver: Callable[[State[Any]], bool],
) -> Condition:
    keys: set[str] | None = set()
    optional: set[str] = set()
    for part in parts:
        optional |= part.optional_reads
        keys = None if keys is None or part.reads is None else keys | part.reads
    combined = Condition(keys, resolver, name, optional)
    combined.recipe = (operation, parts)
    return combined


def _inner(condition: Condition) -> str:
    return condition.name if condition.name.isidentifier() else f"({condition.name})"


def _two_names(source: str) -> tuple[str, str] | None:
    left, equals, right = source.partition("==")
    left, right = left.strip(), right.strip()
    both = equals and left.isidentifier() and right.isidentifier() and right not in ("True", "False", "None")
    return (left, right) if both else None


def holds(condition: Condition | Callable[[State[Any]], Any], state: State[Any]) -> bool:
    """Whether a condition, or a plain function of the state, holds.

    Raises:
        ResultError: It is neither, or gave something to be awaited.
    """
    if isinstance(condition, Condition):
        return condition.evaluate(state)
    if callable(condition):
        answer = condition(state)
        return answer if answer is True or answer is False else truth(condition, answer)
    raise ResultError(f"{condition!r} is no condition: pass when(...), expr(...) or a function of the state.")


#: The types whose values are equal to no value with another hash, so that they can be looked up.
HASHED_AS_EQUAL: Final = frozenset({str, int, float, bool, type(None)})


def equal_by_key(conditions: Iterable[Condition]) -> tuple[str, Mapping[Any, int]] | None:
    """One key and an index from value to position, when every condition is an equality on that one key."""
    index: dict[Any, int] = {}
    key: str | None = None
    for position, condition in enumerate(conditions):
        if condition.equality is None or (key is not None and condition.equality[0] != key):
            return None
        key, value = condition.equality
        if value.__class__ not in HASHED_AS_EQUAL:
            return None
        index.setdefault(value, position)
    return None if key is None else (key, index)
