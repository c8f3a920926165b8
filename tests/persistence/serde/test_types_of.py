"""The types that a declaration mentions are found wherever they stand in it, and no others."""

from __future__ import annotations

import collections
import dataclasses
import enum
from collections.abc import Mapping
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Generic,
    Literal,
    NamedTuple,
    NewType,
    NotRequired,
    Optional,
    TypedDict,
    TypeVar,
    Union,
)

import pytest
import typing_extensions
from pydantic import BaseModel, ConfigDict, PrivateAttr

from agentflow import ApplicationBuilder, State, action
from agentflow.integrations.pydantic import PydanticTypingSystem
from agentflow.persistence import InMemoryPersister
from agentflow.persistence.serde import Serde, types_of

if TYPE_CHECKING:
    from nowhere import Absent  # type: ignore[import-not-found]

T = TypeVar("T")


class Tone(enum.Enum):
    CALM = 1


class Size(enum.IntFlag):
    WIDE = 1


class Leaf(BaseModel):
    tone: Tone = Tone.CALM


@dataclasses.dataclass
class Tree:
    leaf: Leaf | None = None
    trees: list[Tree] = dataclasses.field(default_factory=list)


class Spot(NamedTuple):
    size: Size = Size.WIDE


Loose = collections.namedtuple("Loose", "a")


class Turn(typing_extensions.TypedDict, total=False):
    spot: Spot


class Plain(TypedDict):
    turn: NotRequired[Turn]


class Box(BaseModel, Generic[T]):
    content: T


@dataclasses.dataclass
class Shelf(Generic[T]):
    content: T


class Base(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)
    tree: dict[str, tuple[Tree, ...]] = {}
    _tones: list[Tone] = PrivateAttr(default_factory=list)


class Chat(Base):
    turns: list[Turn] = []


Named = NewType("Named", Leaf)
Bound = TypeVar("Bound", bound=Leaf)


@dataclasses.dataclass
class Partly:
    absent: Absent
    tone: Tone


@dataclasses.dataclass
class Wrong(Exception):
    tone: Tone


@pytest.mark.parametrize(
    ("declared", "types"),
    [
        (Tone, {Tone}),
        (list[Tone], {Tone}),
        (Optional[Tone], {Tone}),  # noqa: UP045
        (Union[int, dict[str, Tone]], {Tone}),  # noqa: UP007
        (int | Mapping[str, Tone | None], {Tone}),
        (Annotated[Tone, Leaf], {Tone}),
        (type[Tone], {Tone}),
        (Leaf, {Leaf, Tone}),
        (Tree, {Tree, Leaf, Tone}),
        (Spot, {Spot, Size}),
        (Loose, {Loose}),
        (Turn, {Spot, Size}),
        (Plain, {Spot, Size}),
        (Base, {Base, Tree, Leaf, Tone}),
        (Chat, {Chat, Tree, Leaf, Tone, Spot, Size}),
        (Shelf[Tone], {Shelf, Tone}),
        (Named, {Leaf, Tone}),
        (Bound, {Leaf, Tone}),
        (Partly, {Partly, Tone}),
        (int, set()),
        (Any, set()),
        (None, set()),
        ("Tone", set()),
        (Literal["Tone"], set()),
        (Literal[Tone.CALM], {Tone}),
        (Wrong, {Tone}),
        ([], set()),
    ],
    ids=lambda given: "" if isinstance(given, set) else str(given),  # a set of classes reads otherwise in every run
)
def test_a_declaration_leads_to_its_types(declared: Any, types: set[type]) -> None:
    assert types == types_of(declared)


def test_a_generic_model_leads_to_what_it_was_made_with() -> None:
    assert {Box[Leaf], Leaf, Tone} == types_of(list[Box[Leaf]])

    serde = Serde([Box[Leaf]])
    assert Box[Leaf](content=Leaf()) == serde.loads(serde.dumps(Box[Leaf](content=Leaf()), "state"), "state")


def test_a_typed_dict_may_be_given_for_the_types_in_it() -> None:
    serde = Serde([Turn])

    assert {"spot": Spot()} == serde.loads(serde.dumps({"spot": Spot()}, "state"), "state")


@action(reads=[], writes=["tree", "turns"])
def grow(state: State) -> State:
    return state.update(tree={"a": (Tree(Leaf(), [Tree()]),)}, turns=[{"spot": Spot(Size(0))}])


def test_a_typed_state_brings_its_types_into_the_store() -> None:
    persister = InMemoryPersister()

    def build() -> Any:
        return (
            ApplicationBuilder()
            .with_actions(grow)
            .with_transitions(("grow", "grow"))
            .with_typing(PydanticTypingSystem(Chat))
            .with_identifiers(app_id="a")
            .initialize_from(persister, resume_at_next_action=True, default_state={}, default_entrypoint="grow")
            .with_state_persister(persister)
            .build()
        )

    build().step()
    state = build().state

    assert {"a": (Tree(Leaf(), [Tree()]),)} == state["tree"]
    assert type(state["turns"][0]["spot"].size) is Size
