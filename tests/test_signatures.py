"""Signatures: what a function declares it takes."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import pytest

from agentflow import ApplicationContext
from agentflow.signatures import ABSENT, accepted, declared, docstring, is_async, names, parameters_of, positional_count
from agentflow.tracing import TracerFactory


def plain(state: Any, a: int, b: str = "x", *more: Any, c: float, d: Any = None, **rest: Any) -> None: ...


async def waits() -> None: ...


async def yields() -> Any:
    yield 1


class Waits:
    async def __call__(self) -> None: ...

    def method(self, a: int) -> None: ...


def test_inputs_are_required_or_optional_and_keep_what_is_written() -> None:
    found = parameters_of(plain, 1)
    assert (("a", "c"), ("b", "d"), {"a", "b", "c", "d"}) == (found.required, found.optional, found.names)
    assert {"a": "int", "b": "str", "c": "float", "d": "Any"} == found.annotations
    assert {"b": "x", "d": None} == found.defaults


def test_what_is_bound_is_no_input() -> None:
    found = parameters_of(plain, 1, ["a", "d"])
    assert (("c",), ("b",)) == (found.required, found.optional)


@pytest.mark.parametrize(
    "annotation",
    [
        ApplicationContext,
        "ApplicationContext",
        "agentflow.ApplicationContext",
        "ApplicationContext | None",
        "context.ApplicationContext|None",
    ],
)
def test_the_context_is_known_by_its_annotation(annotation: Any) -> None:
    def fn(state: Any, here: Any) -> None: ...

    fn.__annotations__["here"] = annotation
    assert ("here", frozenset()) == (parameters_of(fn, 1).context, parameters_of(fn, 1).names)


def test_context_and_tracer_are_known_by_name_even_inside_a_class() -> None:
    class Mangles:
        def run(self, state: Any, __context: Any, __tracer: Any) -> None: ...

    def fn(state: Any, spans: TracerFactory, __context: Any = None) -> None: ...

    found = parameters_of(Mangles().run, 1)
    assert ("_Mangles__context", "_Mangles__tracer", ()) == (found.context, found.tracer, found.required)
    assert ("__context", "spans") == (parameters_of(fn, 1).context, parameters_of(fn, 1).tracer)


def test_what_may_be_passed_by_name_and_by_position() -> None:
    assert (None, frozenset({"a"})) == (accepted(plain), accepted(Waits().method))
    assert (99, 1, 0) == (positional_count(plain), positional_count(Waits().method), positional_count(waits))
    assert 2 == positional_count(lambda state, targets, *, more=1: None)


def test_what_must_be_awaited_is_async() -> None:
    asynchronous = [waits, yields, Waits(), functools.partial(waits), functools.wraps(waits)(lambda: waits())]
    assert [True] * 5 == [is_async(fn) for fn in asynchronous]
    assert [False] * 4 == [is_async(fn) for fn in (plain, Waits().method, functools.partial(plain), Waits)]


def only(a: int, /, b: str = "x", *, c: int = 1) -> None:
    local = a
    print(local, b, c)


def signed(*args: Any) -> None: ...


signed.__signature__ = inspect.signature(only)  # type: ignore[attr-defined]


class Bound:
    def method(self, a: int = 0, **rest: Any) -> None: ...

    def anything(*args: Any) -> None: ...

    @classmethod
    def of_class(cls, a: int) -> None: ...

    @staticmethod
    def of_nobody(a: int) -> None: ...


PARTIAL = functools.partial(only, 1)
WRAPPED = functools.wraps(only)(lambda *given: only(*given))
FUNCTIONS = [plain, waits, only, signed, lambda: None, lambda state, *, more=1: None, PARTIAL, WRAPPED, len]
METHODS = [Bound().method, Bound.method, Bound().anything, Bound.of_class, Bound().of_nobody, Bound, Waits()]


@pytest.mark.parametrize("fn", [*FUNCTIONS, *METHODS])
def test_a_function_declares_what_inspect_says_of_it(fn: Callable[..., Any]) -> None:
    absent = inspect.Parameter.empty
    told = [(each.name, each.kind, each.default, each.annotation) for each in inspect.signature(fn).parameters.values()]
    found = [
        (name, kind, *(absent if fact is ABSENT else fact for fact in (default, annotation)))
        for name, kind, default, annotation in declared(fn)
    ]
    assert told == found


@pytest.mark.parametrize(
    "text",
    [
        "",
        "one line",
        "  one line ",
        """First.

        More, indented
            deeper.
        """,
        """
        Begins below.
      Less.

        """,
        "\tTabs\n\tand\n\t\tmore",
        "First\n\n",
        "First\n    \n  last",
    ],
)
def test_a_docstring_is_cleaned_as_inspect_does_it(text: str) -> None:
    assert inspect.cleandoc(text) == docstring(text)
    assert "" == docstring(None)


def test_a_bare_string_is_one_name() -> None:
    assert (("text",), ("a", "b"), ()) == (names("text"), names(["a", "b"]), names(()))
