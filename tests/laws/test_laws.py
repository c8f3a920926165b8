"""The laws of docs/architecture.md, each held in both colours from one body."""

from __future__ import annotations

import ast
import asyncio
import inspect
import random
import textwrap
import threading
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentflow import (
    END,
    Action,
    Application,
    ApplicationBuilder,
    Decision,
    GraphBuilder,
    Select,
    State,
    Status,
    action,
    expr,
    switch,
    when,
)
from agentflow.errors import (
    AsyncCodeError,
    BuildError,
    BusyError,
    ConflictError,
    DecideError,
    InputError,
    MissingKeyError,
    ResultError,
    SerializationError,
    UndeclaredKeyError,
)
from agentflow.persistence import Persister, SQLitePersister
from tests.drivers import Driver


@action(reads=[], writes=["mode"])
def start(state: State, mode: str = "b") -> State:
    """Begin."""
    return state.update(mode=mode)


@action(reads=[], writes=[])
def a(state: State) -> State:
    """A."""
    return state


@action(reads=[], writes=[])
def b(state: State) -> State:
    """B."""
    return state


def choosing(selector: Any, targets: Any = ("a", "b"), *more: Any) -> ApplicationBuilder:
    return (
        ApplicationBuilder()
        .with_actions(start, a, b)
        .with_transitions(("start", targets, selector), ("a", "start"), ("b", "start"), *more)
        .with_entrypoint("start")
    )


class Counted:
    """A selector's function that counts how often it is asked."""

    def __init__(self, answer: Any = "b") -> None:
        self.calls = 0
        self.answer = answer

    def __call__(self, state: State) -> Any:
        self.calls += 1
        return self.answer


# -- law 1


def test_law_1_one_evaluation_however_many_people_ask(drive: Driver) -> None:
    pick = Counted()
    app = choosing(Select(pick)).build()
    drive.run(app, halt_before=["a", "b"])
    for _ in range(5):
        assert "b" == drive.next_action(app).name
    assert drive.has_next_action(app)
    assert 1 == pick.calls
    action_done, _, _ = drive.run(app, halt_after=["b"])
    assert ("b", 1) == (action_done.name, pick.calls)


def test_law_1_a_run_that_halts_after_an_action_pays_for_no_choice(drive: Driver) -> None:
    pick = Counted()
    app = choosing(Select(pick)).build()
    drive.run(app, halt_after=["start"], halt_before=["b"])
    assert 0 == pick.calls


def test_law_1_update_state_drops_what_was_chosen_in_the_old_one(drive: Driver) -> None:
    pick = Counted()
    app = choosing(Select(pick)).build()
    drive.step(app)
    drive.next_action(app)
    pick.answer = "a"
    app.update_state(app.state.update(mode="other"))
    assert ("a", 2) == (drive.next_action(app).name, pick.calls)


def test_law_1_a_choice_that_fails_is_asked_again_and_nothing_moves(drive: Driver) -> None:
    class Flaky(Counted):
        def __call__(self, state: State) -> Any:
            if super().__call__(state) and self.calls == 1:
                raise OSError("once")
            return "b"

    pick = Flaky()
    app = choosing(Select(pick)).build()
    drive.step(app)
    with pytest.raises(OSError, match="once") as caught:
        drive.step(app)
    assert f"while choosing what follows 'start' in application {app.app_id!r}" in caught.value.__notes__
    assert (0, "start") == (app.sequence_id, app._machine.prior)
    assert "b" == drive.step(app)[0].name


def test_law_1_half_a_chain_of_choices_is_kept(drive: Driver) -> None:
    first, second = Counted("second"), Counted("b")
    app = (
        ApplicationBuilder()
        .with_actions(start, a, b)
        .with_transitions(
            ("start", "first"), ("first", ["second", "a"], Select(first)), ("second", ["a", "b"], Select(second))
        )
        .with_entrypoint("start")
        .build()
    )
    drive.step(app)
    second.answer = "nobody"
    with pytest.raises(DecideError):
        drive.step(app)
    second.answer = "b"
    assert "b" == drive.step(app)[0].name
    assert (1, 2) == (first.calls, second.calls)


