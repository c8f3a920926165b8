"""What the engine does with a state around a step: hand out a view, take back what was made of it, tell what changed.

What must not live here: saving what changed.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping, Set
from typing import Any, Final, Literal

from agentflow.errors import ResultError
from agentflow.facts import Fact
from agentflow.state.declared import InheritedTyping, Scope, TypingSystem, undeclared
from agentflow.state.log import Log
from agentflow.state.mapping import State, blank, written_keys

NOTHING: Final[frozenset[str]] = frozenset()


class StateDelta(Fact):
    """What a step changed: values set, items appended to lists, keys deleted."""

    set: Mapping[str, Any] = {}
    append: Mapping[str, list[Any]] = {}
    delete: frozenset[str] = frozenset()


def over(values: dict[str, Any]) -> State[Any]:
    """A state of these values without a copy of them: nobody may change the dict from here on."""
    new: State[Any] = blank(State)
    new._values = values
    new._operations = None
    new._scope = None
    new._origin = None
    new._typing = None
    return new


def view(state: State[Any], scope: Scope) -> State[Any]:
    """The state as the reader with this scope may see it; what it changes is remembered from here on."""
    new: State[Any] = blank(State)
    new._values = state._values
    new._operations = None
    new._scope = scope
    new._origin = state._values
    new._typing = state._typing
    return new


def child_view(state: State[Any], owner: str, reads: frozenset[str]) -> State[Any]:
    """The same for the maker of children's first states, which may hold keys that the parent's type has not."""
    hidden = frozenset(state._values.keys() - reads)  # here once, and not for each child
    new = view(state, Scope(owner, reads, writes_anything=True, hidden=hidden))
    if new._typing is not None and not isinstance(new._typing, InheritedTyping):
        new._typing = InheritedTyping(new._typing)
    return new


def independent(state: State[Any], typing: TypingSystem | Literal["cascade"] | None = "cascade") -> State[Any]:
    """The values that may be read in this state as a state of their own, for a child to start from.

    Args:
        state: Where its maker has come to.
        typing: What validates the child's writes: "cascade" for what validates those of the state.
    """
    if typing == "cascade":
        typing = state._typing
    if typing is not None:
        return State(state.get_all(), typing)
    values, scope = state._values, state._scope
    if scope is not None and scope.hidden != NOTHING:
        hidden = (values.keys() - scope.reads if scope.hidden is None else scope.hidden) - written_keys(state)
        values = {key: value for key, value in values.items() if key not in hidden}
    if Log in map(type, values.values()):
        values = _plain(values)
    new: State[Any] = blank(State)  # as `over` does, without the call: many children start at once
    new._values = values
    new._operations = None
    new._scope = None
    new._origin = None
    new._typing = None
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
    values = returned._values
    for key in scope.writes:
        if key not in values and key not in _deleted(returned):
            raise _unwritten(scope, values.keys() | _deleted(returned))
    if returned._origin is base._values and returned._scope is scope:
        returned._scope = returned._origin = None  # made for this step, and from now on the state of the application
        return returned
    return _written_over(base, returned, scope.writes)


def settle_told(told: State[Any], scope: Scope, base: State[Any]) -> State[Any]:
    """The same, where somebody tells the state that an action led to: what it did not declare has to be as it was.

    Raises:
        UndeclaredKeyError: Another key than those of its writes has been changed.
        ResultError: A declared write has no value in it.
    """
    before = base._values
    others = {key: value for key, value in difference(base, told).set.items() if key not in scope.writes}
    changed = {key for key, value in others.items() if key not in before or base[key] != value}
    changed |= (_deleted(told) & before.keys()) - scope.writes
    if changed:
        raise undeclared(scope, "writes", min(changed))
    return settle(told, view(base, scope), base)


def _unwritten(scope: Scope, known: Set[str]) -> ResultError:
    missing = ", ".join(map(repr, sorted(scope.writes - known)))
    return ResultError(f"{scope.owner} returned a state without {missing}, which it declares to write: update it.")


def _written_over(base: State[Any], returned: State[Any], keys: frozenset[str]) -> State[Any]:
    written = {key: value for key, value in returned._values.items() if key in keys}
    changed = without_history(base).update(**_plain(written))
    gone = keys - returned._values.keys()
    return changed.wipe(delete=gone) if gone else changed


def without_history(state: State[Any]) -> State[Any]:
    """The same values with no scope and no memory of how they came about."""
    new: State[Any] = blank(State)
    new._values = state._values
    new._operations = None
    new._scope = None
    new._origin = None
    new._typing = state._typing
    return new


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


def _deleted(state: State[Any]) -> frozenset[str]:
    return delta(state).delete


def stored_values(state: State[Any]) -> Mapping[str, Any]:
    """The values as they are kept: a list that has been appended to is a `Log`."""
    return state._values


def difference(old: State[Any], new: State[Any]) -> StateDelta:
    """What makes the values of one state those of another, however it came about."""
    before, after = old._values, new._values
    changed = {key: value for key, value in after.items() if key not in before or before[key] is not value}
    return StateDelta(_plain(changed), {}, frozenset(before.keys() - after.keys()))


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values with a list for each `Log`: the right to grow it stays where it is."""
    return {key: value.items() if value.__class__ is Log else value for key, value in values.items()}


def compacted(change: StateDelta, base: State[Any]) -> StateDelta:
    """The same change of `base`, with a list that was set to its old items and more told as what was appended.

    Items count as the old ones when they are the same objects, so nobody's `__eq__` is called.
    """
    grown: dict[str, list[Any]] = {}
    for key, value in change.set.items():
        tail = _added(base._values.get(key), value) if value.__class__ is list else None
        if tail is not None:
            grown[key] = tail
    if not grown:
        return change
    rest = {key: value for key, value in change.set.items() if key not in grown}
    return StateDelta(rest, {**change.append, **grown}, change.delete)


def _added(old: Any, new: list[Any]) -> list[Any] | None:
    """What a list has after the items of an older one, None when it does not begin with all of them."""
    before = old.items() if old.__class__ is Log else old
    if before.__class__ is not list or not before or len(before) > len(new):
        return None
    return new[len(before) :] if all(map(operator.is_, before, new)) else None
