"""switch: a choice by looking a value up.

What must not live here: anything that calls user code.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from agentflow.conditions import Condition, expr
from agentflow.errors import BuildError, did_you_mean
from agentflow.select.selector import Answer, Selector, Target, target_name
from agentflow.state import State


class Switch(Selector):
    """Made by `switch`."""

    never_blocks: bool = True

    def __init__(self, on: str, cases: Mapping[Any, Any] | None = None, default: Any = None) -> None:
        self.on: str = on.strip()
        self.is_template: bool = not self.on.isidentifier()
        if self.is_template and cases is not None:
            raise BuildError(
                f"switch({on!r}, cases) looks up a state key: give the key's name, or leave the cases out."
            )
        if self.is_template and "{{" not in on:
            raise BuildError(
                f"switch({on!r}) is neither a state key nor a template: "
                "write switch('key') or 'key == {{action.name}}'."
            )
        self.cases: dict[Any, str | None] | None = (
            None if cases is None else {value: target_name(target) for value, target in cases.items()}
        )
        self.fallback: str | None = None if default is None else target_name(default)
        self.reads: tuple[str, ...] = tuple(_filled(on, "x").reads or ()) if self.is_template else (self.on,)

    @property
    def name(self) -> str:
        return f"switch({self.on!r})"

    def select(self, state: State[Any], targets: Sequence[Target]) -> Answer:
        for condition, target in self.conditions([target.name for target in targets]):
            if condition.evaluate(state):
                return target
        return None

    def conditions(self, targets: Sequence[str]) -> list[tuple[Condition, str]]:
        """The conditions this switch stands for, each with its target."""
        if self.is_template:
            return [(_filled(self.on, target), target) for target in targets]
        cases = self.cases if self.cases is not None else {target: target for target in targets}
        return [(Condition.when(**{self.on: value}), str(target)) for value, target in cases.items()]

    def problems(self, source: str, targets: Sequence[Target]) -> list[BuildError]:
        known = [target.name for target in targets]
        named = [*(self.cases or {}).values(), *([self.fallback] if self.fallback else [])]
        return [
            BuildError(
                f"{self.name} leaving '{source}' names {name!r}, no target of it. {did_you_mean(str(name), known)}"
            )
            for name in named
            if name not in known
        ]


def _filled(template: str, name: str) -> Condition:
    from agentflow.expressions import render_template  # here: most graphs have no expression to compile

    return expr(render_template(template, name))


def switch(on: str, cases: Mapping[Any, Any] | None = None, *, default: Any = None) -> Switch:
    """Choose the target by the value of a state key: one look-up, however many targets there are.

    Args:
        on: A state key whose value is the target's name; or, with `cases`, is looked up there; or an expression with
            `{{action.name}}` in it, which is each target's name as a text, quoted or not.
        cases: From a value of the key to a target.
        default: The target to take when nothing matches; without one that is a `DecideError`.

    Example:
        >>> switch("mode"), switch("mode", {"img": "draw"}, default="ask"), switch("mode=={{action.name}}")
    """
    return Switch(on, cases, default)
