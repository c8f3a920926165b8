"""create_decision_model: what it takes, and what it lets through."""

from __future__ import annotations

import pydantic
import pytest

from agentflow import State, action, create_decision_model
from agentflow.errors import BuildError
from agentflow.select import Target


def paint() -> None:
    """Paint a picture."""


@action(reads=[], writes=[])
def rest(state: State) -> State:
    """Do nothing."""
    return state


def test_takes_targets_actions_and_functions_in_any_order() -> None:
    models = [
        create_decision_model(given)
        for given in ([Target("go", "Go on."), rest, paint], [paint, rest, Target("go", "Go on.")])
    ]
    expected = "AVAILABLE ACTIONS\n\ngo\nGo on.\n\npaint\nPaint a picture.\n\nrest\nDo nothing."
    assert [expected] * 2 == [model.model_json_schema()["properties"]["next_action"]["description"] for model in models]
    assert "next_action" == models[0].__name__


def test_only_the_names_of_targets_validate() -> None:
    model = create_decision_model([rest, paint])
    assert "paint" == model.model_validate({"next_action": "paint"}).next_action  # type: ignore[attr-defined]
    with pytest.raises(pydantic.ValidationError):
        model.model_validate({"next_action": "fly"})


def test_every_field_is_asked_for_and_only_the_choice_is_insisted_on() -> None:
    schema = create_decision_model([rest, paint]).model_json_schema()
    assert ["next_action", "reason", "confidence"] == schema["required"]
    assert {"title", "description", "type", "enum", "anyOf"} >= {
        word for field in schema["properties"].values() for word in field
    }


def test_a_target_without_a_docstring_is_an_error_with_its_remedy() -> None:
    with pytest.raises(ValueError, match="LLMDecider: mute needs to have a non-empty docstring"):
        create_decision_model([Target("mute"), rest])
    assert create_decision_model([Target("mute"), rest], {"mute": "Be quiet."})


def test_nothing_to_choose_from_and_twice_the_same_are_errors() -> None:
    with pytest.raises(BuildError, match="nothing to choose from"):
        create_decision_model([])
    with pytest.raises(BuildError, match="2 targets are named 'rest'"):
        create_decision_model([rest, rest])
