"""State: the immutable mapping, and the operations that make the next one.

What must not live here: saving, or what the engine makes of a state between steps (`changes.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, KeysView, Mapping
from typing import Any, Generic, TypeVar, cast

from agentflow.errors import MissingKeyError, StateError, did_you_mean
from agentflow.signatures import names
from agentflow.state.declared import Scope, TypingSystem, undeclared
from agentflow.state.log import Log

Data = TypeVar("Data")
Operations = (
    tuple[Any, str, Any] | None
)  # (the operations before, kind, payload): appending to it costs the same always
blank: Callable[..., Any] = object.__new__


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

    __slots__ = ("_operations", "_origin", "_scope", "_typing", "_values")
    _values: dict[str, Any]
    _operations: Operations
    _scope: Scope | None
    _typing: TypingSystem | None
    _origin: dict[str, Any] | None  # the values that were handed out as a view, in it and in all that is made of it

    def __init__(self, values: Mapping[str, Any] | None = None, typing_system: TypingSystem | None = None) -> None:
        self._values = dict(values or {})
        self._operations = None
        self._scope = None
        self._origin = None
        self._typing = typing_system
        if typing_system is not None:
            self._values.update(typing_system.validate(self._values))

    # -- reading

    def __getitem__(self, key: str) -> Any:
        scope = self._scope
        if scope is not None and key not in scope.reads and key not in written_keys(self):
            raise undeclared(scope, "reads", key)
        try:
            value = self._values[key]
        except KeyError:
            raise _missing(self, key) from None
        return value.items() if value.__class__ is Log else value

    def get(self, key: str, default: Any = None) -> Any:
        """The value of `key`, or `default` when it has none; an undeclared key is still an error."""
        try:
            return self[key]
        except MissingKeyError:
            return default

    def __contains__(self, key: object) -> bool:
        scope = self._scope
        if scope is not None and key not in scope.reads and key not in written_keys(self):
            raise undeclared(scope, "reads", str(key))
        return key in self._values

    def __iter__(self) -> Iterator[str]:
        if self._scope is None:
            return iter(self._values)
        readable = self._scope.reads | written_keys(self)
        return (key for key in self._values if key in readable)

    def __len__(self) -> int:
        return len(self._values) if self._scope is None else sum(1 for _ in self)

    def keys(self) -> KeysView[str]:
        """The keys that may be read here."""
        return self._values.keys() if self._scope is None else super().keys()

    def __repr__(self) -> str:
        return f"State({self.get_all()!r})"

    __hash__ = None  # type: ignore[assignment]  # equal by content, and contents may be mutable

    def __reduce__(self) -> tuple[Any, ...]:
        return State, (self.get_all(), self._typing)

    def get_all(self) -> dict[str, Any]:
        """Every key that may be read here, in a new dict."""
        if self._scope is not None:
            return {key: self[key] for key in self}
        return {key: value.items() if value.__class__ is Log else value for key, value in self._values.items()}

    @property
    def data(self) -> Data:
        """The typed object over this state.

        Raises:
            StateError: The application has no typing system, or required keys have no value yet.
            UndeclaredKeyError: Inside an action that does not declare to read every key; over some of them, use
                `@action.pydantic`.
        """
        if self._typing is None:
            raise StateError("this state has no declared type: add .with_typing(PydanticTypingSystem(YourModel)).")
        missing = sorted(self._typing.required_keys - self._values.keys())
        if missing:
            names = ", ".join(map(repr, missing))
            raise StateError(f"{self._typing.state_type.__name__} has no value for {names} yet: write them first.")
        return cast(Data, self._typing.construct_data({key: self[key] for key in self._values}))

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
            raise undeclared(scope, "writes", min(updates.keys() - scope.writes))
        new: State[Data] = blank(State)
        new._values = {**self._values, **updates}
        new._operations = (self._operations, "set", updates)
        new._scope = scope
        new._origin = self._origin
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
        grown = {key: _grown(self, key, more) for key, more in added.items()}
        if self._typing is None:
            return _derive(self, "append", added, grown)
        whole = dict(self._typing.validate({key: log.items() for key, log in grown.items()}))
        tails = {key: _tail(self._values.get(key), whole[key], len(more)) for key, more in added.items()}
        if None in tails.values():  # the declared type changed more than the end of a list
            return _derive(self, "set", whole, whole)
        return _derive(self, "append", tails, whole)

    def increment(self, /, **amounts: Any) -> State[Data]:
        """This state with the given amounts added; a missing number starts at 0."""
        return self.update(**{key: _sum(key, self._values.get(key, 0), amount) for key, amount in amounts.items()})

    def wipe(self, delete: Iterable[str] | None = None, keep: Iterable[str] | None = None) -> State[Data]:
        """This state without the keys of `delete`, or with nothing but the keys of `keep`.

        Raises:
            StateError: Both or neither of `delete` and `keep` are given.
        """
        if (delete is None) == (keep is None):
            raise StateError("wipe() takes either delete=[...] or keep=[...]: give one of them.")
        kept = names(keep or ())
        gone = names(delete) if delete is not None else tuple(key for key in self if key not in kept)
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


def written_keys(state: State[Any]) -> frozenset[str]:
    """The keys this state's own operations have written since it was handed out."""
    keys: set[str] = set()
    operations = state._operations
    while operations is not None:
        operations, _, payload = operations
        keys.update(payload)
    return frozenset(keys)


def _derive(state: State[Any], kind: str, payload: dict[str, Any], changes: dict[str, Any]) -> State[Any]:
    scope = state._scope
    if scope is not None and not scope.writes.issuperset(payload) and not scope.writes_anything:
        raise undeclared(scope, "writes", min(payload.keys() - scope.writes))
    new: State[Any] = blank(State)
    new._values = {**state._values, **changes}
    new._operations = (state._operations, kind, payload)
    new._scope = scope
    new._origin = state._origin
    new._typing = state._typing
    return new


def _grown(state: State[Any], key: str, items: list[Any]) -> Log:
    value = state._values.get(key)
    if value.__class__ is Log:
        return value.grown(items)
    if value is not None and not isinstance(value, list | tuple):
        kind = type(value).__name__
        raise StateError(f"state[{key!r}] is of type {kind}, and only a list can be appended to: start it as a list.")
    return Log([*(value or ()), *items], len(value or ()) + len(items))


def _tail(old: Any, new: Any, count: int) -> list[Any] | None:
    kept = old.items() if old.__class__ is Log else list(old or ())
    whole = isinstance(new, list) and len(new) == len(kept) + count and new[: len(kept)] == kept
    return new[len(kept) :] if whole else None


def _sum(key: str, value: Any, amount: Any) -> Any:
    try:
        return value + amount
    except TypeError:
        kind, other = "list" if value.__class__ is Log else type(value).__name__, type(amount).__name__
        raise StateError(
            f"state[{key!r}] is of type {kind}, and {other} cannot be added to it: start it as a number."
        ) from None


def _missing(state: State[Any], key: str) -> MissingKeyError:
    reader = f"{state._scope.owner} reads {key!r}, which" if state._scope else f"state key {key!r}"
    hint = did_you_mean(key, state._values)
    near = f" {hint}" if hint.startswith("Did") else ""
    remedy = f"give it a first one with .with_state({key}=...), or write it in an earlier action."
    return MissingKeyError(f"{reader} has no value: {remedy}{near}")
