"""Action: a named function with declared `reads`, `writes` and `inputs`.

Two styles: `@action` on a function that returns the next state, and a class with `run` (what it computes) and
`update` (how that changes the state). What must not live here: streaming, or anything about transitions.
"""

from __future__ import annotations

import copy
import functools
import importlib
import inspect
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self, cast, get_type_hints

from agentflow import typed
from agentflow.errors import BuildError, ResultError, did_you_mean
from agentflow.retrying import RetryPolicy
from agentflow.runtime import BLOCKING, Runtime, name_of, refuse_awaitable
from agentflow.signatures import Parameters, is_async, names, parameters_of, positional_count
from agentflow.state import Scope, State

Result = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Options:
    """How an action is called.

    Attributes:
        retry: When to try again after an error; any tenacity-style policy.
        timeout: The longest one attempt may take, in seconds.
        blocking: In an async run, call it in a thread so that it cannot hold up the event loop.
    """

    retry: RetryPolicy | None = None
    timeout: float | None = None
    blocking: bool = False


PLAIN = Options()


@dataclass(frozen=True, slots=True)
class Contract:
    """Everything the engine asks of an action at each step, worked out once."""

    action: Action
    name: str
    scope: Scope
    parameters: Parameters
    is_async: bool
    options: Options
    takes_nothing: bool


