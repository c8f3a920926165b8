"""Whatever several objects do to saved applications, in any order and colour, every store does what a model does.

The model is dictionaries: what each application was after each step. `AGENTFLOW_FUZZ=10000` tries that many examples
for each store.
"""

from __future__ import annotations

import asyncio
import os
from copy import deepcopy
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as some
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from agentflow import Application, ApplicationBuilder, State, action
from agentflow.errors import ConflictError
from agentflow.persistence import Persister
from tests.drivers import AsyncDriver, BlockingDriver, Driver
from tests.effort import tries

FUZZ = settings(
    max_examples=tries(4, thorough=15),
    stateful_step_count=30,
    deadline=None,
    report_multiple_bugs=False,
    derandomize="AGENTFLOW_FUZZ" not in os.environ,
    database=None,
    suppress_health_check=list(HealthCheck),
)
START: dict[str, Any] = {"n": 0, "log": [], "value": ""}
AFTER = {"work": "rest", "rest": "work", None: "work"}
LARGE = 70_000  # characters that are stored apart

NAMES = some.sampled_from(["a", "b", "c"])
WORDS = some.text(max_size=3)
WHATS = some.tuples(some.sampled_from(["append", "set", "large", "nothing"]), WORDS)
DRIVERS = some.sampled_from([BlockingDriver(), AsyncDriver()])
POLICIES = some.sampled_from(["raise", "raise", "wait", "takeover"])
_partitions = count()


def changed(values: dict[str, Any], what: tuple[str, str]) -> dict[str, Any]:
    """What a step makes of the state, in plain Python."""
    kind, word = what
    values = deepcopy(values) | {"n": values["n"] + 1}
    if kind == "append":
        values["log"] = [*values["log"], word]
    elif kind != "nothing":
        values["value"] = word if kind == "set" else word + "x" * LARGE
    return values


def work(state: State, what: tuple[str, str], error: BaseException | None = None) -> State:
    """The same with the state's own operations."""
    kind, word = what
    state = state.update(n=state["n"] + 1)
    if error is not None:
        raise error
    if kind == "append":
        return state.append(log=word)
    return state if kind == "nothing" else state.update(value=word if kind == "set" else word + "x" * LARGE)


work_action = action(reads=["n", "log", "value"], writes=["n", "log", "value"])(work)


@dataclass
class Saved:
    """What a store should hold of an application."""

    states: dict[int, dict[str, Any]]  # after each step
    actions: dict[int, str | None]
    current: dict[str, Any]  # after what was changed from outside, too

    @property
    def head(self) -> int:
        return max(self.states)

    def commit(self, what: tuple[str, str]) -> None:
        self.actions[self.head + 1] = self.next
        self.states[self.head + 1] = self.current = changed(self.current, what)

    @property
    def next(self) -> str:
        return AFTER[self.actions[self.head]]


@dataclass
class Handle:
    """An application object, and which step it knows."""

    app: Application[Any]
    name: str
    policy: str
    known: int | None  # None: that there is none
    drive: Driver = field(repr=False)


