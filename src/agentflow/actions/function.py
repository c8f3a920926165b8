"""FunctionAction: an action made from a function, with inputs that can be fixed by `bind`.

What must not live here: the decorator that makes one, or functions over models.
"""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

from agentflow.actions.absent import AbsentAction
from agentflow.actions.base import PLAIN, Action, Options
from agentflow.errors import BuildError, did_you_mean
from agentflow.runtime import Runtime
from agentflow.signatures import accepted, docstring, is_plain, names, parameters_of, positional_count
from agentflow.state import State


class FunctionAction(Action):
    """An action made from a function by `@action`; calling it calls the function."""

    def __init__(
        self,
        fn: Callable[..., Any],
        reads: Iterable[str] = (),
        writes: Iterable[str] = (),
        tags: Iterable[str] = (),
        options: Options = PLAIN,
    ) -> None:
        functools.update_wrapper(self, fn, updated=())
        self.fn = fn
        self.reads: list[str] = list(names(reads))
        self.writes: list[str] = list(names(writes))
        self.tags: list[str] = list(names(tags))
        self.options = options
        self.bound: dict[str, Any] = {}

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.fn(*args, **{**self.bound, **kwargs})

    def bind(self, **inputs: Any) -> FunctionAction:
        """A copy with some inputs fixed; binding again adds to what is bound.

        Raises:
            BuildError: The function takes no input of that name.
        """
        known = parameters_of(self.fn, 1).names
        takes_any = accepted(self.fn) is None
        for name in inputs:
            if name not in known and not takes_any:
                raise BuildError(f"bind() on '{self.name}': no input is named {name!r}. {did_you_mean(name, known)}")
        bound = self.__copy__()
        bound.bound, bound._contract = {**self.bound, **inputs}, None
        return bound

    def with_name(self, name: str) -> FunctionAction:
        """A copy of this action under another name."""
        return cast(FunctionAction, super().with_name(name))

    def __reduce__(self) -> tuple[Any, ...]:
        """Sent to another process by the name its function is found by there, where that is this very action."""
        module, qualname = (
            getattr(self.fn, "__module__", ""),
            getattr(self.fn, "__qualname__", ""),
        )  # a partial has none
        found = _found(module, qualname)
        if isinstance(found, FunctionAction) and found.fn is self.fn:
            return _again, (module, qualname, self._name, self.bound)
        return cast("tuple[Any, ...]", super().__reduce__())

    @property
    def description(self) -> str:
        """The function's docstring: what a decider is told about this action as a target."""
        return docstring(self.fn.__doc__)

    def problems(self) -> list[BuildError]:
        if positional_count(self.fn) == 0:
            return [BuildError(f"action '{self.name}' takes no parameters: its first one is the state.")]
        return []

    def run(self, state: State[Any], /, **inputs: Any) -> Any:
        """What the function returns, its bound inputs filled in."""
        return self.fn(state, **self.bound, **inputs)

    async def perform(self, runtime: Runtime, state: State[Any], inputs: dict[str, Any]) -> tuple[Any, State[Any]]:
        return self.outcome_of(await runtime.call(self.fn, state, **{**self.bound, **inputs}))

    def own_inputs(self, state: State[Any]) -> Mapping[str, Any]:
        return self.bound

    def _default_name(self) -> str:
        return getattr(self.fn, "__name__", None) or type(self.fn).__name__

    def _source_object(self) -> Any:
        return self.fn

    def _entry(self) -> tuple[Callable[..., Any], int]:
        return self.fn, 1

    def _direct(self) -> Callable[..., Any] | None:
        if type(self).perform is not FunctionAction.perform or self.options is not PLAIN or not is_plain(self.fn):
            return None
        return functools.partial(self.fn, **self.bound) if self.bound else self.fn

    def _bound(self) -> Iterable[str]:
        return self.bound


def bind(fn: Action, **inputs: Any) -> FunctionAction:
    """The same as `fn.bind(**inputs)`."""
    if not isinstance(fn, FunctionAction):
        raise BuildError(f"bind() takes an action made by @action, not {fn!r}: decorate the function first.")
    return fn.bind(**inputs)


def _found(module: str, qualname: str) -> object:
    found: object = sys.modules.get(module)
    for part in qualname.split("."):
        found = getattr(found, part, None)
    return found


def _again(module: str, qualname: str, name: str | None, bound: dict[str, Any]) -> Action:
    """The action of that name as this process knows it; raising here would break a pool of processes."""
    called = name or qualname.rpartition(".")[2]
    try:
        importlib.import_module(module)
    except Exception as error:
        return AbsentAction(called, f"importing {module!r} failed there ({type(error).__name__}: {error})")
    found = _found(module, qualname)
    if not isinstance(found, FunctionAction):
        return AbsentAction(called, f"the module {module!r} has no action {qualname!r} there")
    made = found.__copy__()
    made._name, made.bound, made._contract = name, bound, None
    return made