class Action:
    """One step of an agent, as a class: `run` computes a result, `update` writes it into the state.

    Subclasses declare `reads` and `writes` (a list, a property or a method) and define `run(self, state, **inputs)`,
    which returns a dict, and `update(self, result, state)`, which returns the next state. Either may be async. Inputs
    are the parameters of `run` after `state`; those with a default are optional.

    Example:
        >>> class Count(Action):
        ...     reads = ["count"]
        ...     writes = ["count"]
        ...     def run(self, state, by: int = 1):
        ...         return {"count": state["count"] + by}
        ...     def update(self, result, state):
        ...         return state.update(**result)
    """

    reads: Any = ()
    writes: Any = ()
    tags: Any = ()
    options: Options = PLAIN
    streaming: ClassVar[bool] = False
    _name: str | None = None
    _contract: Contract | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for attribute in ("reads", "writes", "inputs", "tags"):
            declared = cls.__dict__.get(attribute)
            if inspect.isfunction(declared):  # written as a method, with or without `self`
                setattr(cls, attribute, property(_declaration(declared)))

    # -- what users write

    def run(self, state: State[Any], /, **inputs: Any) -> Any:
        """What the action computes, as a dict; it must not change anything."""
        raise BuildError(f"action '{self.name}' defines no run(): write `def run(self, state) -> dict`.")

    def update(self, result: Any, state: State[Any], /) -> Any:
        """The next state, given what `run` returned."""
        raise BuildError(f"action '{self.name}' defines no update(): write `def update(self, result, state) -> State`.")

    # -- what others may ask

    @property
    def name(self) -> str:
        """The name in the graph; a class without one answers to the name of its class."""
        return self._name or self._default_name()

    @property
    def description(self) -> str:
        """The docstring: what a decider is told about this action as a target."""
        own = type(self).__doc__
        return inspect.cleandoc(own) if own and type(self).__module__ != __name__ else ""

    @property
    def inputs(self) -> Any:
        """The names of the inputs: (required, optional)."""
        parameters = self.contract.parameters
        return list(parameters.required), list(parameters.optional)

    @property
    def contract(self) -> Contract:
        """What the engine asks of this action, worked out once."""
        if self._contract is None:
            self._contract = self._make_contract()
        return self._contract

    def with_name(self, name: str) -> Action:
        """A copy of this action under another name."""
        renamed = copy.copy(self)
        renamed._name, renamed._contract = name, None
        return renamed

    def get_source(self) -> str:
        """The source text of the action, or a sentence saying that there is none to be had."""
        try:
            return inspect.getsource(self._source_object())
        except (OSError, TypeError):
            return f"# The source of '{self.name}' is not available."

    def __repr__(self) -> str:
        return f"<action {self.name!r}>"

    def __copy__(self) -> Self:
        made = object.__new__(type(self))
        vars(made).update(vars(self))
        return made

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_contract": None}  # worked out again where it arrives

    def problems(self) -> list[BuildError]:
        """What is wrong with this action on its own; empty when nothing is."""
        if type(self).run is Action.run:
            return [BuildError(f"action '{self.name}' defines no run(): write `def run(self, state) -> dict`.")]
        if type(self).update is Action.update:
            return [BuildError(f"action '{self.name}' defines no update(): write `def update(self, result, state)`.")]
        return []

    # -- what the engine calls

    async def perform(self, runtime: Runtime, state: State[Any], inputs: dict[str, Any]) -> tuple[Any, State[Any]]:
        """Run the action once: its result and the state it returned, not yet checked against the declaration."""
        result = await runtime.call(self.run, state, **inputs)
        if not isinstance(result, Mapping):
            raise ResultError(f"run() of action '{self.name}' returned {_kind(result)}: return a dict.")
        return result, self.checked_state(await runtime.call(self.update, result, state))

    def checked_state(self, returned: Any) -> State[Any]:
        """What the action returned, if it is a state."""
        if not isinstance(returned, State):
            raise ResultError(f"action '{self.name}' returned {_kind(returned)}: return state.update(...).")
        return returned

    def _default_name(self) -> str:
        return type(self).__name__

    def _source_object(self) -> Any:
        return type(self)

    def _entry(self) -> tuple[Callable[..., Any], int]:
        """The function whose signature tells the inputs, and how many of its parameters are not inputs."""
        return self.run, 1

    def _make_contract(self) -> Contract:
        entry, skip = self._entry()
        parameters = self._declared_inputs() or parameters_of(entry, skip, self._bound())
        scope = Scope(f"action '{self.name}'", frozenset(names(self.reads)), frozenset(names(self.writes)))
        nothing = not (parameters.required or parameters.optional or parameters.context or parameters.tracer)
        return Contract(self, self.name, scope, parameters, is_async(entry), self.options, nothing)

    def _bound(self) -> Iterable[str]:
        return ()

    def _declared_inputs(self) -> Parameters | None:
        """Inputs declared as a list, or as (required, optional), instead of by the signature of `run`."""
        if type(self).inputs is Action.inputs:
            return None
        declared = self.inputs
        two = isinstance(declared, tuple) and len(declared) == 2 and not any(isinstance(part, str) for part in declared)
        required, optional = declared if two else (declared, ())
        special = {"__context": None, "__tracer": None}
        filled: dict[str, Any] = {name: name for name in (*names(required), *names(optional)) if name in special}
        return Parameters(
            tuple(name for name in names(required) if name not in special),
            tuple(name for name in names(optional) if name not in special),
            filled.get("__context"),
            filled.get("__tracer"),
        )


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
        self.fn = fn
        self.reads, self.writes, self.tags = list(names(reads)), list(names(writes)), list(names(tags))
        self.options = options
        self.bound: dict[str, Any] = {}
        functools.update_wrapper(self, fn)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.fn(*args, **{**self.bound, **kwargs})

    def bind(self, **inputs: Any) -> FunctionAction:
        """A copy with some inputs fixed; binding again adds to what is bound.

        Raises:
            BuildError: The function takes no input of that name.
        """
        known = parameters_of(self.fn, 1).names
        for name in inputs:
            if name not in known:
                raise BuildError(f"bind() on '{self.name}': no input is named {name!r}. {did_you_mean(name, known)}")
        bound = copy.copy(self)
        bound.bound, bound._contract = {**self.bound, **inputs}, None
        return bound

    def with_name(self, name: str) -> FunctionAction:
        """A copy of this action under another name."""
        return cast(FunctionAction, super().with_name(name))

    def __reduce__(self) -> tuple[Any, ...]:
        """Sent to another process by the name its function is found by there, where that is this very action."""
        found = _found(self.fn.__module__, self.fn.__qualname__)
        if isinstance(found, FunctionAction) and found.fn is self.fn:
            return _again, (self.fn.__module__, self.fn.__qualname__, self._name, self.bound)
        return cast("tuple[Any, ...]", super().__reduce__())

    @property
    def description(self) -> str:
        """The function's docstring: what a decider is told about this action as a target."""
        return inspect.getdoc(self.fn) or ""

    def problems(self) -> list[BuildError]:
        if positional_count(self.fn) == 0:
            return [BuildError(f"action '{self.name}' takes no parameters: its first one is the state.")]
        return []

    def run(self, state: State[Any], /, **inputs: Any) -> Any:
        """What the function returns, its bound inputs filled in."""
        return self.fn(state, **self.bound, **inputs)

    async def perform(self, runtime: Runtime, state: State[Any], inputs: dict[str, Any]) -> tuple[Any, State[Any]]:
        arguments = {**self.bound, **inputs} if self.bound else inputs
        if runtime is BLOCKING:  # as its `call` does, without another coroutine: this is what most steps do
            returned = self.fn(state, **arguments)
            if hasattr(returned, "__await__"):
                refuse_awaitable(self.fn, returned)
        else:
            returned = await runtime.call(self.fn, state, **arguments)
        if returned.__class__ is State:
            return {}, returned
        if isinstance(returned, tuple) and len(returned) == 2 and isinstance(returned[0], Mapping):
            return returned[0], self.checked_state(returned[1])
        return {}, self.checked_state(returned)

    def _default_name(self) -> str:
        return getattr(self.fn, "__name__", None) or type(self.fn).__name__

    def _source_object(self) -> Any:
        return self.fn

    def _entry(self) -> tuple[Callable[..., Any], int]:
        return self.fn, 1

    def _bound(self) -> Iterable[str]:
        return self.bound


