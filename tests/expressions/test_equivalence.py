"""On plain data an expression means what Python means; Python itself is asked, in this test only."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentflow.errors import AgentflowError
from agentflow.expressions import compile_expression
from tests.effort import tries

EXAMPLES = tries(50, thorough=1_000)

_FUNCTIONS = {"len": len, "min": min, "max": max, "abs": abs, "any": any, "all": all, "sum": sum}
_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.sampled_from([0.5, -1.5, 2.0])
    | st.sampled_from(["", "a", "ab"])
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(_SCALARS, inner, max_size=3)
        | st.sets(_SCALARS, max_size=3)
        | st.frozensets(_SCALARS, max_size=3)
    ),
    max_leaves=6,
)
_STATES = st.fixed_dictionaries(dict.fromkeys("abcd", _VALUES))
_TYPED_STATES = st.fixed_dictionaries(
    {
        "n": st.integers(-9, 9),
        "f": st.sampled_from([0.0, 0.5, -2.0]),
        "s": st.sampled_from(["", "a", "abc"]),
        "items": st.lists(st.integers(-5, 5), max_size=5),
        "d": st.dictionaries(st.sampled_from("abc"), st.integers(-5, 5)),
    }
)
_COMPARISONS = st.sampled_from(["==", "!=", "<", "<=", ">", ">=", "in", "not in"])


def _forms(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Any allowed form around any parts, whether or not the types make sense."""
    joined = st.lists(inner, max_size=3).map(", ".join)
    return st.one_of(
        st.builds("({} {} {})".format, inner, _COMPARISONS, inner),
        st.builds("({} {} {} {} {})".format, inner, _COMPARISONS, inner, _COMPARISONS, inner),
        st.builds("({} {} {})".format, inner, st.sampled_from(["and", "or"]), inner),
        st.builds("({} is {}None)".format, inner, st.sampled_from(["", "not "])),
        st.builds("(not {})".format, inner),
        st.builds("({} if {} else {})".format, inner, inner, inner),
        st.builds("{}[{}]".format, inner, inner),
        st.builds("{}[{}:{}]".format, inner, st.sampled_from(["", "1", "-2"]), st.sampled_from(["", "2", "-1"])),
        st.builds("[{}]".format, joined),
        st.builds("({},)".format, inner),
        st.builds("{}({})".format, st.sampled_from(["len", "any", "all", "min", "max"]), inner),
        st.builds("{}({}, {})".format, st.sampled_from(["min", "max"]), inner, inner),
    )


def _numbers(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    comprehension = st.builds(
        "{} for x in {} if x {} {}".format,
        st.sampled_from(["x", "x * n", "-x", "(x if x > n else f)"]),
        st.sampled_from(["items", "items[1:]", "[n, 3, n]", "(n, n)"]),
        st.sampled_from(["<", ">=", "!=", "in"]),
        st.sampled_from(["n", "f", "1", "items"]),
    )
    return st.one_of(
        st.builds("({} {} {})".format, inner, st.sampled_from(["+", "-", "*", "/", "//", "%"]), inner),
        st.builds("(-{})".format, inner),
        st.builds("abs({})".format, inner),
        st.builds("({} if {} < {} else {})".format, inner, inner, inner, inner),
        st.builds("{}({})".format, st.sampled_from(["sum", "min", "max", "any", "all"]), comprehension),
        st.builds("{}([{}])".format, st.sampled_from(["len", "sum", "min", "max"]), comprehension),
        st.sampled_from(
            ["len(s)", "len(items)", "sum(items)", "max(items)", "items[n]", "d['a']", "sum(d[k] for k in d)"]
        ),
    )


_ATOMS = st.sampled_from(["a", "b", "c", "d"]) | _SCALARS.map(repr)
_ANY = st.recursive(_ATOMS, _forms, max_leaves=8)
_ARITHMETIC = st.recursive(st.sampled_from(["n", "f", "1", "3", "0.5"]), _numbers, max_leaves=8)


def _outcome(source: str, state: dict[str, object]) -> tuple[object, object]:
    try:  # Python is the oracle
        value = eval(source, {"__builtins__": {}, **_FUNCTIONS, **state})
    except Exception:
        return "error", None
    return _exact(value)


def _ours(source: str, state: dict[str, object]) -> tuple[object, object]:
    try:
        return _exact(compile_expression(source).evaluate(state))
    except AgentflowError:
        return "error", None


def _exact(value: object) -> tuple[object, object]:
    return type(value), repr(value) if isinstance(value, float) else value


@pytest.mark.filterwarnings("ignore::SyntaxWarning")  # of Python, about the oracle's expressions
@settings(max_examples=EXAMPLES, deadline=None)
@given(source=_ANY, state=_STATES)
def test_any_form_means_what_python_means(source: str, state: dict[str, object]) -> None:
    assert _outcome(source, state) == _ours(source, state)


@settings(max_examples=EXAMPLES, deadline=None)
@given(source=_ARITHMETIC, state=_TYPED_STATES)
def test_arithmetic_means_what_python_means(source: str, state: dict[str, object]) -> None:
    assert _outcome(source, state) == _ours(source, state)
