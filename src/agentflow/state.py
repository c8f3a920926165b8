"""State: an immutable mapping from key to value, and the operations that make the next one.

Every operation returns a new `State` and remembers what it changed, so that a step can be saved as a delta. An action
is handed a view with a `Scope`: the keys it declared to read and write, enforced where it reads and writes them.
What must not live here: saving, or anything about which action runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar, cast

from agentflow.errors import MissingKeyError, ResultError, StateError, UndeclaredKeyError, did_you_mean

Data = TypeVar("Data")


class TypingSystem(Protocol):
    """How plain values become typed ones; `agentflow.integrations.pydantic` has the one for pydantic models."""

    @property
    def state_type(self) -> type:
        """The type of `State.data`."""

    @property
    def required_keys(self) -> frozenset[str]:
        """Every key that `data` cannot be made without."""

    def defaults(self) -> Mapping[str, Any]:
        """The first values of the keys that have one."""

    def validate(self, updates: Mapping[str, Any]) -> Mapping[str, Any]:
        """The updates as the declared types want them, or `InvalidValueError` naming the key."""

    def construct_data(self, values: Mapping[str, Any]) -> Any:
        """The typed object over the whole state."""

    def construct_state(self, data: Any) -> Mapping[str, Any]:
        """The plain values of a typed object."""


class InheritedTyping:
    """A parent's typing for its children: its own keys are validated as ever, others are free."""

    def __init__(self, parent: TypingSystem) -> None:
        self._parent = parent
        self.state_type = parent.state_type
        self.required_keys = parent.required_keys

    def defaults(self) -> Mapping[str, Any]:
        return {}

    def validate(self, updates: Mapping[str, Any]) -> Mapping[str, Any]:
        known = self.required_keys | self._parent.defaults().keys()
        return {**updates, **self._parent.validate({key: value for key, value in updates.items() if key in known})}

    def construct_data(self, values: Mapping[str, Any]) -> Any:
        return self._parent.construct_data(values)

    def construct_state(self, data: Any) -> Mapping[str, Any]:
        return self._parent.construct_state(data)


@dataclass(frozen=True, slots=True)
class Scope:
    """What one reader of the state declared: `owner` is how a message names it, such as "action 'draft'".

    One that `writes_anything` makes the first state of a child.
    """

    owner: str
    reads: frozenset[str]
    writes: frozenset[str] = frozenset()
    writes_anything: bool = False


@dataclass(frozen=True, slots=True)
class StateDelta:
    """What a step changed: values set, items appended to lists, keys deleted."""

    set: Mapping[str, Any] = field(default_factory=dict)
    append: Mapping[str, list[Any]] = field(default_factory=dict)
    delete: frozenset[str] = frozenset()


class _Log:
    """A list that grows at its end without being copied: states that follow each other share one buffer.

    Only one state may grow a buffer; `_right` holds the one right to do so, and popping a list is atomic, so two
    threads that append to the same state cannot both have it. The other one copies.
    """

    __slots__ = ("_buffer", "_length", "_right")

    def __init__(self, buffer: list[Any], length: int) -> None:
        self._buffer, self._length, self._right = buffer, length, [True]

    def items(self) -> list[Any]:
        return self._buffer[: self._length]

    def grown(self, items: Iterable[Any]) -> _Log:
        try:
            self._right.pop()
            buffer = self._buffer
        except IndexError:
            buffer = self.items()
        buffer.extend(items)
        return _Log(buffer, len(buffer))


_blank = object.__new__
_Operations = tuple[Any, str, Any] | None  # (the operations before, kind, payload): appending to it costs the same always