class SavedApplications(RuleBasedStateMachine):
    """The rules; see above."""

    persister: Persister
    handles: Bundle[Handle] = Bundle("handles")

    def __init__(self) -> None:
        super().__init__()
        self.partition = f"example {next(_partitions)}"
        self.model: dict[str, Saved] = {}

    # -- what may happen

    @rule(target=handles, name=NAMES, policy=POLICIES, drive=DRIVERS)
    def build(self, name: str, policy: str, drive: Driver) -> Handle:
        """Make another object for an application, which may be saved or not."""
        builder = (
            ApplicationBuilder()
            .with_actions(work=work_action, rest=work_action)
            .with_transitions(("work", "rest"), ("rest", "work"))
            .with_state_persister(self.persister, on_conflict=policy)
            .initialize_from(self.persister, default_state=START, default_entrypoint="work")
            .with_identifiers(app_id=name, partition_key=self.partition)
        )
        saved = self.model.get(name)
        handle = Handle(drive.build(builder), name, policy, None if saved is None else saved.head, drive)
        if saved is not None:
            self.see(handle)
        return handle

    @rule(handle=handles, what=WHATS)
    def step(self, handle: Handle, what: tuple[str, str]) -> None:
        """Perform a step, if nobody has moved the application on."""
        if self.may_claim(handle):
            done = handle.drive.step(handle.app, inputs={"what": what})
            assert self.model[handle.name].next == done[0].name
            self.model[handle.name].commit(what)
            self.see(handle)
        else:
            self.refused(handle, lambda: handle.drive.step(handle.app, inputs={"what": what}))

    @rule(handle=handles, what=WHATS, error=some.sampled_from([OSError, KeyboardInterrupt]))
    def fail(self, handle: Handle, what: tuple[str, str], error: type[BaseException]) -> None:
        """Begin a step that comes to nothing."""
        if error is KeyboardInterrupt and isinstance(handle.drive, AsyncDriver):
            error = asyncio.CancelledError  # an interrupt ends an event loop in ways of its own
        if self.may_claim(handle):
            with pytest.raises(error):
                handle.drive.step(handle.app, inputs={"what": what, "error": error("on purpose")})
            self.see(handle)

    @rule(handle=handles, word=WORDS)
    def change(self, handle: Handle, word: str) -> None:
        """Replace the state from outside."""
        state = handle.app.state
        new = state.update(extra=word) if "extra" not in state else state.wipe(delete=["extra"])
        if self.may_claim(handle):
            handle.drive.do(handle.app, "update_state", new)
            self.model[handle.name].current = deepcopy(new.get_all())
            self.see(handle)
        else:
            self.refused(handle, lambda: handle.drive.do(handle.app, "update_state", new))

    @rule(handle=handles)
    def refresh(self, handle: Handle) -> None:
        """Take the newest state."""
        if handle.name in self.model:
            handle.drive.do(handle.app, "refresh")
            self.see(handle)
        else:
            self.refused(handle, lambda: handle.drive.do(handle.app, "refresh"))

    @rule(source=NAMES, name=NAMES, back=some.integers(-1, 3) | some.none())
    def fork(self, source: str, name: str, back: int | None) -> None:
        """Make an application out of a step of another."""
        found = self.model.get(source)
        at = None if found is None or back is None else found.head - back
        options = {"partition_key": self.partition, "sequence_id": at}
        if found is None or name in self.model or not (at is None or at in found.states):
            with pytest.raises(ConflictError):
                self.persister.fork(source, name, **options)  # type: ignore[arg-type]
            return
        self.persister.fork(source, name, **options)  # type: ignore[arg-type]
        at = found.head if at is None else at
        current = deepcopy(found.current if at == found.head else found.states[at])
        self.model[name] = Saved({at: current}, {at: found.actions[at]}, current)

    @precondition(lambda self: self.model)
    @rule(name=NAMES)
    def delete(self, name: str) -> None:
        """Delete an application; its forks stay."""
        assert (name in self.model) == self.persister.delete(name, self.partition)
        self.model.pop(name, None)

    @rule(name=NAMES, keep=some.integers(1, 3))
    def prune(self, name: str, keep: int) -> None:
        """Delete the oldest steps; everybody's state stays."""
        saved = self.model.get(name)
        doomed = [] if saved is None else [step for step in saved.states if step < saved.head - keep]
        assert len(doomed) == self.persister.prune(name, self.partition, keep)
        for step in doomed:
            assert saved is not None
            del saved.states[step], saved.actions[step]

    # -- what has to hold

    @invariant()
    def every_head_is_as_in_the_model(self) -> None:
        found = {head.app_id: head.sequence_id for head in self.persister.applications(self.partition)}
        assert {name: saved.head for name, saved in self.model.items()} == found
        for name, saved in self.model.items():
            self.loads(name, None, saved.current, saved.actions[saved.head])

    def teardown(self) -> None:
        for name, saved in self.model.items():
            history = self.persister.history(name, self.partition)
            assert sorted(saved.states) == [record.sequence_id for record in history]
            assert [None] * len(history) == [record.problem for record in history]
            for step, values in saved.states.items():
                if step != saved.head:
                    self.loads(name, step, values, saved.actions[step])
        for name in list(self.model):
            self.persister.delete(name, self.partition)
        assert [] == self.persister.list_app_ids(self.partition)

    def loads(self, name: str, step: int | None, expected: dict[str, Any], position: str | None) -> None:
        found = self.persister.load(self.partition, name, step)
        assert found is not None
        assert (expected, position) == (found["state"].get_all(), found["position"])

    # -- what an object knows

    def may_claim(self, handle: Handle) -> bool:
        """Whether its step will be granted; then the application is in the store."""
        saved = self.model.get(handle.name)
        if saved is None:
            if handle.known is None:
                self.model[handle.name] = Saved({-1: deepcopy(START)}, {-1: None}, deepcopy(START))
                return True
            return False
        return handle.policy != "raise" or handle.known == saved.head

    def refused(self, handle: Handle, call: Any) -> None:
        before = handle.app.state.get_all(), handle.app.sequence_id
        with pytest.raises(ConflictError):
            call()
        assert before == (handle.app.state.get_all(), handle.app.sequence_id)

    def see(self, handle: Handle) -> None:
        """It has just been in the store."""
        saved = self.model[handle.name]
        handle.known = saved.head
        known = None if saved.head < 0 else saved.head
        assert (saved.current, known) == (handle.app.state.get_all(), handle.app.sequence_id)
        assert saved.next == handle.drive.next_action(handle.app).name


def test_a_store_does_what_the_model_does(persister: Persister) -> None:
    class Tested(SavedApplications):
        pass

    Tested.persister = persister
    run_state_machine_as_test(Tested, settings=FUZZ)
