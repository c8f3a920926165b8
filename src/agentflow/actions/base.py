"""Action: a named step with declared `reads`, `writes` and `inputs`; what the engine asks of every one of them.

What must not live here: making an action of a function, streaming, or anything about transitions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from types import FunctionType
from typing import TYPE_CHECKING, Any, ClassVar, Self

from agentflow.errors import BuildError, ResultError, did_you_mean
from agentflow.facts import Fact
from agentflow.runtime import Runtime
from agentflow.signatures import Parameters, docstring, is_async, names, parameters_of, positional_count
from agentflow.state import Scope, State

if TYPE_CHECKING:
    from agentflow.retrying import RetryPolicy


class Options(Fact):
    """How an action is called.

    Attributes:
        retry: When to try again after an error; any tenacity-style policy.
        timeout: The longest one attempt may take, in seconds.
        blocking: In an async run, call it in a thread so that it cannot hold up the event loop.
        kind: What may be done about it after a crash: `PURE`, `IDEMPOTENT` or `AT_MOST_ONCE`.
        verify: Says what became of an action that may run at most once and was begun before.
    """

    retry: RetryPolicy | None = None
    timeout: float | None = None
    blocking: bool = False
    kind: str = "pure"
    verify: Callable[..., Any] | None = None


PLAIN = Options()
#: Kinds of actions: what may be repeated freely; what may be repeated under the same `context.idempotency_key`; and
#: what is never begun a second time.
PURE, IDEMPOTENT, AT_MOST_ONCE = KINDS = ("pure", "idempotent", "at_most_once")


class Contract(Fact):
    """Everything the engine asks of an action at each step, worked out once.

    Attributes:
        direct: Its function, where performing the action is nothing but calling that with the state and the inputs,
            and awaiting it if it is async: who does so himself has one coroutine less to make for each step.
    """

    action: Action
    name: str
    scope: Scope
    parameters: Parameters
    is_async: bool
    options: Options
    takes_nothing: bool
    direct: Callable[..., Any] | None


def make_options(
    retry: RetryPolicy | None,
    timeout: float | None,
    blocking: bool,
    kind: str = PURE,
    verify: Callable[..., Any] | None = None,
) -> Options:
    """The options of an action, checked.

    Raises:
        BuildError: The timeout is not positive, the retry policy is none that can be driven, the kind is unknown, or
            it does not go with the rest.
    """
    if kind not in KINDS:
        raise BuildError(f"kind={kind!r} is unknown: use {', '.join(map(repr, KINDS))}. {did_you_mean(kind, KINDS)}")
    if kind == AT_MOST_ONCE and retry is not None:
        raise BuildError("an action that may run at most once cannot have retry=: leave it out, or make it idempotent.")
    if verify is not None and kind != AT_MOST_ONCE:
        raise BuildError(f"verify= says what became of an action of kind 'at_most_once', and this one is {kind!r}.")
    if timeout is not None:
        check_timeout(timeout)
    lacking = [
        part for part in ("retry", "stop", "wait") if retry is not None and not callable(getattr(retry, part, 0))
    ]
    if lacking:
        raise BuildError(f"retry={retry!r} has no {lacking[0]}(state): pass a policy such as tenacity.Retrying(...).")
    if getattr(retry, "retry_error_callback", None) is not None:
        raise BuildError(
            "a retry_error_callback makes no state: handle the last error in the action, or where it is run."
        )
    plain = not (retry or timeout or blocking) and kind == PURE
    return PLAIN if plain else Options(retry, timeout, blocking, kind, verify)


def verify_problems(action: Action) -> Iterator[BuildError]:
    """What is wrong with calling the `verify` of an action that has one."""
    verify = action.options.verify
    if verify is None:
        return
    known = {*action.contract.parameters.names, *action._bound()}
    unknown = [name for name in parameters_of(verify, 1).required if name not in known]
    if positional_count(verify) == 0 or unknown:
        wrong = f"needs {unknown[0]!r}, which is no input of it" if unknown else "takes no state"
        yield BuildError(
            f"verify= of action '{action.name}' {wrong}: write `def verify(state)`, with inputs of the action after it."
        )


def check_timeout(given: Any) -> None:
    """Refuse what is no limit of time.

    Raises:
        BuildError: It is no positive number of seconds.
    """
    try:
        positive = bool(given > 0)
    except (TypeError, ValueError):
        positive = False
    if not positive:
        raise BuildError(f"timeout={given!r} is not a positive number of seconds: give one, or None for no limit.")


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
            if isinstance(declared, FunctionType):  # written as a method, with or without `self`
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
        return docstring(type(self).__doc__)

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
        renamed = self.__copy__()
        renamed._name, renamed._contract = name, None
        return renamed

    def get_source(self) -> str:
        """The source text of the action, or a sentence saying that there is none to be had."""
        import inspect  # only where sources are shown

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

    def own_inputs(self, state: State[Any]) -> Mapping[str, Any]:
        """The inputs it is called with besides those it is given: what was bound, or is taken from the state."""
        return {}

    def outcome_of(self, returned: Any) -> tuple[Any, State[Any]]:
        """The result and the state in what the function of an action returned."""
        if returned.__class__ is State:
            return {}, returned
        if isinstance(returned, tuple) and len(returned) == 2 and isinstance(returned[0], Mapping):
            return returned[0], self.checked_state(returned[1])
        return {}, self.checked_state(returned)

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
        return Contract(self, self.name, scope, parameters, is_async(entry), self.options, nothing, self._direct())

    def _direct(self) -> Callable[..., Any] | None:
        return None

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


def _declaration(declared: Callable[..., Any]) -> Callable[[Any], Any]:
    return declared if positional_count(declared) else lambda self: declared()


def _kind(value: object) -> str:
    return "None" if value is None else f"a value of type {type(value).__name__}"