class State(Mapping[str, Any], Generic[Data]):
    """An immutable mapping that actions read and update.

    Operations return a new state and leave this one alone. Treat the values you read as read-only: a list that was
    grown by `append` comes out as a fresh copy, other values as they are.

    Args:
        values: The first values.

    Raises:
        MissingKeyError: A key without a value is read.
        UndeclaredKeyError: Inside an action, a key is read or written that the action did not declare.

    Example:
        >>> state = State({"count": 1}).update(name="Ada").increment(count=2).append(log="hello")
        >>> state["count"], state["log"]
        (3, ['hello'])
    """

    __slots__ = ("_operations", "_scope", "_typing", "_values")
    _values: dict[str, Any]
    _operations: _Operations
    _scope: Scope | None
    _typing: TypingSystem | None

    def __init__(self, values: Mapping[str, Any] | None = None, typing_system: TypingSystem | None = None) -> None:
        self._values = dict(values or {})
        self._operations = None
        self._scope = None
        self._typing = typing_system
        if typing_system is not None:
            self._values.update(typing_system.validate(self._values))

    # -- reading

    def __getitem__(self, key: str) -> Any:
        scope = self._scope
        if scope is not None and key not in scope.reads and key not in written_keys(self):
            raise _undeclared(scope, "reads", key)
        try:
            value = self._values[key]
        except KeyError:
            raise _missing(self, key) from None
        return value.items() if value.__class__ is _Log else value

    def get(self, key: str, default: Any = None) -> Any:
        """The value of `key`, or `default` when it has none; an undeclared key is still an error."""
        try:
            return self[key]
        except MissingKeyError:
            return default

    def __contains__(self, key: object) -> bool:
        scope = self._scope
        if scope is not None and key not in scope.reads and key not in written_keys(self):
            raise _undeclared(scope, "reads", str(key))
        return key in self._values

    def __iter__(self) -> Iterator[str]:
        if self._scope is None:
            return iter(self._values)
        readable = self._scope.reads | written_keys(self)
        return (key for key in self._values if key in readable)

    def __len__(self) -> int:
        return len(self._values) if self._scope is None else sum(1 for _ in self)

    def __repr__(self) -> str:
        return f"State({self.get_all()!r})"

    __hash__ = None  # type: ignore[assignment]  # equal by content, and contents may be mutable

    def __reduce__(self) -> tuple[Any, ...]:
        return State, (self.get_all(), self._typing)

    def get_all(self) -> dict[str, Any]:
        """Every key that may be read here, in a new dict."""
        return {key: self[key] for key in self}

    @property
    def data(self) -> Data:
        """The typed object over this state.

        Raises:
            StateError: The application has no typing system, or required keys have no value yet.
        """
        if self._typing is None:
            raise StateError("this state has no declared type: add .with_typing(PydanticTypingSystem(YourModel)).")
        missing = sorted(self._typing.required_keys - self._values.keys())
        if missing:
            names = ", ".join(map(repr, missing))
            raise StateError(f"{self._typing.state_type.__name__} has no value for {names} yet: write them first.")
        return cast(Data, self._typing.construct_data(State(self._values).get_all()))

    @property
    def typing_system(self) -> TypingSystem | None:
        """What validates the writes of this state, if anything does."""
        return self._typing

    # -- the next state

    def update(self, /, **updates: Any) -> State[Data]:
        """This state with the given values set."""
        if self._typing is not None:
            updates = dict(self._typing.validate(updates))
        scope = self._scope  # as `_derive` does, without the call: this is what every step does
        if scope is not None and not scope.writes.issuperset(updates) and not scope.writes_anything:
            raise _undeclared(scope, "writes", min(updates.keys() - scope.writes))
        new: State[Data] = _blank(State)
        new._values = {**self._values, **updates}
        new._operations = (self._operations, "set", updates)
        new._scope = scope
        new._typing = self._typing
        return new

    def append(self, /, **items: Any) -> State[Data]:
        """This state with one item added to the end of each given list; a missing list starts empty.

        The cost does not depend on the length of the list.
        """
        return self.extend(**{key: (item,) for key, item in items.items()})

    def extend(self, /, **items: Iterable[Any]) -> State[Data]:
        """This state with all given items added to the end of each given list; a missing list starts empty."""
        added = {key: list(more) for key, more in items.items()}
        if self._typing is None:
            return _derive(self, "append", added, {key: _grown(self, key, more) for key, more in added.items()})
        whole = {key: _grown(self, key, more).items() for key, more in added.items()}
        return _derive(self, "append", added, dict(self._typing.validate(whole)))

    def increment(self, /, **amounts: Any) -> State[Data]:
        """This state with the given amounts added; a missing number starts at 0."""
        return self.update(**{key: self._values.get(key, 0) + amount for key, amount in amounts.items()})

    def wipe(self, delete: Iterable[str] | None = None, keep: Iterable[str] | None = None) -> State[Data]:
        """This state without the keys of `delete`, or with nothing but the keys of `keep`.

        Raises:
            StateError: Both or neither of `delete` and `keep` are given.
        """
        if (delete is None) == (keep is None):
            raise StateError("wipe() takes either delete=[...] or keep=[...]: give one of them.")
        kept = frozenset(keep or ())
        gone = frozenset(delete) if delete is not None else frozenset(key for key in self if key not in kept)
        changed: State[Data] = _derive(self, "delete", dict.fromkeys(gone), {})
        for key in gone:
            changed._values.pop(key, None)
        return changed

    def merge(self, other: Mapping[str, Any]) -> State[Data]:
        """This state with every value of `other` set."""
        return self.update(**dict(other))

    def subset(self, *keys: str, ignore_missing: bool = True) -> State[Data]:
        """A state of the given keys only; a key without a value is left out, or an error if not `ignore_missing`."""
        return State({key: self[key] for key in keys if not ignore_missing or key in self})

    def with_typing_system(self, typing_system: TypingSystem) -> State[Data]:
        """This state with its values checked, now and at every write, by `typing_system`."""
        return State(self.get_all(), typing_system)


# -- what the engine does with a state


