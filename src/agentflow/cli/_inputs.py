"""Inputs as they are written on a command line, made into what the actions that take them declare.

What must not live here: running an action.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from agentflow.actions import Action
from agentflow.errors import BuildError, InputError, MissingExtraError, did_you_mean

if TYPE_CHECKING:
    from pydantic import TypeAdapter


def inputs_of(pairs: Iterable[str], coming: Action | None, others: Sequence[Action]) -> dict[str, Any]:
    """What `name=value` pairs stand for: of the type that the action which comes next declares, or the first other.

    Text stays text where none is declared or where it cannot be found, as one that only a type checker imports. What
    does not fit as text is read as JSON.

    Raises:
        InputError: One is not of this form, no action takes it, it does not fit, or one that is needed is missing.
        MissingExtraError: The library that reads declared types is not installed.
    """
    actions = [*([coming] if coming else []), *others]
    found: dict[str, Any] = {}
    for pair in pairs:
        name, separator, text = pair.partition("=")
        if not separator:
            raise InputError(f"--input {pair!r} is not of the form name=value.")
        taking = [action for action in actions if name in action.contract.parameters.names]
        if not taking:
            known = sorted({each for action in actions for each in action.contract.parameters.names})
            raise InputError(f"no action takes an input {name!r}. {did_you_mean(name, known)}")
        declared = taking[0].contract.parameters.annotations.get(name)
        found[name] = text if declared in (None, str, "str") else _fitting(taking[0], name, text)
    missing = [name for name in coming.contract.parameters.required if name not in found] if coming else []
    if coming and missing:
        raise InputError(f"'{coming.name}' comes next and needs the input {missing[0]!r}: add --input {missing[0]}=...")
    return found


def _fitting(action: Action, name: str, text: str) -> Any:
    try:
        from pydantic import PydanticUserError, TypeAdapter, ValidationError
        from pydantic.errors import PydanticUndefinedAnnotation

        from agentflow.serving.shapes import type_of
    except ModuleNotFoundError as error:
        raise MissingExtraError("an input of a declared type", "serve") from error
    try:
        return _read(TypeAdapter(type_of(action, name)), text)
    except (BuildError, PydanticUndefinedAnnotation):
        return text
    except PydanticUserError as error:
        if error.code == "class-not-fully-defined":  # a name inside it that cannot be found
            return text
        raise InputError(
            f"the input {name!r} of '{action.name}' is of a type that cannot be written as text: "
            "go on with the application in a program."
        ) from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, (name, *first["loc"])))
        raise InputError(f"--input {name}={text:.80} does not fit '{action.name}': {where}: {first['msg']}.") from None


def _read(adapter: TypeAdapter[Any], text: str) -> Any:
    try:
        return adapter.validate_strings(text)
    except ValueError as as_text:
        try:
            return adapter.validate_json(text)
        except ValueError:
            if text.lstrip().startswith(("{", "[")):
                raise
            raise as_text from None
