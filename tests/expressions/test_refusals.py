"""What an expression may not say: where the caret points and what the message tells to write instead."""

from __future__ import annotations

import sys
import warnings

import pytest

from agentflow.errors import BuildError, ExpressionError
from agentflow.expressions import compile_expression


def refused(source: str) -> tuple[str, str]:
    """The sentence, and the part of the source that the carets are under."""
    with pytest.raises(ExpressionError) as caught:
        compile_expression(source)
    sentence, shown, carets = str(caught.value).split("\n")
    start, end = carets.index("^"), len(carets)
    assert set(carets[start:]) == {"^"}
    return sentence, shown[start:end]


@pytest.mark.parametrize(
    ("source", "part", "remedy"),
    [
        ("mode = 'image'", "=", "use == to compare"),
        ("(mode := 1)", "mode := 1", "use == to compare"),
        ("a && b", "&&", "write 'and'"),
        ("a || b", "||", "write 'or'"),
        ("!a", "!", "write 'not'"),
        ("a === b", "===", "write '=='"),
        ("a => b", "=>", "write '>='"),
        ("a =< b", "=<", "write '<='"),
        ("a <> b", "<>", "write '!='"),
        ("a == 'x=y' && b", "&&", "write 'and'"),
        ("mode == {{action.name}}", "{action.name}", "only a switch template"),
        ("{{action name}}", "{{", "only a switch template"),
        ("state['mode'] == 1", "state['mode']", "write mode."),
        ("1 < state.mode", "state.mode", "write mode."),
        ("state['my key']", "state['my key']", "use when(function) for a key that is not a name"),
        ("a and true", "true", "as True"),
        ("null == a", "null", "as None"),
        ("  foo(a)", "foo", "cannot call 'foo'"),
        ("lenn(a)", "lenn", "Did you mean 'len'?"),
        ("a + mode.lower()", "mode.lower", "calls no methods"),
        ("(a or b)(1)", "a or b", "calls nothing but"),
        ("len()", "len()", "write len(items)"),
        ("len(a, b)", "len(a, b)", "write len(items)"),
        ("max(a, key=b)", "key=b", "takes no keywords"),
        ("sum(*a)", "*a", "name the values"),
        ("a == 1 or b ** 2", "b ** 2", "multiply"),
        ("a & b", "a & b", "write 'and'"),
        ("a | b", "a | b", "write 'or'"),
        ("a ^ b", "a ^ b", "!="),
        ("a << 1", "a << 1", "multiply"),
        ("a >> 1", "a >> 1", "//"),
        ("a @ b", "a @ b", "use when(function)"),
        ("~a", "~a", "write 'not'"),
        ("+a", "+a", "leave it out"),
        ("'%d' % a", "'%d'", "numbers only"),
        ("'a' + b", "'a'", "numbers only"),
        ("3 * [0]", "[0]", "numbers only"),
        ("a * 'ab'", "'ab'", "numbers only"),
        ("-'a'", "'a'", "numbers only"),
        ("f'{a}' == b", "f'{a}'", "no f-strings"),
        ("lambda: 1", "lambda: 1", "no lambda"),
        ("a is 'x'", "'x'", "use == or !="),
        ("a is not b", "b", "use == or !="),
        ("b'raw' == a", "b'raw'", "no bytes"),
        ("a == 1j", "1j", "no complex"),
        ("a == ...", "...", "no ellipsis"),
        ("a > 9223372036854775809", "9223372036854775809", "as large as 2**63"),
        ("__import__", "__import__", "may not begin with '__'"),
        ("a.__class__", "a.__class__", "may not begin with '__'"),
        ("[x for x in a]", "[x for x in a]", "stands alone inside"),
        ("(x for x in a) == 1", "(x for x in a)", "stands alone inside"),
        ("abs([x for x in a])", "[x for x in a]", "stands alone inside"),
        ("any({x for x in a})", "{x for x in a}", "no set comprehension"),
        ("any({x: 1 for x in a})", "{x: 1 for x in a}", "no dict comprehension"),
        ("len(x for x in a)", "(x for x in a)", "write len(["),
        ("any(x for x in a for y in b)", "y", "one collection"),
        ("any(any(y for y in x) for x in a)", "(y for y in x)", "cannot hold another"),
        ("any(x for x, y in a)", "x, y", "one plain variable"),
        ("any(x async for x in a)", "(x async for x in a)", "cannot await"),
        ("any(__x for __x in a)", "__x", "may not begin with '__'"),
        ("{**a}", "a", "name the values"),
        ("{[1], 2}", "[1]", "use a tuple"),
        ("{{}: 1}", "{}", "use a tuple"),
        ("a[1:2, 3]", "1:2", "items[1:3]"),
        ("await a", "await a", "cannot await"),
        ("(yield a)", "yield a", "cannot yield"),
        ("'''image'''", "''", "one pair of quotes"),
        ("'\\d' == a", "\\d", "double the backslash"),
        ("'\\N{DASH}'", "\\N", "double the backslash"),
        ("a # really", "#", "no comments"),
        ("1if a else 2", "1if", "put a space"),
        ("0x1for x in a", "0x1for", "put a space"),
        ("'é' == a && b", "&&", "write 'and'"),
        ("'é日本' == foo(b)", "foo", "cannot call"),
        ("a b", "b", "one Python expression"),
        ("a ==", "", "one Python expression"),
        ("a\n  + **", "*", "one Python expression"),
        ("a\tand foo(b)", "foo", "cannot call"),
        ("", "", "cannot be empty"),
        (" \n ", " ", "cannot be empty"),
        ("import os", "i", "one Python expression"),
        ("a; b", ";", "one Python expression"),
    ],
)
def test_caret_stands_under_what_is_refused(source: str, part: str, remedy: str) -> None:
    sentence, pointed = refused(source)
    assert (part, True) == (pointed, remedy in sentence), sentence