def test_law_1_many_threads_that_ask_get_one_answer_or_are_told_to_wait() -> None:
    pick = Counted()
    gate = threading.Barrier(8)
    app = choosing(Select(pick)).build()
    app.step()
    answers: list[str] = []

    def ask() -> None:
        gate.wait()
        try:
            answers.append(app.get_next_action().name)
        except BusyError:
            answers.append("busy")

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 1 == pick.calls
    assert {"b"} == set(answers) - {"busy"}


# -- law 2


def test_law_2_a_decision_is_data(drive: Driver) -> None:
    seen: list[Decision] = []

    class Watch:
        def post_decide(self, *, decision: Decision) -> None:
            seen.append(decision)

    made = Decision(target="b", reason="it fits", confidence=0.75, tokens=12, cost=0.5, raw="b!")
    app = choosing(Select(lambda state: made, name="mine")).with_hooks(Watch()).build()
    drive.run(app, halt_after=["b"])
    (kept,) = app.decisions
    assert ("start", ("a", "b"), "b", "mine", "it fits", 0.75, "b!", 12, 0.5, 1) == (
        kept.source, kept.targets, kept.target, kept.decided_by, kept.reason, kept.confidence, kept.raw, kept.tokens,
        kept.cost, kept.sequence_id,
    )  # fmt: skip
    assert [kept] == seen
    assert kept == app.why(1)
    assert app.why(0) is None
    assert "'start' -> 'b', decided by mine (confidence 0.75): it fits" == str(kept)


def test_law_2_only_the_last_thousand_are_kept_in_memory(drive: Driver) -> None:
    app = (
        ApplicationBuilder().with_actions(a).with_transitions(("a", "a", when(n=0)), ("a", END)).with_state(n=0)
        .with_entrypoint("a").build()
    )  # fmt: skip
    drive.run(app, halt_when=lambda state: app.sequence_id == 1_100)
    assert 1_000 == len(app.decisions)
    assert 1_100 == app.decisions[-1].sequence_id


# -- law 3


@pytest.mark.parametrize("answer", ["c", "", "B", 7, object(), {"next_action": "c"}, ["b"]])
def test_law_3_only_declared_targets(drive: Driver, answer: Any) -> None:
    app = choosing(Select(Counted(answer), name="mine")).build()
    drive.step(app)
    with pytest.raises(DecideError, match="mine leaving 'start' chose no declared target") as caught:
        drive.step(app)
    assert ("start", ("a", "b")) == (caught.value.source, caught.value.targets)
    assert 0 == app.sequence_id


def test_law_3_or_the_declared_fallback(drive: Driver) -> None:
    app = choosing(Select(Counted("c"), fallback=a)).build()
    drive.step(app)
    assert "a" == drive.step(app)[0].name
    assert (True, "fallback: it answered 'c'") == (app.why(1).fallback, app.why(1).reason)


# -- law 4