class ModelAction(FunctionAction):
    """An action made from a function over a pydantic model by `@action.pydantic`."""

    def __init__(
        self,
        fn: Callable[..., Any],
        reads: Iterable[str],
        writes: Iterable[str],
        tags: Iterable[str],
        options: Options,
        model: type[Any],
        returned_model: type[Any] | None,
    ) -> None:
        super().__init__(fn, reads, writes, tags, options)
        self.model = model
        self.returned_model = returned_model or model

    async def perform(self, runtime: Runtime, state: State[Any], inputs: dict[str, Any]) -> tuple[Any, State[Any]]:
        owner = self.contract.scope.owner
        given = typed.model_of(state, self.model, self.reads, self.writes)
        try:
            returned = await runtime.call(self.fn, given, **self.bound, **inputs)
        except AttributeError as error:
            raise typed.undeclared_read(error, given, owner) or error from None
        updates = typed.updates_from(returned, given, self.reads, self.writes, owner)
        return updates, state.update(**updates)


class _ActionDecorator:
    """`@action(...)`, and `@action.pydantic(...)` for functions over pydantic models."""

    def __call__(
        self,
        reads: Iterable[str],
        writes: Iterable[str],
        tags: Iterable[str] = (),
        *,
        retry: RetryPolicy | None = None,
        timeout: float | None = None,
        blocking: bool = False,
    ) -> Callable[[Callable[..., Any]], FunctionAction]:
        """Make an action of a function `fn(state, *inputs)` that returns a `State`, or `(result dict, State)`.

        Parameters after the first are inputs: required without a default, optional with one. A parameter named
        `__context`, or annotated `ApplicationContext`, is given the running step's context.

        Args:
            reads: The state keys it may read.
            writes: The state keys it may write; after it has run, each has a value.
            tags: Names to halt at (`"@tag:x"`) or to find it by.
            retry: When to try again after an error: any tenacity-style policy, such as
                `tenacity.Retrying(stop=tenacity.stop_after_attempt(3))`.
            timeout: The longest one attempt may take, in seconds; then `ActionTimeoutError` is raised.
            blocking: In an async run, call it in a thread so that it cannot hold up the event loop.

        Example:
            >>> @action(reads=["count"], writes=["count"])
            ... def increment(state: State, by: int = 1) -> State:
            ...     return state.update(count=state["count"] + by)
        """
        options = make_options(retry, timeout, blocking)

        def decorate(fn: Callable[..., Any]) -> FunctionAction:
            return FunctionAction(fn, reads, writes, tags, options)

        return decorate

    def pydantic(
        self,
        reads: Iterable[str],
        writes: Iterable[str],
        state_input_type: type[Any] | None = None,
        state_output_type: type[Any] | None = None,
        tags: Iterable[str] = (),
        *,
        retry: RetryPolicy | None = None,
        timeout: float | None = None,
        blocking: bool = False,
    ) -> Callable[[Callable[..., Any]], ModelAction]:
        """Make an action of a function `fn(state: Model, *inputs) -> Model` over a pydantic model.

        The function is given a model with the declared reads only; it may change it in place and return it, or return
        another one. The declared writes are taken from what it returns.

        Args:
            reads: The fields it may read.
            writes: The fields it may write.
            state_input_type: The model it takes; by default the annotation of its first parameter.
            state_output_type: The model it returns; by default the return annotation.
            tags: See `action`.
            retry: See `action`.
            timeout: See `action`.
            blocking: See `action`.

        Raises:
            BuildError: The model is neither given nor annotated.
        """
        options = make_options(retry, timeout, blocking)

        def decorate(fn: Callable[..., Any]) -> ModelAction:
            taken = state_input_type or annotated_model(fn, "state_input_type")
            return ModelAction(fn, reads, writes, tags, options, taken, state_output_type)

        return decorate