def test_message_is_a_sentence_the_source_and_a_caret() -> None:
    with pytest.raises(ExpressionError) as caught:
        compile_expression("  mode = 'image'")
    assert "An expression cannot assign: use == to compare.\n      mode = 'image'\n           ^" == str(caught.value)


def test_refusal_is_a_build_error_with_itself_as_its_problem() -> None:
    with pytest.raises(BuildError) as caught:
        compile_expression("a b")
    assert (caught.value,) == caught.value.problems


@pytest.mark.parametrize(
    ("source", "limit"),
    [
        ("a" * 2_001, "2,000 characters"),
        ("-" * 1_999 + "1", "nested"),
        ("not " * 400 + "a", "nested 40 deep"),
        ("(" * 1_000 + "a" + ")" * 999, "one Python expression"),
        ("[" * 60 + "]" * 60, "nested 40 deep"),
        ("a" + ".a" * 900, "nested 40 deep"),
        ("+".join("a" * 60), "nested 40 deep"),
        ("[" + "a," * 200 + "]", "200 parts"),
        (" or ".join(f"a == {n}" for n in range(70)), "200 parts"),
    ],
)
def test_size_is_limited(source: str, limit: str) -> None:
    assert limit in refused(source)[0]


def test_limits_themselves_are_allowed() -> None:
    assert compile_expression("a" * 2_000).evaluate({"a" * 2_000: 1}) == 1
    assert compile_expression("not " * 39 + "a").evaluate({"a": 1}) is False
    assert compile_expression("[" + "a," * 199 + "]").evaluate({"a": 1}) == [1] * 199


def test_long_source_is_cut_around_the_caret() -> None:
    sentence, shown, carets = _message("a or " * 60 + "foo(b) or " + "c or " * 60 + "d").split("\n")
    assert "cannot call 'foo'" in sentence
    assert "foo" == shown[carets.index("^") : len(carets)]
    assert len(shown) < 180


@pytest.mark.parametrize(
    "source", ["a\0b", "'\ud800'", "\ud800", "a == 'x", "'\\x4'", "\\", "'a\\", "\ufeff\ufeff", "\x0c\x0c", "a\x0c?"]
)
def test_unreadable_text_is_refused(source: str) -> None:
    message = _message(source)
    assert "^" in message
    assert message.encode()  # it can be printed anywhere


def test_anything_but_text_is_refused() -> None:
    with pytest.raises(ExpressionError, match="written as text, not as int: pass a str"):
        compile_expression(3)  # type: ignore[arg-type]


def test_nothing_is_warned_about() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for source in ("'\\d'", "1or a", "1ifa", ".5if a", "2.5inb", "a is 'x'", "1 is 1", "()()", "0777", "'\\777'"):
            assert "^" in _message(source)


def _message(source: str) -> str:
    with pytest.raises(ExpressionError) as caught:
        compile_expression(source)
    return str(caught.value)


def test_parser_that_runs_out_of_stack_is_a_typed_refusal() -> None:
    def deep(frames: int) -> str:
        return deep(frames - 1) if frames else _message("-" * 1_999 + "1")

    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(600)
    try:
        message = deep(400)
    finally:
        sys.setrecursionlimit(limit)
    assert "nested" in message
