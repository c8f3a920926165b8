"""What goes in and out, as models made from a graph: the inputs of each action, and an application as it stands.

What must not live here: routes, or anything that runs.
"""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PydanticUserError, StringConstraints, create_model
from pydantic.errors import PydanticSchemaGenerationError

from agentflow.actions import Action
from agentflow.errors import BuildError
from agentflow.graph import Graph
from agentflow.state import TypingSystem

#: What an id may be: it goes into URLs, logs and file names of whoever reads them.
ID: Final = r"^[A-Za-z0-9._-]{1,128}$"


def _no_path(value: str) -> str:
    if value in (".", ".."):
        raise ValueError("'.' and '..' are no ids: use letters, digits, '.', '_' and '-'")
    return value


Id = Annotated[str, StringConstraints(pattern=ID), AfterValidator(_no_path)]


class Strict(BaseModel):
    """A body that refuses what it does not know."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid")


class Create(Strict):
    """A new application; without an id it is given one."""

    app_id: Id | None = Field(None, description="The id it is to have.")


class Fork(Strict):
    """A new application that goes on from a step of another."""

    app_id: Id | None = Field(None, description="The id the new one is to have.")
    sequence_id: int | None = Field(None, ge=-1, lt=2**53, description="The step to go on from; by default the last.")


class Choose(Strict):
    """What a person chose, where that was left to one."""

    target: str = Field(max_length=1_000, description="One of the targets of `choice`.")
    reason: str | None = Field(None, max_length=10_000, description="Why; it is kept on the decision.")


class Named(BaseModel):
    """One thing that may come next."""

    name: str
    description: str


class Choice(BaseModel):
    """A choice that waits for a person."""

    question: str
    targets: list[Named]


class Listed(BaseModel):
    """An application in a list."""

    app_id: str
    sequence_id: int = Field(description="The last step, -1 before the first.")
    status: str
    created_at: float = Field(description="Seconds since 1970.")
    updated_at: float = Field(description="Seconds since 1970.")


class Page(BaseModel):
    """Applications by id; `next` is what to pass as `after` for those that follow, null at the end."""

    applications: list[Listed]
    next: str | None = None


class Decided(BaseModel):
    """A choice that was made: what there was to choose from, what was chosen, by what, why, and what it cost."""

    source: str
    target: str
    targets: list[str]
    decided_by: str
    reason: str | None
    confidence: float | None
    tokens: int
    cost: float | None = Field(description="In US dollars, null when no price is known.")
    seconds: float
    fallback: bool
    sequence_id: int = Field(description="The step it led to.")


class Used(BaseModel):
    """What model calls used."""

    model: str
    input_tokens: int
    output_tokens: int
    cost: float | None
    seconds: float
    calls: int


class Step(BaseModel):
    """A step that was performed; one without an action is what the application began with."""

    sequence_id: int
    action: str | None
    set: dict[str, Any] = Field(description="Values it set.")
    append: dict[str, list[Any]] = Field(description="What it added to lists.")
    delete: list[str] = Field(description="Keys it deleted.")
    decisions: list[Decided] = Field(description="The choices that led to it.")
    usage: Used | None
    seconds: float
    attempt: int
    created_at: float
    problem: str | None = Field(description="Why the step could not be read, null when it could.")


class History(BaseModel):
    """Steps, oldest first; `next` is what to pass as `after` for those that follow, null at the end."""

    steps: list[Step]
    next: int | None = None


class Problem(BaseModel):
    """What went wrong, in one sentence."""

    error: str = Field(description="A word for programs.")
    message: str = Field(description="A sentence for people.")
    sequence_id: int | None = Field(None, description="The last step of the application, where that is of interest.")
    next_step: str | None = Field(None, description="What comes next, where that is of interest.")
    problems: list[dict[str, Any]] | None = Field(None, description="Each part of the request that was refused.")


@dataclass(frozen=True, slots=True)
class Shapes:
    """The models of one graph.

    Attributes:
        inputs: Of each action that takes any, what it takes.
        schemas: The same as JSON schemas.
        needing: The actions that cannot run without inputs.
        pauses: What a run halts before: these, and those that were asked for.
        view: An application as it stands.
    """

    inputs: Mapping[str, type[BaseModel]]
    schemas: Mapping[str, dict[str, Any]]
    needing: frozenset[str]
    pauses: tuple[str, ...]
    view: type[BaseModel]

    @classmethod
    def of(cls, graph: Graph, typing_system: TypingSystem | None, pause_before: Iterable[str] = ()) -> Shapes:
        """The models of a graph.

        Raises:
            BuildError: An input cannot be written as JSON, or `pause_before` names no action.
        """
        taking = [action for action in graph.actions if action.contract.parameters.names]
        inputs = {action.name: inputs_of(action) for action in taking}
        needing = [action.name for action in taking if action.contract.parameters.required]
        also = [graph.get_action(name).name for name in pause_before]
        pauses = tuple(dict.fromkeys([*needing, *also]))
        schemas = {name: model.model_json_schema() for name, model in inputs.items()}
        return cls(inputs, schemas, frozenset(needing), pauses, _view_of(tuple(inputs), typing_system))


def inputs_of(action: Action) -> type[BaseModel]:
    """The model of what an action takes.

    Raises:
        BuildError: An input is of a type that JSON has no way to write.
    """
    parameters = action.contract.parameters
    model = f"{_camel(action.name)}Inputs"
    fields: dict[str, Any] = {}
    for number, name in enumerate((*parameters.required, *parameters.optional)):
        # Under a number and not its name, which may be one that models have for something else, such as `json`.
        fields[f"input_{number}"] = type_of(action, name), Field(parameters.defaults.get(name, ...), alias=name)
        try:
            created: type[BaseModel] = create_model(model, __base__=Strict, __doc__=action.description, **fields)
            created.model_json_schema()
        except (PydanticUserError, PydanticSchemaGenerationError, NameError) as error:
            raise BuildError(
                f"the input {name!r} of action '{action.name}' cannot be given as JSON "
                f"({str(error).splitlines()[0]}): bind it in the factory, or give it a type that can."
            ) from error
    return created


def values_of(body: BaseModel) -> dict[str, Any]:
    """The inputs that were given, by name."""
    return {
        str(field.alias): getattr(body, name)
        for name, field in type(body).model_fields.items()
        if name in body.model_fields_set
    }


def type_of(action: Action, name: str) -> Any:
    """The type of an input, looked up where the action is defined.

    Raises:
        BuildError: It is not known there.
    """
    written = action.contract.parameters.annotations.get(name)
    if not isinstance(written, str):
        return Any if written is None else written
    fn: Any = inspect.unwrap(action._entry()[0])
    fn = getattr(fn, "__func__", fn)
    inner = zip(fn.__code__.co_freevars, fn.__closure__ or (), strict=True) if hasattr(fn, "__code__") else ()
    known = {**getattr(fn, "__globals__", {}), **{free: cell.cell_contents for free, cell in inner}}
    alone = types.SimpleNamespace(__annotations__={name: written})
    try:
        return typing.get_type_hints(alone, known, include_extras=True)[name]
    except (NameError, TypeError, SyntaxError, AttributeError) as error:
        raise BuildError(
            f"the type {written!r} of the input {name!r} of action '{action.name}' cannot be found where the action is "
            f"defined ({error}): import it there when the program runs, and not for type checkers alone."
        ) from error


def _view_of(taking: tuple[str, ...], typing_system: TypingSystem | None) -> type[BaseModel]:
    next_step: Any = Literal[taking] | None if taking else None
    return create_model(
        "Application",
        __doc__="An application as it stands.",
        app_id=(str, ...),
        sequence_id=(int, Field(description="The last step, -1 before the first; pass it as If-Match.")),
        status=(str, Field(description="ready, running, halted, finished, failed, cancelled, timed_out, uncertain.")),
        next_step=(next_step, Field(description="The action that comes next and takes input, null when none does.")),
        next_inputs=(dict[str, Any] | None, Field(description="The JSON schema of what it takes.")),
        can_run=(bool, Field(description="Whether it can go on without input: by `run`.")),
        choice=(Choice | None, Field(description="The choice that waits for a person.")),
        error=(str | None, Field(description="Why the last attempt at the next step failed.")),
        state=(_state_of(typing_system), Field(description="The state after the last step.")),
    )


def _state_of(typing_system: TypingSystem | None) -> Any:
    declared = getattr(typing_system, "state_type", None)
    if not (isinstance(declared, type) and issubclass(declared, BaseModel)):
        return dict[str, Any]
    fields: dict[str, Any] = {name: (field.annotation, None) for name, field in declared.model_fields.items()}
    # A key has no value before an action has written it: none is required.
    return create_model(f"{declared.__name__}State", __doc__=declared.__doc__, **fields)


def _camel(name: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in name.replace("-", "_").split("_"))
