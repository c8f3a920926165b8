"""Errors: plain Python habits work, and messages help."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import pytest

from agentflow import errors
from agentflow.errors import (
    AgentflowError,
    BuildError,
    DecideError,
    MissingExtraError,
    MissingKeyError,
    ProviderError,
    RealCallError,
    UnknownNameError,
    did_you_mean,
    raise_problems,
)


@pytest.mark.parametrize(
    ("name", "habit"),
    [
        ("BuildError", ValueError),
        ("MissingExtraError", ImportError),
        ("MissingKeyError", KeyError),
        ("UndeclaredKeyError", KeyError),
        ("InvalidValueError", ValueError),
        ("InputError", ValueError),
        ("ResultError", TypeError),
        ("AsyncCodeError", TypeError),
        ("ActionTimeoutError", TimeoutError),
        ("SerializationError", TypeError),
    ],
)
def test_they_are_caught_as_what_python_would_raise(name: str, habit: type[Exception]) -> None:
    assert issubclass(getattr(errors, name), (AgentflowError,))
    assert issubclass(getattr(errors, name), habit)


def test_every_exception_stands_in_the_drawing() -> None:
    drawn = (errors.__doc__ or "") + Path(errors.__file__).name
    missing = [
        name
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, AgentflowError) and not name.startswith("_")
        if name not in drawn
    ]
    assert [] == missing


def test_a_key_error_reads_as_a_sentence() -> None:
    assert "state key 'a' has no value." == str(MissingKeyError("state key 'a' has no value."))


def test_a_missing_extra_says_what_to_install() -> None:
    assert "drawing needs the 'viz' extra: pip install 'agentflow-select[viz]'." == str(
        MissingExtraError("drawing", "viz")
    )


class TestDidYouMean:
    @pytest.mark.parametrize(
        ("name", "known", "said"),
        [
            ("drwa", ["draw", "write"], "Did you mean 'draw'?"),
            ("x", ["draw", "write"], "Known: 'draw', 'write'."),
            ("x", [], "None is declared."),
            ("x", "123456789", "Known: '1', '2', '3', '4', '5', '6', '7', '8', ...."),
        ],
    )
    def test_it_names_the_nearest_or_some(self, name: str, known: list[str], said: str) -> None:
        assert said == did_you_mean(name, known)


class TestProblems:
    def test_none_is_none(self) -> None:
        assert None is raise_problems("this graph", [])

    def test_one_is_raised_as_itself(self) -> None:
        problem = UnknownNameError("one")
        with pytest.raises(UnknownNameError) as caught:
            raise_problems("this graph", [problem])
        assert (problem, (problem,)) == (caught.value, caught.value.problems)

    def test_several_are_one_numbered_list(self) -> None:
        with pytest.raises(BuildError) as caught:
            raise_problems("this graph", [BuildError("one"), BuildError("two")])
        assert "this graph has 2 problems:\n  1. one\n  2. two" == str(caught.value)


def test_they_survive_the_way_between_processes() -> None:
    for error in (ProviderError("down", "timeout", 3), RealCallError("no")):
        copied = pickle.loads(pickle.dumps(error))
        assert (str(error), error.kind, error.attempts) == (str(copied), copied.kind, copied.attempts)
    decided = copy.copy(DecideError("no", source="a", answer="b", targets=["c"]))
    assert ("no", "a", "b", ("c",)) == (str(decided), decided.source, decided.answer, decided.targets)