def make_options(retry: RetryPolicy | None, timeout: float | None, blocking: bool) -> Options:
    """The options of an action, checked.

    Raises:
        BuildError: The timeout is not positive, or the retry policy has no `retry`, `stop` and `wait`.
    """
    if timeout is not None and not timeout > 0:
        raise BuildError(f"timeout={timeout!r} is not a positive number of seconds: give one, or None for no limit.")
    lacking = [part for part in ("retry", "stop", "wait") if retry is not None and not callable(getattr(retry, part, 0))]
    if lacking:
        raise BuildError(f"retry={retry!r} has no {lacking[0]}(state): pass a policy such as tenacity.Retrying(...).")
    return Options(retry, timeout, blocking) if retry or timeout or blocking else PLAIN


def annotated_model(fn: Callable[..., Any], argument: str) -> type[Any]:
    """The class that annotates the first parameter of `fn`.

    Raises:
        BuildError: It is not annotated with a class.
    """
    hints = get_type_hints(fn)
    first = next(iter(inspect.signature(fn).parameters), "")
    if not isinstance(hints.get(first), type):
        raise BuildError(f"'{name_of(fn)}' does not say which model it takes: annotate {first!r} or pass {argument}=.")
    return cast(type[Any], hints[first])


def _found(module: str, qualname: str) -> object:
    found: object = sys.modules.get(module)
    for part in qualname.split("."):
        found = getattr(found, part, None)
    return found


def _again(module: str, qualname: str, name: str | None, bound: dict[str, Any]) -> FunctionAction:
    importlib.import_module(module)
    made = copy.copy(cast(FunctionAction, _found(module, qualname)))
    made._name, made.bound, made._contract = name, bound, None
    return made


def bind(fn: Action, **inputs: Any) -> FunctionAction:
    """The same as `fn.bind(**inputs)`."""
    if not isinstance(fn, FunctionAction):
        raise BuildError(f"bind() takes an action made by @action, not {fn!r}: decorate the function first.")
    return fn.bind(**inputs)


def _declaration(declared: Callable[..., Any]) -> Callable[[Any], Any]:
    return declared if positional_count(declared) else lambda self: declared()


def _kind(value: object) -> str:
    return "None" if value is None else f"a value of type {type(value).__name__}"


action = _ActionDecorator()
