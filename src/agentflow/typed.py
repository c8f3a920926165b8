"""Typed state with pydantic models: what validates writes, and how a model stands in for the state in an action.

pydantic is loaded when the first model is used. What must not live here: actions, or anything that runs one.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from agentflow.errors import (
    BuildError,
    InvalidValueError,
    MissingExtraError,
    ResultError,
    UndeclaredKeyError,
    did_you_mean,
)
from agentflow.state import State

if TYPE_CHECKING:
    from pydantic import BaseModel, TypeAdapter


class PydanticTypingSystem:
    """State whose keys are the fields of a pydantic model: each write is validated when it is made.

    Args:
        model: The model; its defaults are the first values of their keys.

    Raises:
        BuildError: `model` is not a pydantic model class.
        MissingExtraError: pydantic is not installed.

    Example:
        builder.with_typing(PydanticTypingSystem(ChatState)).with_state(ChatState(history=[]))
    """

    def __init__(self, model: type[BaseModel]) -> None:
        if not (isinstance(model, type) and issubclass(model, _base_model())):
            raise BuildError(f"PydanticTypingSystem takes a pydantic model class, not {model!r}: pass the class itself.")
        self.model = model
        self.required_keys = frozenset(name for name, field in model.model_fields.items() if field.is_required())

    @property
    def state_type(self) -> type[BaseModel]:
        return self.model

    def defaults(self) -> Mapping[str, Any]:
        fields = self.model.model_fields
        return {
            name: field.get_default(call_default_factory=True, validated_data={})
            for name, field in fields.items()
            if not field.is_required()
        }

    def validate(self, updates: Mapping[str, Any]) -> Mapping[str, Any]:
        from pydantic import ValidationError

        checked = {}
        for key, value in updates.items():
            try:
                checked[key] = self._adapter(key).validate_python(value)
            except ValidationError as error:
                first = error.errors()[0]
                path = "".join(f"[{part!r}]" for part in first["loc"])
                raise InvalidValueError(
                    f"state[{key!r}]{path} of {self.model.__name__} refuses a value of type "
                    f"{type(first['input']).__name__}: {first['msg']}."
                ) from error
        return checked

    def construct_data(self, values: Mapping[str, Any]) -> BaseModel:
        return self.model(**{key: values[key] for key in self.model.model_fields if key in values})

    def construct_state(self, data: Any) -> Mapping[str, Any]:
        if not isinstance(data, self.model):
            raise InvalidValueError(f"{type(data).__name__} is not a {self.model.__name__}: give one of those.")
        return plain(data)

    def _adapter(self, key: str) -> TypeAdapter[Any]:
        if key not in self.model.model_fields:
            raise InvalidValueError(
                f"{self.model.__name__} has no field {key!r}: add it to the model. "
                f"{did_you_mean(key, self.model.model_fields)}"
            )
        return _field_adapter(self.model, key)


def is_model(value: object) -> bool:
    """Whether `value` is an instance of a pydantic model; pydantic is not loaded to find out."""
    return hasattr(type(value), "__pydantic_validator__") and hasattr(type(value), "model_fields")


def plain(model: Any) -> dict[str, Any]:
    """The fields of a model that have a value, as they are: nested models stay models."""
    return {key: value for key, value in vars(model).items() if key in type(model).model_fields}


def model_of(state: State[Any], model: type[BaseModel], reads: Iterable[str], writes: Iterable[str]) -> Any:
    """An instance of `model` that holds the declared reads only.

    Values that may be written are deep copies, since a function over a model changes it in place.
    """
    writable = frozenset(writes)
    values = {}
    for key in reads:
        if key in state:
            values[key] = copy.deepcopy(state[key]) if key in writable else state[key]
    instance = model.model_construct(**values)
    for key in model.model_fields:
        if key not in values:
            instance.__dict__.pop(key, None)
    return instance


def updates_from(returned: Any, given: Any, reads: Iterable[str], writes: Iterable[str], owner: str) -> dict[str, Any]:
    """The declared writes of the model an action returned.

    Raises:
        ResultError: No model was returned.
        UndeclaredKeyError: A field was set that the action does not declare to write.
    """
    if not is_model(returned):
        raise ResultError(f"{owner} returned a value of type {type(returned).__name__}: return the model.")
    values, before, writable = plain(returned), plain(given), frozenset(writes)
    for key, value in values.items():
        changed = value is not before.get(key, value)
        new = key not in before and key in returned.model_fields_set and returned is given
        if key not in writable and (changed or new):
            raise UndeclaredKeyError(f"{owner} writes {key!r} without declaring it: add {key!r} to its writes.")
    return {key: values[key] for key in writes if key in values}


def undeclared_read(error: AttributeError, given: Any, owner: str) -> UndeclaredKeyError | None:
    """The error to raise when a function over a model read a field it did not declare, None if it is another error."""
    if error.obj is given and error.name in type(given).model_fields:
        return UndeclaredKeyError(
            f"{owner} reads {error.name!r}, which it did not declare or which has no value: add it to its reads."
        )
    return None


@functools.cache
def _field_adapter(model: type[BaseModel], key: str) -> TypeAdapter[Any]:
    from typing import Annotated

    from pydantic import TypeAdapter

    field = model.model_fields[key]
    return TypeAdapter(Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation)


def _base_model() -> type[BaseModel]:
    try:
        from pydantic import BaseModel
    except ImportError:
        raise MissingExtraError("typed state with pydantic models", "llm") from None
    return BaseModel