@given(order=st.permutations([("start", "a"), ("start", "b", when(mode="b")), ("a", END), ("b", END)]))
@settings(max_examples=24, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_law_4_a_default_is_tried_last_wherever_it_is_written(drive: Driver, order: list[Any]) -> None:
    app = ApplicationBuilder().with_actions(b, a, start).with_transitions(*order).with_entrypoint("start").build()
    action_done, _, _ = drive.run(app)
    assert "b" == action_done.name


def test_law_4_the_targets_of_a_select_are_a_set(drive: Driver) -> None:
    def shown(state: State, targets: Any) -> str:
        seen.append([target.name for target in targets])
        return "b"

    seen: list[list[str]] = []
    for targets in (["a", "b", END], [END, "b", "a"], {"b", END, "a"}):
        app = choosing(Select(shown), targets).build()
        drive.run(app, halt_after=["b"])
    assert [["__end__", "a", "b"]] * 3 == seen


# -- law 5


def test_law_5_declared_is_enforced(drive: Driver) -> None:
    @action(reads=["one"], writes=["two"])
    def careless(state: State, what: str) -> State:
        if what == "read":
            return state.update(two=state["three"])
        if what == "ask":
            return state.update(two="three" in state)
        if what == "write":
            return state.update(three=1)
        return state if what == "forget" else state.append(two=state["one"]).update(two=0)

    builder = ApplicationBuilder().with_actions(careless).with_entrypoint("careless").with_state(one=1, three=3)
    for what, error, message in [
        ("read", UndeclaredKeyError, "action 'careless' reads 'three' without declaring it: add 'three' to its reads."),
        ("ask", UndeclaredKeyError, "action 'careless' reads 'three' without declaring it: add 'three' to its reads."),
        (
            "write",
            UndeclaredKeyError,
            "action 'careless' writes 'three' without declaring it: add 'three' to its writes",
        ),
        ("forget", ResultError, "action 'careless' returned a state without 'two', which it declares to write"),
    ]:
        app = builder.build()
        with pytest.raises(error) as caught:
            drive.step(app, inputs={"what": what})
        assert message in str(caught.value)
        assert {"one": 1, "three": 3} == dict(app.state)
    assert 0 == drive.step(builder.build(), inputs={"what": "nothing"})[2]["two"]


# -- law 6


def failing(how: str) -> Action:
    @action(reads=["count"], writes=["count"])
    def step(state: State, fail: bool = False) -> Any:
        if not fail:
            return state.update(count=state["count"] + 1)
        if how == "raises":
            raise OSError("no luck")
        if how == "is cancelled":
            raise asyncio.CancelledError
        if how == "is interrupted":
            raise KeyboardInterrupt
        return state.update(other=1) if how == "writes wrong" else "no state"

    return step


@pytest.mark.parametrize(
    ("how", "error", "status"),
    [
        ("raises", OSError, Status.failed),
        ("is cancelled", asyncio.CancelledError, Status.cancelled),
        ("is interrupted", KeyboardInterrupt, Status.cancelled),
        ("writes wrong", UndeclaredKeyError, Status.failed),
        ("returns wrong", ResultError, Status.failed),
    ],
)
def test_law_6_a_step_is_atomic(drive: Driver, how: str, error: type[BaseException], status: Status) -> None:
    app = (
        ApplicationBuilder()
        .with_actions(step=failing(how), after=a)
        .with_transitions(("step", "after"))
        .with_entrypoint("step")
        .with_state(count=0)
        .build()
    )
    with pytest.raises(error) as caught:
        drive.run(app, inputs={"fail": True})
    assert f"while running 'step' (step 0 of application {app.app_id!r})" in caught.value.__notes__
    assert ({"count": 0}, None, status, caught.value) == (dict(app.state), app.sequence_id, app.status, app.failure)
    action_done, _, state = drive.step(app)
    assert ("step", 1, 0, Status.ready, None) == (
        action_done.name, state["count"], app.sequence_id, app.status, app.failure,
    )  # fmt: skip


def test_law_6_a_missing_input_moves_nothing(drive: Driver) -> None:
    @action(reads=[], writes=["said"])
    def listen(state: State, said: str) -> State:
        return state.update(said=said)

    app = ApplicationBuilder().with_actions(listen).with_entrypoint("listen").build()
    with pytest.raises(InputError, match="action 'listen' needs the input 'said': pass inputs={'said': ...}"):
        drive.step(app)
    assert app.sequence_id is None
    assert "hi" == drive.step(app, inputs={"said": "hi"})[2]["said"]


# -- law 8


TWINS = ["step", "run", "iterate", "stream_result", "stream_iterate", "get_next_action", "has_next_action"]

# -- law 7


def saved_chain(store: Persister, ran: list[str], fail: bool = False) -> ApplicationBuilder:
    @action(reads=[], writes=["n"])
    def first(state: State) -> State:
        ran.append("first")
        return state.update(n=1)

    @action(reads=["n"], writes=["n"])
    def second(state: State) -> State:
        ran.append("second")
        if fail:
            raise OSError("out of luck")
        return state.update(n=2)

    made = ApplicationBuilder().with_actions(first, second).with_transitions(("first", "second"))
    made.with_state_persister(store).initialize_from(store, default_entrypoint="first")
    return made.with_identifiers(app_id="one")


def test_law_7_a_committed_step_is_never_run_twice_and_never_lost(drive: Driver, tmp_path: Path) -> None:
    ran: list[str] = []
    with pytest.raises(OSError, match="out of luck"):
        drive.run(drive.build(saved_chain(SQLitePersister(tmp_path / "a.db"), ran, fail=True)))
    app = drive.build(saved_chain(SQLitePersister(tmp_path / "a.db"), ran))
    drive.run(app)
    assert (["first", "second", "second"], 2, 1) == (ran, app.state["n"], app.sequence_id)


def test_law_7_of_two_writers_one_wins_and_the_other_is_told_before_its_action(drive: Driver, tmp_path: Path) -> None:
    ran: list[str] = []
    store = SQLitePersister(tmp_path / "a.db")
    drive.step(drive.build(saved_chain(store, ran)))
    one, other = drive.build(saved_chain(store, ran)), drive.build(saved_chain(store, ran))
    drive.step(one)
    with pytest.raises(ConflictError):
        drive.step(other)
    assert (["first", "second"], 1, 0) == (ran, one.sequence_id, other.sequence_id)


@pytest.mark.parametrize("verb", TWINS)
def test_law_8_one_engine_two_colours(verb: str) -> None:
    """A verb and its twin name the same engine functions, and the twin has the same parameters."""

    def engine_names(name: str) -> set[str]:
        tree = ast.parse(textwrap.dedent(inspect.getsource(getattr(Application, name))))
        engine = {"single", "step", "to_end", "stream_to_end", "peek"}
        return {node.attr if isinstance(node, ast.Attribute) else node.id for node in ast.walk(tree)
                if isinstance(node, ast.Attribute | ast.Name)} & engine  # fmt: skip

    assert engine_names(verb) == engine_names(f"a{verb}")
    plain, twin = (list(inspect.signature(getattr(Application, name)).parameters) for name in (verb, f"a{verb}"))
    assert plain == twin


def test_law_8_a_blocking_application_runs_inside_a_running_loop() -> None:
    async def main() -> Any:
        return choosing(switch("mode")).build().run(halt_after=["b"])

    assert "b" == asyncio.run(main())[0].name


def test_law_8_async_code_in_a_blocking_run_is_named() -> None:
    @action(reads=[], writes=[])
    async def wait(state: State) -> State:
        return state

    app = ApplicationBuilder().with_actions(wait).with_entrypoint("wait").build()
    with pytest.raises(AsyncCodeError, match="'.*wait' is async: use the async verb"):
        app.run()
    assert "wait" == asyncio.run(app.arun())[0].name


# -- law 9


def test_law_9_everything_that_is_wrong_is_said_at_once() -> None:
    @action(reads=["nowhere"], writes=[])
    def lost(state: State) -> State:
        return state

    with pytest.raises(BuildError) as caught:
        (
            ApplicationBuilder()
            .with_actions(start, a, a.with_name("b"), b, lambda state: state)
            .with_transitions(
                ("start", "bb"), ("strat", "a"), ("a", "b"), ("a", "start"), ("b", ["a", "start"]), "wrong",
                ("b", "a", when(mode=1)), ("b", "start", when(mode=1)), ("b", "a", expr("mode == 2")),
            )
            .build()
        )  # fmt: skip
    assert {
        "'<lambda>' is a plain function: decorate it with @action(reads=[...], writes=[...]).",
        "'wrong' is no transition: write (source, target) or (source, target, condition).",
        "2 actions are named 'b': give each its own with .with_name(...).",
        "transition source 'strat' is neither an action nor the target of anything. Did you mean 'start'?",
        "transition 'start' -> 'bb' names an action that was not added. Did you mean 'b'?",
        "'a' has 2 defaults, to 'b', 'start': keep one, or put a condition on the others.",
        "'b' -> ['a', 'start'] has several targets and nothing to choose by: "
        "add switch(...), Select(...) or an LLMDecider().",
        "'b' -> 'start' can never be taken: mode == 1 already leads to 'a'. Remove one of the two.",
        "there is no entrypoint: say where to start with .with_entrypoint(name).",
    } <= {str(problem) for problem in caught.value.problems}
    assert "this application has" in str(caught.value)


def test_law_9_reads_before_writes_and_actions_nobody_reaches() -> None:
    @action(reads=["nowhere"], writes=[])
    def lost(state: State) -> State:
        return state

    builder = (
        ApplicationBuilder().with_actions(start, lost, a).with_transitions(("start", "lost")).with_entrypoint("start")
    )
    with pytest.raises(BuildError) as caught:
        builder.build()
    assert [
        "action 'lost' reads 'nowhere' before anything can have written it: "
        "give it a first value with .with_state(nowhere=...).",
        "action 'a' cannot be reached from 'start': add a transition to it or leave it out.",
    ] == [str(problem) for problem in caught.value.problems]


# -- law 12

# -- law 11


def test_law_11_values_come_back_as_they_went_in(drive: Driver, tmp_path: Path) -> None:
    values = {
        "tuple": (1, ("two", {3})),
        "when": datetime(2026, 2, 3, 4, 5, tzinfo=UTC),
        "bytes": b"\x00\xff",
        "price": Decimal("1.10"),
        "id": UUID(int=7),
        "numbers": {1: "a", "1": "b"},
        "tag": {"__agentflow__": "no tag", "__burr_serde__": "pydantic"},
    }

    @action(reads=[], writes=sorted(values))
    def fill(state: State) -> State:
        return state.update(**values)

    made = ApplicationBuilder().with_actions(fill).with_entrypoint("fill").with_identifiers(app_id="one")
    drive.run(drive.build(made.with_state_persister(SQLitePersister(tmp_path / "a.db"))))
    loaded = SQLitePersister(tmp_path / "a.db").load(None, "one")
    assert loaded is not None
    assert values == loaded["state"].get_all()
    assert [type(value) for value in values.values()] == [type(loaded["state"][key]) for key in values]


def test_law_11_what_cannot_be_saved_is_refused_before_anything_is_written(drive: Driver, tmp_path: Path) -> None:
    @action(reads=[], writes=["lock"])
    def fill(state: State) -> State:
        return state.update(lock={"inside": threading.Lock()})

    made = ApplicationBuilder().with_actions(fill).with_entrypoint("fill").with_identifiers(app_id="one")
    app = drive.build(made.with_state_persister(SQLitePersister(tmp_path / "a.db")))
    with pytest.raises(SerializationError, match=r"state\['lock'\]\['inside'\] is a .*lock"):
        drive.run(app)
    assert [-1] == [step.sequence_id for step in SQLitePersister(tmp_path / "a.db").history("one")]


def test_law_12_appending_does_not_copy_what_is_there() -> None:
    first = State({"log": []})
    grown = first
    for number in range(3_000):
        grown = grown.append(log=number)
    assert (list(range(3_000)), []) == (grown["log"], first["log"])
    assert grown._values["log"]._buffer is grown.append(log=1)._values["log"]._buffer


@given(seed=st.integers(0, 10_000))
@settings(max_examples=30)
def test_law_12_two_branches_of_one_log_do_not_see_each_other(seed: int) -> None:
    chance = random.Random(seed)
    states, expected = [State({"log": [0]})], [[0]]
    for number in range(20):
        index = chance.randrange(len(states))
        states.append(states[index].append(log=number))
        expected.append([*expected[index], number])
    assert expected == [state["log"] for state in states]


def test_a_graph_that_was_built_before_is_shared(drive: Driver) -> None:
    graph = GraphBuilder().with_actions(start, a, b).with_transitions(("start", ["a", "b"], switch("mode"))).build()
    for mode in ("a", "b"):
        app = ApplicationBuilder().with_graph(graph).with_entrypoint("start").build()
        assert mode == drive.run(app, inputs={"mode": mode})[0].name
        assert graph is app.graph


def test_a_missing_key_in_a_condition_is_typed(drive: Driver) -> None:
    app = choosing(switch("mode")).build()
    with pytest.raises(MissingKeyError, match="state key 'nothing' has no value"):
        drive.run(app, halt_when=when(nothing=1))
