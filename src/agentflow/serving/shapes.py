"""What goes in and out, as models made from a graph: the inputs of each action, and an application as it stands.

What must not live here: routes, or anything that runs.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PydanticUserError, StringConstraints, create_model
from pydantic.errors import PydanticSchemaGenerationError
from pydantic_core import to_jsonable_python

from agentflow.actions import Action
from agentflow.errors import BuildError
from agentflow.graph import Graph
from agentflow.persistence.records import StepRecord
from agentflow.redaction import redact
from agentflow.select.selector import Decision
from agentflow.state import TypingSystem
from agentflow.usage import Usage

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
    known = _hints(action)
    model = f"{_camel(action.name)}Inputs"
    fields: dict[str, Any] = {}
    for number, name in enumerate((*parameters.required, *parameters.optional)):
        # Under a number and not its name, which may be one that models have for something else, such as `json`.
        fields[f"input_{number}"] = known.get(name, Any), Field(parameters.defaults.get(name, ...), alias=name)
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


def _hints(action: Action) -> dict[str, Any]:
    """The types of an action's parameters; what cannot be resolved is left as it was written."""
    fn = inspect.unwrap(action._entry()[0])
    try:
        return typing.get_type_hints(fn, include_extras=True)
    except (NameError, TypeError):
        given = action.contract.parameters.annotations
        return {name: kind for name, kind in given.items() if kind is not None and not isinstance(kind, str)}


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


def plain(value: Any) -> Any:
    """A value as JSON has it; what JSON has no form for is told in words, and a `Secret` is not told."""
    return to_jsonable_python(
        value, serialize_unknown=True, inf_nan_mode="null", bytes_mode="base64", exclude_none=False
    )


def step_of(record: StepRecord) -> dict[str, Any]:
    """A step of the history."""
    return {
        "sequence_id": record.sequence_id,
        "action": record.action,
        "set": plain(dict(record.change.set)),
        "append": plain({key: list(items) for key, items in record.change.append.items()}),
        "delete": sorted(record.change.delete),
        "decisions": [decision_of(each, record.sequence_id) for each in record.decisions],
        "usage": used(record.usage),
        "seconds": record.duration,
        "attempt": record.attempt,
        "created_at": record.created_at,
        "problem": record.problem and redact(record.problem),
    }


def decision_of(decision: Decision, sequence_id: int | None = None) -> dict[str, Any]:
    """A decision; its raw answer is the model's own business."""
    return {
        "source": decision.source,
        "target": decision.target,
        "targets": list(decision.targets),
        "decided_by": decision.decided_by,
        "reason": decision.reason,
        "confidence": plain(decision.confidence),
        "tokens": decision.tokens,
        "cost": decision.cost,
        "seconds": decision.seconds,
        "fallback": decision.fallback,
        "sequence_id": decision.sequence_id if sequence_id is None else sequence_id,
    }


def used(usage: Usage) -> dict[str, Any] | None:
    """What model calls used; None when there were none."""
    if not usage.attempts:
        return None
    return {
        "model": usage.model,
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cost": usage.cost,
        "seconds": usage.latency,
        "calls": usage.attempts,
    }
