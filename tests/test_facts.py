"""A fact behaves as the frozen dataclass it stands for."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from agentflow.facts import Fact, replace


class Point(Fact):
    """A point."""

    x: int
    y: int = 0

    def length(self) -> int:
        return self.x + self.y


class Named(Fact, kw_only=True):
    name: str
    size: float | None = None


class Deep(Point):
    z: int = 7


class Positive(Fact):
    size: int

    def __post_init__(self) -> None:
        if self.size <= 0:
            raise ValueError("not positive")


def test_fields_are_given_by_position_by_name_or_left_to_their_default() -> None:
    assert [(1, 2), (1, 0), (1, 2)] == [(p.x, p.y) for p in (Point(1, 2), Point(x=1), Point(1, y=2))]
    assert 3 == Point(1, 2).length()


def test_facts_are_equal_when_class_and_fields_are() -> None:
    assert Point(1, 2) == Point(x=1, y=2) != Point(2, 1)
    assert Point(1) != Deep(1)
    assert Point(1) != (1, 0)
    assert 1 == len({Point(1), Point(1, 0)})


def test_a_fact_shows_its_fields() -> None:
    assert "Point(x=1, y='a')" == repr(Point(1, "a"))  # type: ignore[arg-type]


@pytest.mark.parametrize("change", [lambda point: setattr(point, "x", 2), lambda point: delattr(point, "x")])
def test_a_fact_cannot_be_changed(change: Callable[[Point], None]) -> None:
    point = Point(1)
    with pytest.raises(dataclasses.FrozenInstanceError, match="'x'"):
        change(point)
    assert Point(1) == point


@pytest.mark.parametrize(
    ("kind", "given", "named", "message"),
    [
        (Point, (), {}, "Point() lacks the field 'x': give it a value."),
        (Point, (1,), {"z": 2}, "Point() has no field 'z': leave it out."),
        (Point, (), {"y": 1, "z": 2}, "Point() lacks the field 'x': give it a value."),
        (Point, (1, 2, 3), {}, "Point() takes 2 fields by position, and got 3."),
        (Point, (1,), {"x": 2}, "Point() got the field 'x' twice."),
        (Named, ("a",), {}, "Named() takes 0 fields by position, and got 1."),
    ],
)
def test_fields_that_do_not_fit_are_refused_by_name(
    kind: type[Any], given: tuple[Any, ...], named: dict[str, Any], message: str
) -> None:
    with pytest.raises(TypeError) as refused:
        kind(*given, **named)
    assert message == str(refused.value)


def test_a_fact_can_refuse_values() -> None:
    assert 1 == Positive(1).size
    with pytest.raises(ValueError, match="not positive"):
        Positive(0)


def test_a_fact_that_is_derived_has_the_fields_of_both() -> None:
    assert "Deep(x=1, y=0, z=7)" == repr(Deep(1))
    assert (1, 2, 3) == (lambda d: (d.x, d.y, d.z))(Deep(1, 2, 3))


def test_a_fact_is_copied_replaced_and_pickled() -> None:
    named = Named(name="a", size=1.0)
    assert named == copy.copy(named) == copy.deepcopy(named) == pickle.loads(pickle.dumps(named))
    assert Named(name="b", size=1.0) == replace(named, name="b") == dataclasses.replace(named, name="b")
    with pytest.raises(TypeError, match="has no field 'nme'"):
        replace(named, nme="b")


def test_a_fact_is_a_dataclass_to_those_who_ask() -> None:
    assert {"x": 1, "y": 0, "z": 7} == dataclasses.asdict(Deep(1))
    assert ["x", "y", "z"] == [field.name for field in dataclasses.fields(Deep)]
    assert dataclasses.is_dataclass(Named)
    assert "(x: 'int', y: 'int' = 0) -> None" == str(inspect.signature(Point))
    assert "(*, name: 'str', size: 'float | None' = None) -> None" == str(inspect.signature(Named))


def test_a_fact_is_matched_by_position() -> None:
    match Point(1, 2):
        case Point(x, 2):
            assert 1 == x
        case _:  # pragma: no cover
            pytest.fail("it was not matched")


def test_a_default_mapping_is_described_as_one_that_nobody_shares() -> None:
    class Change(Fact):
        values: Mapping[str, int] = {}

    assert [{}] == [field.default_factory() for field in dataclasses.fields(Change)]  # type: ignore[arg-type, misc]
