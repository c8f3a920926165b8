"""Typed state with pydantic models: what validates writes, and how a model stands in for the state in an action.

pydantic is loaded when the first model is used. What must not live here: actions, or anything that runs one.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from agentflow.errors import (
    BuildError,
    InvalidValueError,
    MissingExtraError,
    ResultError,
    UndeclaredKeyError,
    did_you_mean,
)
from agentflow.state import Scope, State

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
            raise BuildError(
                f"PydanticTypingSystem takes a pydantic model class, not {model!r}: pass the class itself."
            )
        self.model = model
        self.required_keys: frozenset[str] = frozenset(
            name for name, field in model.model_fields.items() if field.is_required()
        )

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
        from pydantic import ValidationError

        known = {key: value for key, value in values.items() if key in self.model.model_fields}
        try:
            return self.model.model_validate(known, by_name=True)
        except ValidationError as error:
            raise InvalidValueError(f"the state is no {self.model.__name__}: {error.errors()[0]['msg']}.") from error

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


def _own(value: Any) -> Any:
    import copy

    try:
        return copy.deepcopy(value)
    except Exception:  # a client, a lock: nobody can copy it
        return value


def model_of(state: State[Any], model: type[BaseModel], scope: Scope) -> Any:
    """An instance of `model` that holds the declared reads only.

    Its values are deep copies, since a function over a model changes it in place.
    """
    values = {key: _own(state[key]) for key in sorted(scope.reads) if key in state}
    instance = model.model_construct(**values)
    for key in model.model_fields:
        if key not in values:
            instance.__dict__.pop(key, None)
    return instance


def updates_from(returned: Any, given: Any, state: State[Any], scope: Scope) -> dict[str, Any]:
    """The declared writes of the model an action returned, when it was given one made of `state`.

    Raises:
        ResultError: No model was returned.
        UndeclaredKeyError: A field was set that the action does not declare to write.
    """
    if not is_model(returned):
        raise ResultError(f"{scope.owner} returned a value of type {type(returned).__name__}: return the model.")
    values = plain(returned)
    for key in sorted(values.keys() - scope.writes):
        if key in scope.reads and key in state:
            wrote = values[key] is not state[key] and bool(values[key] != state[key])
        else:
            wrote = returned is given  # another model has to fill its required fields with something
        if wrote:
            raise UndeclaredKeyError(f"{scope.owner} writes {key!r} without declaring it: add {key!r} to its writes.")
    return {key: values[key] for key in sorted(scope.writes) if key in values}


def undeclared_read(error: AttributeError, given: Any, owner: str) -> UndeclaredKeyError | None:
    """The error to raise when a function over a model read a field it did not declare, None if it is another error."""
    fields: Mapping[str, object] = getattr(type(given), "model_fields", {})
    if error.obj is given and error.name in fields:
        return UndeclaredKeyError(
            f"{owner} reads {error.name!r}, which it did not declare or which has no value: add it to its reads."
        )
    return None


@functools.cache
def _field_adapter(model: type[BaseModel], key: str) -> TypeAdapter[Any]:
    from typing import Annotated

    from pydantic import AfterValidator, BeforeValidator, PlainValidator, PydanticUserError, TypeAdapter, WrapValidator

    field = model.model_fields[key]
    kinds = {"before": BeforeValidator, "after": AfterValidator, "wrap": WrapValidator, "plain": PlainValidator}
    own = [
        kinds[validator.info.mode](validator.func)
        for validator in model.__pydantic_decorators__.field_validators.values()
        if {key, "*"} & set(validator.info.fields)
    ]
    declared: Any = field.annotation
    for constraint in (*field.metadata, *own):
        declared = Annotated[declared, constraint]
    try:
        return TypeAdapter(declared, config=model.model_config)
    except PydanticUserError:  # a field that is a model itself has its own configuration
        return TypeAdapter(declared)


def _base_model() -> type[BaseModel]:
    try:
        from pydantic import BaseModel
    except ImportError:
        raise MissingExtraError("typed state with pydantic models", "llm") from None
    return BaseModel