def view(state: State[Any], scope: Scope) -> State[Any]:
    """The state as the reader with this scope may see it; what it changes is remembered from here on."""
    new: State[Any] = _blank(State)
    new._values, new._operations, new._scope, new._typing = state._values, None, scope, state._typing
    return new


def child_view(state: State[Any], scope: Scope) -> State[Any]:
    """The same for the maker of children's first states, which may hold keys that the parent's type has not."""
    new = view(state, scope)
    if new._typing is not None and not isinstance(new._typing, InheritedTyping):
        new._typing = InheritedTyping(new._typing)
    return new


def settle(returned: State[Any], given: State[Any], base: State[Any]) -> State[Any]:
    """The state after an action that was given `given`, a view of `base`, and returned `returned`.

    The new state still knows its operations, so that `delta` of it is what the step changed.

    A state that was made from the given one counts whole. A state from elsewhere (a fresh `State(...)`, a child's
    state) contributes the declared writes and nothing else.

    Raises:
        ResultError: A declared write has no value in it.
    """
    scope: Scope = given._scope  # type: ignore[assignment]  # a view always has one
    if not scope.writes <= returned._values.keys() and not scope.writes <= returned._values.keys() | _deleted(returned):
        missing = ", ".join(map(repr, sorted(scope.writes - returned._values.keys())))
        raise ResultError(f"{scope.owner} returned a state without {missing}, which it declares to write: update it.")
    if returned._scope is scope:
        returned._scope = None  # made for this step, and from now on the state of the application
        return returned
    return without_history(base).update(**{key: returned._values[key] for key in scope.writes})


def without_history(state: State[Any]) -> State[Any]:
    """The same values with no scope and no memory of how they came about."""
    new: State[Any] = _blank(State)
    new._values, new._operations, new._scope, new._typing = state._values, None, None, state._typing
    return new


def written_keys(state: State[Any]) -> frozenset[str]:
    """The keys this state's own operations have written since it was handed out."""
    keys: set[str] = set()
    operations = state._operations
    while operations is not None:
        operations, _, payload = operations
        keys.update(payload)
    return frozenset(keys)


def delta(state: State[Any]) -> StateDelta:
    """What the operations on this state changed, folded into one."""
    steps: list[tuple[str, Mapping[str, Any]]] = []
    operations = state._operations
    while operations is not None:
        operations, kind, payload = operations
        steps.append((kind, payload))
    fresh: dict[str, Any] = {}
    appended: dict[str, list[Any]] = {}
    deleted: set[str] = set()
    for kind, payload in reversed(steps):
        for key, value in payload.items():
            if kind == "append" and key not in fresh and key not in deleted:
                appended.setdefault(key, []).extend(value)
                continue
            appended.pop(key, None)
            deleted.discard(key)
            if kind == "delete":
                fresh.pop(key, None)
                deleted.add(key)
            else:
                fresh[key] = value if kind == "set" else [*fresh.get(key, ()), *value]
    return StateDelta(fresh, appended, frozenset(deleted))


def _derive(state: State[Any], kind: str, payload: dict[str, Any], changes: dict[str, Any]) -> State[Any]:
    scope = state._scope
    if scope is not None and not scope.writes.issuperset(payload) and not scope.writes_anything:
        raise _undeclared(scope, "writes", min(payload.keys() - scope.writes))
    new: State[Any] = _blank(State)
    new._values = {**state._values, **changes}
    new._operations = (state._operations, kind, payload)
    new._scope = scope
    new._typing = state._typing
    return new


def _grown(state: State[Any], key: str, items: list[Any]) -> _Log:
    value = state._values.get(key)
    if value.__class__ is _Log:
        return value.grown(items)
    if value is not None and not isinstance(value, list | tuple):
        kind = type(value).__name__
        raise StateError(f"state[{key!r}] is of type {kind}, and only a list can be appended to: start it as a list.")
    return _Log([*(value or ()), *items], len(value or ()) + len(items))


def _deleted(state: State[Any]) -> frozenset[str]:
    return delta(state).delete


def _undeclared(scope: Scope, verb: str, key: str) -> UndeclaredKeyError:
    declared = scope.reads if verb == "reads" else scope.writes
    near = did_you_mean(key, declared) if declared else ""
    hint = f" {near}" if near.startswith("Did") else ""
    return UndeclaredKeyError(f"{scope.owner} {verb} {key!r} without declaring it: add {key!r} to its {verb}.{hint}")


def _missing(state: State[Any], key: str) -> MissingKeyError:
    reader = f"{state._scope.owner} reads {key!r}, which" if state._scope else f"state key {key!r}"
    hint = did_you_mean(key, state._values)
    near = f" {hint}" if hint.startswith("Did") else ""
    return MissingKeyError(
        f"{reader} has no value: give it a first one with .with_state({key}=...), or write it in an earlier action.{near}"
    )
