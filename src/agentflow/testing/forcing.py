"""force_decision: make a choice go where a test wants it, without asking anybody.

It puts itself in front of `Choice.pick` for as long as it lasts, so the engine needs no place for it and pays nothing.
What must not live here: scripting a model (`scripted.py`), which tests the decider too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, overload

from agentflow.errors import DecideError, did_you_mean
from agentflow.runtime import new_lock
from agentflow.select.choice import Choice
from agentflow.select.selector import Decision
from agentflow.state import State

#: What `decided_by` says of a decision that was forced.
FORCED: Final = "forced"


@dataclass(slots=True)
class Forced:
    """A choice that is forced, and how often it has been."""

    source: str
    target: str
    times: int = 0

    def pick(self, choice: Choice) -> Decision:
        """The decision it makes of a choice.

        Raises:
            DecideError: The choice has no such target.
        """
        with _changing:  # several threads may leave the source at once
            self.times += 1
        if self.target in choice.names:
            why = f"force_decision({self.source!r}, {self.target!r})"
            return Decision(target=self.target, source=self.source, targets=choice.names, decided_by=FORCED, reason=why)
        raise DecideError(
            f"force_decision({self.source!r}, {self.target!r}) names no target of '{self.source}'. "
            f"{did_you_mean(self.target, choice.names)}",
            source=self.source,
            answer=self.target,
            targets=choice.names,
        )


@contextmanager
def force_decision(source: str, target: str) -> Iterator[Forced]:
    """Make every choice that leaves `source` go to `target` while this lasts.

    It holds in the whole process, like a mock: in every application, task and thread. The innermost one wins.
    Neither conditions nor deciders nor people are asked. The decision is recorded like any other, decided by "forced".
    A choice that has been made already, and is kept for the next step, stays as it is.

    Args:
        source: The action, or named choice, that is left.
        target: One of its targets; `END` if that is one.

    Yields:
        What was forced; its `times` says how often.

    Raises:
        AssertionError: Nothing was forced: `source` was not left, so the test shows nothing.
        DecideError: In the run, when `target` is no target of `source`.

    Example:
        >>> with force_decision("decide", "generate_image"):
        ...     action, result, state = app.run(halt_after=["generate_image"])
    """
    forced = Forced(source, target)
    _push(forced)
    try:
        yield forced
    finally:
        _pop(forced)
    if not forced.times:
        raise AssertionError(
            f"force_decision({source!r}, {target!r}) forced nothing: no choice that leaves {source!r} was made inside "
            "of it. Run the application inside, or take it away."
        )


_active: list[Forced] = []
_changing: Final = new_lock()
_SLOTS: Final[dict[str, Any]] = {name: vars(Choice)[name] for name in ("pick", "pure")}


class _Slot:
    """One of the slots of `Choice`, with another value for choices that are forced."""

    def __init__(self, name: str, value: Callable[[Choice, Forced], Any]) -> None:
        self.name = name
        self.value = value

    @overload
    def __get__(self, choice: None, owner: type[Choice]) -> _Slot: ...
    @overload
    def __get__(self, choice: Choice, owner: type[Choice]) -> Any: ...
    def __get__(self, choice: Choice | None, owner: type[Choice]) -> Any:
        if choice is None:
            return self
        forced = next((each for each in _active[::-1] if each.source == choice.edges.source), None)
        return _SLOTS[self.name].__get__(choice) if forced is None else self.value(choice, forced)

    def __set__(self, choice: Choice, value: Any) -> None:  # a graph that is built meanwhile
        _SLOTS[self.name].__set__(choice, value)


def _picker(choice: Choice, forced: Forced) -> Callable[[State[Any]], Decision]:
    return lambda state: forced.pick(choice)


_OURS: Final = {"pick": _Slot("pick", _picker), "pure": _Slot("pure", lambda choice, forced: True)}


def _push(forced: Forced) -> None:
    with _changing:
        if not _active:
            _put_in_place(_OURS)
        _active.append(forced)


def _pop(forced: Forced) -> None:
    with _changing:
        _active[:] = [each for each in _active if each is not forced]  # two that say the same are equal, not one
        if not _active:
            _put_in_place(_SLOTS)


def _put_in_place(slots: Mapping[str, Any]) -> None:
    for name, slot in slots.items():
        setattr(Choice, name, slot)
