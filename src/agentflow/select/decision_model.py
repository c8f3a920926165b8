"""The form in which a model answers: a pydantic model whose one field can only hold the name of a target.

What must not live here: asking a model.
"""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from agentflow.actions import Action
from agentflow.errors import BuildError, DuplicateNameError, raise_problems
from agentflow.runtime import name_of
from agentflow.select import prompt
from agentflow.select.selector import Target

if TYPE_CHECKING:
    from pydantic import BaseModel

#: What may be offered to a model: a target, an action, or a function with a docstring.
Offered = Target | Action | Callable[..., Any]


def create_decision_model(targets: Iterable[Offered], descriptions: Mapping[str, str] | None = None) -> type[BaseModel]:
    """The pydantic model of an answer to "what comes next?": `next_action`, `reason` and `confidence`.

    `next_action` is a `Literal` of the targets' names, so an answer with any other name does not validate; its
    description holds their docstrings. A missing reason, or a confidence that is no number between 0 and 1, is no
    reason to refuse an answer.

    Args:
        targets: Targets, actions or documented functions; their order changes nothing.
        descriptions: What to say about a target instead of its docstring.

    Raises:
        BuildError: A target has neither a docstring nor a description, or there are no targets.
        MissingExtraError: pydantic is not installed.

    Example:
        >>> from agentflow import create_decision_model
        >>> def draw(): "Draw a picture."
        >>> def write(): "Write a text."
        >>> create_decision_model([draw, write])(next_action="draw", reason="It says so.").next_action
        'draw'
    """
    offered = described(targets, descriptions or {})
    raise_problems("this choice", problems_of(offered))
    pydantic = _pydantic()
    choice = Literal[tuple(target.name for target in offered)]  # type: ignore[valid-type]  # known only now
    reason = Annotated[str, pydantic.BeforeValidator(_text)]
    confidence = Annotated[float | None, pydantic.BeforeValidator(_fraction)]
    model: type[BaseModel] = pydantic.create_model(
        "next_action",
        __config__=pydantic.ConfigDict(json_schema_extra=_everything_required),
        __doc__="What to do next.",
        next_action=(choice, pydantic.Field(description=prompt.menu(offered))),
        reason=(reason, pydantic.Field(default="", description="Why, in one short sentence.")),
        confidence=(confidence, pydantic.Field(default=None, description="How sure you are, between 0 and 1.")),
    )
    return model


def described(targets: Iterable[Offered], descriptions: Mapping[str, str]) -> tuple[Target, ...]:
    """The targets sorted by name, each with the description that counts."""
    found = map(_target, targets)
    own = (Target(each.name, descriptions.get(each.name) or each.description) for each in found)
    return tuple(sorted(own if descriptions else found, key=_name))


def problems_of(targets: Iterable[Target], owner: str = "LLMDecider") -> list[BuildError]:
    """What is wrong with offering these targets to a model."""
    offered = list(targets)
    if not offered:
        return [BuildError(f"{owner}: there is nothing to choose from: name some targets.")]
    names = [target.name for target in offered]
    found: list[BuildError] = [
        DuplicateNameError(f"{owner}: {names.count(name)} targets are named {name!r}: name each once.")
        for name in sorted({name for name in names if names.count(name) > 1})
    ]
    found += [
        BuildError(
            f"{owner}: {target.name} needs to have a non-empty docstring. "
            f"Write one, or describe it to the decider: descriptions={{{target.name!r}: '...'}}."
        )
        for target in offered
        if not target.description.strip()
    ]
    return found


_name = operator.attrgetter("name")


def _target(given: Offered) -> Target:
    if isinstance(given, Target):
        return given
    if isinstance(given, Action):
        return Target(given.name, given.description)
    return Target(getattr(given, "__name__", name_of(given)), inspect.getdoc(given) or "")


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _fraction(value: object) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and 0 <= value <= 1 else None  # type: ignore[operator, arg-type]


def _everything_required(schema: dict[str, Any]) -> None:
    """Ask for every field: a provider that is held to a schema strictly wants that, and others then give a reason."""
    for field in schema["properties"].values():
        field.pop("default", None)
    schema["required"] = list(schema["properties"])


def _pydantic() -> Any:
    from agentflow.llm import backend

    return backend.required("pydantic")
