"""The running verbs: halts, inputs, statuses, and what is defined where others leave it open."""

from __future__ import annotations

import asyncio
import threading
import warnings
from collections.abc import Iterator
from typing import Any

import pytest

from agentflow import (
    END,
    Application,
    ApplicationBuilder,
    ApplicationContext,
    State,
    Status,
    action,
    streaming_action,
    when,
)
from agentflow.actions import bind
from agentflow.errors import (
    ActionTimeoutError,
    BuildError,
    BusyError,
    InputError,
    ResultError,
    StepLimitError,
    UnknownNameError,
    UnusedInputWarning,
)
from agentflow.tracing import current_tracer, trace
from tests.drivers import Driver


@action(reads=["n"], writes=["n"], tags=["counts"])
def one(state: State, by: int = 1) -> tuple[dict[str, int], State]:
    return {"n": state["n"] + by}, state.increment(n=by)


@action(reads=["n"], writes=["n"])
def two(state: State) -> State:
    return state.increment(n=1)


@action(reads=[], writes=[], tags=["counts"])
def three(state: State) -> State:
    return state


def loop(**options: Any) -> Application:
    return (
        ApplicationBuilder()
        .with_actions(one, two, three)
        .with_transitions(("one", "two"), ("two", "three", when(n=100)), ("two", "one"), ("three", END))
        .with_entrypoint("one")
        .with_state(**{"n": 0, **options})
        .build()
    )


def test_a_bare_string_is_one_name(drive: Driver) -> None:
    app = loop()
    assert "two" == drive.run(app, halt_after="two")[0].name
    assert "halt_after 'two'" == app.halted_by


def test_what_halted_a_run_is_forgotten_when_the_next_one_begins(drive: Driver) -> None:
    app = loop(n=98)
    drive.run(app, halt_before="two")
    assert (Status.halted, "halt_before 'two'") == (app.status, app.halted_by)
    drive.run(app)
    assert (Status.finished, None) == (app.status, app.halted_by)


def test_a_tag_stands_for_its_actions(drive: Driver) -> None:
    app = loop()
    action_done, result, _ = drive.run(app, halt_after="@tag:counts")
    assert ("one", {"n": 1}) == (action_done.name, result)
    with pytest.raises(UnknownNameError, match="no action is tagged 'cuonts': tag one. Did you mean 'counts'"):
        drive.run(app, halt_after="@tag:cuonts")


def test_an_unknown_halt_is_named_before_anything_runs(drive: Driver) -> None:
    app = loop()
    with pytest.raises(ValueError, match="cannot halt at 'tow': no action has that name. Did you mean 'two'"):
        drive.run(app, halt_before=["tow"])
    assert app.sequence_id is None


def test_halting_before_keeps_the_next_action_unperformed(drive: Driver) -> None:
    app = loop()
    action_next, result, state = drive.run(app, halt_before=["two"])
    assert ("two", None, 1, "halt_before 'two'") == (action_next.name, result, state["n"], app.halted_by)
    assert "two" == drive.run(app, halt_before=["one"], halt_after=["two"])[0].name


def test_after_wins_over_before_so_that_no_result_is_lost(drive: Driver) -> None:
    action_done, result, _ = drive.run(loop(), halt_after=["one"], halt_before=["two"])
    assert ("one", {"n": 1}) == (action_done.name, result)


def test_a_condition_halts_after_the_step_that_makes_it_hold(drive: Driver) -> None:
    app = loop()
    drive.run(app, halt_when=when(n=5))
    assert (5, Status.halted) == (app.state["n"], app.status)
    drive.run(app, halt_when=lambda state: state["n"] >= 8)
    assert 8 == app.state["n"]
    with pytest.raises(BuildError, match="halt_when=5 is no condition"):
        drive.run(app, halt_when=5)


def test_at_least_one_step_is_performed(drive: Driver) -> None:
    app = loop()
    assert "one" == drive.run(app, halt_before=["one"], halt_after=["one"])[0].name


def test_with_nowhere_to_go_it_is_finished(drive: Driver) -> None:
    app = loop(n=98)
    assert ("three", Status.finished) == (drive.run(app)[0].name, app.status)
    assert (None, None) == drive.run(app)[:2]
    assert (None, False, None) == (drive.next_action(app), drive.has_next_action(app), drive.step(app))


def test_where_no_condition_holds_it_is_finished_and_says_so(drive: Driver) -> None:
    app = (
        ApplicationBuilder().with_actions(one).with_transitions(("one", "one", when(n=7))).with_entrypoint("one")
        .with_state(n=0).build()
    )  # fmt: skip
    drive.run(app)
    assert (Status.finished, "no match", END) == (app.status, app.decisions[-1].decided_by, app.decisions[-1].target)


def test_max_steps_is_an_error_after_which_it_can_go_on(drive: Driver) -> None:
    app = loop()
    with pytest.raises(StepLimitError, match=r"3 steps were performed \(max_steps\) and the run is not over"):
        drive.run(app, max_steps=3)
    assert (2, 3) == (app.sequence_id, app.state["n"])
    assert "two" == drive.step(app)[0].name


def test_inputs_are_offered_to_every_action_that_takes_them(drive: Driver) -> None:
    app = loop()
    drive.run(app, inputs={"by": 10}, max_steps=None, halt_when=lambda state: state["n"] > 11)
    assert 21 == app.state["n"]


def test_an_input_nobody_declares_is_refused_before_anything_runs(drive: Driver) -> None:
    app = loop()
    with pytest.raises(InputError, match="no action takes an input 'bye': remove it. Did you mean 'by'"):
        drive.run(app, inputs={"bye": 1})
    with pytest.raises(InputError, match="the input '__context' is reserved"):
        drive.run(app, inputs={"__context": 1})
    assert app.sequence_id is None


def test_an_input_nobody_took_is_a_warning(drive: Driver) -> None:
    app = loop()
    drive.step(app)
    with pytest.warns(UnusedInputWarning, match="no action that ran takes the input 'by'"):
        drive.run(app, inputs={"by": 1}, halt_after=["two"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drive.run(app, inputs={"by": 1}, halt_after=["one"])


def test_an_action_that_lets_an_iterator_end_fails_as_any_other(drive: Driver) -> None:
    heard: list[Any] = []

    class Watch:
        def post_run_step(self, *, exception: Any, **facts: Any) -> None:
            heard.append(exception)

    @action(reads=[], writes=[])
    def first(state: State) -> Any:
        return next(iter(()))

    app = ApplicationBuilder().with_actions(first).with_entrypoint("first").with_hooks(Watch()).build()
    with pytest.raises(RuntimeError, match="StopIteration") as caught:
        drive.step(app)
    assert ([caught.value], True) == (heard, "while running 'first'" in caught.value.__notes__[0])


def test_identifiers_and_sequence_ids(drive: Driver) -> None:
    builder = (
        ApplicationBuilder().with_actions(one).with_entrypoint("one").with_state(n=0)
        .with_identifiers(app_id="mine", partition_key="whose", sequence_id=5)
    )  # fmt: skip
    app = drive.build(builder)
    assert ("mine", "mine", "whose", 5) == (app.uid, app.app_id, app.partition_key, app.sequence_id)
    drive.step(app)
    assert 6 == app.sequence_id
    unnamed = ApplicationBuilder().with_actions(one).with_entrypoint("one").with_state(n=0)
    assert unnamed.build().app_id == unnamed.build().app_id


def test_changing_it_from_outside_is_seen(drive: Driver) -> None:
    heard: list[tuple[str, int]] = []

    class Watch:
        def post_update_state(self, *, method: str, state: State) -> None:
            heard.append((method, state["n"]))

    app = (
        ApplicationBuilder().with_actions(one, two).with_transitions(("one", "two")).with_entrypoint("one")
        .with_state(n=0).with_hooks(Watch()).build()
    )  # fmt: skip
    drive.step(app)
    app.update_state(app.state.update(n=50))
    app.reset_to_entrypoint()
    assert [("update_state", 50), ("reset_to_entrypoint", 50)] == heard
    assert ("one", 51, 1) == (drive.step(app)[0].name, app.state["n"], app.sequence_id)


def test_one_step_at_a_time(drive: Driver) -> None:
    caught: list[str] = []

    @action(reads=[], writes=[])
    def greedy(state: State, __context: Any) -> State:
        try:
            app.step()
        except BusyError as error:
            caught.append(str(error))
        caught.append(app.status)
        return state

    app = ApplicationBuilder().with_actions(greedy).with_entrypoint("greedy").with_identifiers(app_id="x").build()
    drive.run(app)
    assert "step: application 'x' is already running a step, or a stream of it is open" in caught[0]
    assert Status.running == caught[1]


def test_threads_that_share_one_application_lose_nothing() -> None:
    app = loop(n=1_000)
    done: list[int] = []
    start = threading.Barrier(8)

    def work() -> None:
        start.wait()
        count = 0
        while count < 20:
            try:
                app.step()
                count += 1
            except BusyError:
                continue
        done.append(count)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (160, 159, 1_160) == (sum(done), app.sequence_id, app.state["n"])


# -- streams


@streaming_action(reads=[], writes=["text"])
def speak(state: State, fail_at: int = 99, how: str = "") -> Iterator[Any]:
    for number in range(3):
        if number == fail_at:
            raise OSError("mid-stream")
        yield f"{number}", None
    if how == "returns":
        return {}, state.update(text="returned")
    if how == "forgets":
        return None
    if how == "wrong":
        yield "no piece"
    if how == "too short":
        yield {"a": 1}
    if how == "wrong state":
        yield {"a": 1, "b": 2}
    yield {"text": "whole"}, state.update(text="whole")


def speaker(*hooks: Any) -> Application:
    made = ApplicationBuilder().with_actions(speak).with_transitions(("speak", "speak")).with_entrypoint("speak")
    return made.with_hooks(*hooks).build()


class Listener:
    """A hook that hears each item."""

    def post_stream_item(self, **facts: Any) -> None:
        pass


def test_a_stream_gives_its_items_and_then_its_result(drive: Driver) -> None:
    action_done, items, result, state = drive.stream_result(speaker(), halt_after="speak")
    assert ("speak", ["0", "1", "2"], {"text": "whole"}, "whole") == (action_done.name, items, result, state["text"])
    assert "returned" == drive.stream_result(speaker(), halt_after="speak", inputs={"how": "returns"})[3]["text"]
    assert "whole" == drive.run(speaker(), halt_after="speak")[2]["text"]
    assert "returned" == drive.run(speaker(), halt_after="speak", inputs={"how": "returns"})[2]["text"]


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("forgets", r"streaming action 'speak' ended without a state: yield \(result, state\) last"),
        ("wrong", "streaming action 'speak' yielded something that is no piece"),
        ("wrong state", "streaming action 'speak' yielded something that is no piece"),
        ("too short", "streaming action 'speak' yielded something that is no piece"),
    ],
)
@pytest.mark.parametrize("hooks", [(), (Listener(),)], ids=["unheard", "heard"])
def test_a_stream_that_breaks_its_promise_is_told(drive: Driver, how: str, message: str, hooks: Any) -> None:
    app = speaker(*hooks)
    with pytest.raises(ResultError, match=message):
        drive.stream_result(app, halt_after="speak", inputs={"how": how})
    assert (Status.failed, None) == (app.status, app.sequence_id)
    with pytest.raises(ResultError, match=message):
        drive.run(app, halt_after="speak", inputs={"how": how})


def test_an_error_in_the_middle_comes_after_the_items_before_it() -> None:
    app = speaker()
    _, stream = app.stream_result("speak", inputs={"fail_at": 2})
    assert ["0", "1"] == [next(stream), next(stream)]
    with pytest.raises(OSError, match="mid-stream"):
        next(stream)
    with pytest.raises(OSError, match="mid-stream"):
        stream.get()
    assert (Status.failed, None) == (app.status, app.sequence_id)
    app.run(halt_after="speak")


def test_leaving_a_stream_early_cancels_its_step() -> None:
    app = speaker()
    for leave in ("close", "with", "break", "drop unread"):
        _, stream = app.stream_result("speak")
        with pytest.raises(BusyError):
            app.step()
        if leave == "close":
            next(stream)
            stream.close()
            with pytest.raises(BusyError, match="closed before its end"):
                stream.get()
        elif leave == "with":
            with stream:
                next(stream)
        elif leave == "break":
            for _ in stream:
                break
        del stream
        assert (Status.cancelled, None) == (app.status, app.sequence_id), leave
    assert "speak" == app.run(halt_after="speak")[0].name


def test_leaving_an_async_stream_early_cancels_its_step() -> None:
    async def main() -> None:
        app = speaker()
        _, stream = await app.astream_result("speak")
        async with stream:
            assert "0" == await anext(stream)
        assert (Status.cancelled, None) == (app.status, app.sequence_id)
        _, unread = await app.astream_result("speak")
        del unread
        assert Status.cancelled == app.status
        _, stream = await app.astream_result("speak")
        assert "whole" == (await stream.get())[1]["text"]

    asyncio.run(main())


def test_an_action_that_does_not_stream_is_a_stream_without_items(drive: Driver) -> None:
    action_done, items, result, state = drive.stream_result(loop(), halt_after="one")
    assert ("one", [], {"n": 1}, 1) == (action_done.name, items, result, state["n"])
    assert "two" == drive.stream_result(loop(), halt_after="three", halt_before="two")[0].name


# -- options


def test_a_failing_action_is_tried_again_as_its_policy_says(drive: Driver) -> None:
    import tenacity

    tries: list[int] = []
    policy = tenacity.Retrying if drive.colour == "blocking" else tenacity.AsyncRetrying

    @action(reads=[], writes=[], retry=policy(stop=tenacity.stop_after_attempt(3), wait=tenacity.wait_none()))
    def flaky(state: State, until: int) -> State:
        tries.append(1)
        if len(tries) < until:
            raise OSError("again")
        return state

    app = ApplicationBuilder().with_actions(flaky).with_entrypoint("flaky").build()
    with pytest.raises(OSError, match="again") as caught:
        drive.run(app, inputs={"until": 9})
    assert "given up after 3 attempts" in caught.value.__notes__
    tries.clear()
    drive.run(app, inputs={"until": 3})
    assert 3 == len(tries)


def test_a_slow_action_is_told_off(drive: Driver) -> None:
    gate = threading.Event()

    @action(reads=[], writes=[], timeout=0.02)
    def slow(state: State) -> State:
        gate.wait(0.2)
        return state

    @action(reads=[], writes=[], timeout=0.02)
    async def slow_async(state: State) -> State:
        await asyncio.Event().wait()
        return state

    made = [(slow, "its thread is abandoned"), (slow_async, "it was cancelled")]
    for each, fate in made[:1] if drive.colour == "blocking" else made:
        app = ApplicationBuilder().with_actions(slow=each).with_entrypoint("slow").build()
        with pytest.raises(ActionTimeoutError, match=f"action 'slow' gave no result after 0.02 seconds; {fate}. Raise"):
            drive.run(app)
        gate.set()  # lets go of the thread that was given up
        gate.clear()
        assert Status.timed_out == app.status


def test_a_blocking_action_runs_beside_the_event_loop() -> None:
    threads: list[Any] = []

    @action(reads=[], writes=[], blocking=True)
    def heavy(state: State) -> State:
        threads.append((threading.current_thread(), ApplicationContext.get().action_name))
        return state

    app = ApplicationBuilder().with_actions(heavy).with_entrypoint("heavy").build()
    asyncio.run(app.arun())
    app.reset_to_entrypoint()
    app.run()
    assert threads[0][0] is not threading.main_thread()
    assert threads[1][0] is threading.main_thread()
    assert ["heavy", "heavy"] == [name for _, name in threads]


@pytest.mark.parametrize(
    ("options", "message"),
    [({"timeout": 0}, "timeout=0 is not a positive number"), ({"retry": 3}, r"retry=3 has no retry\(state\)")],
)
def test_wrong_options_are_said_when_they_are_written(options: dict[str, Any], message: str) -> None:
    with pytest.raises(BuildError, match=message):
        action(reads=[], writes=[], **options)


# -- context and spans


def test_the_context_comes_by_name_by_annotation_and_from_within(drive: Driver) -> None:
    seen: list[Any] = []

    @action(reads=[], writes=[])
    def by_name(state: State, __context: Any) -> State:
        seen.append(__context)
        return state

    @action(reads=[], writes=[])
    def by_annotation(state: State, here: ApplicationContext) -> State:
        seen.append(here)
        return state

    app = (
        ApplicationBuilder().with_actions(by_name, by_annotation).with_transitions(("by_name", "by_annotation"))
        .with_entrypoint("by_name").with_identifiers(app_id="x", partition_key="p").build()
    )  # fmt: skip
    drive.run(app)
    assert [("x", "p", 0, "by_name"), ("x", "p", 1, "by_annotation")] == [
        (each.application_id, each.partition_key, each.sequence_id, each.action_name) for each in seen
    ]
    with app.context as here:
        assert here is ApplicationContext.get()
        assert "of application 'x'" in repr(here)
    assert ApplicationContext.get() is None


def test_spans_and_attributes_reach_the_hooks(drive: Driver) -> None:
    heard: list[Any] = []

    class Watch:
        def pre_start_span(self, *, span: Any) -> None:
            heard.append(("open", span.name, span.uid))

        def post_end_span(self, *, span: Any) -> None:
            heard.append(("close", span.name))

        def do_log_attributes(self, *, attributes: dict[str, Any], span: Any) -> None:
            heard.append((attributes, span.name if span else None))

    @trace
    def embed(text: str) -> int:
        current_tracer().log_attribute("length", len(text))
        return len(text)

    @action(reads=[], writes=[])
    def work(state: State, __tracer: Any) -> State:
        with __tracer("outer") as outer:
            outer.log_attribute("depth", 1)
            with __tracer("inner"):
                pass
        embed("abc")
        __tracer.log_attributes(done=True)
        return state

    app = ApplicationBuilder().with_actions(work).with_entrypoint("work").with_hooks(Watch()).build()
    drive.run(app)
    assert [
        ("open", "outer", "0:0"),
        ({"depth": 1}, "outer"),
        ("open", "inner", "0:0.0"),
        ("close", "inner"),
        ("close", "outer"),
        ("open", "embed", "0:1"),
        ({"length": 3}, "embed"),
        ("close", "embed"),
        ({"done": True}, None),
    ] == heard


# -- building


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda builder: builder.with_state_persister(object()), "takes a persister, such as SQLitePersister"),
        (lambda builder: builder.initialize_from(object()), "takes a persister, such as SQLitePersister"),
        (lambda builder: builder.with_state_persister("mysql://x"), "names no store"),
        (lambda builder: builder.with_tracker("remote").build(), "no tracker named 'remote'"),
    ],
)
def test_what_cannot_save_or_record_is_refused(call: Any, message: str) -> None:
    with pytest.raises(BuildError, match=message):
        call(ApplicationBuilder())


def test_wrong_parts_are_reported_with_the_rest() -> None:
    with pytest.raises(BuildError) as caught:
        (
            ApplicationBuilder()
            .with_graph("no graph")
            .with_state(5)
            .with_parallel_executor(len)
            .with_parallel_executor(len)
            .with_entrypoint("x")
            .build()
        )
    assert 4 == len(caught.value.problems)


def test_graphs_are_joined(drive: Driver) -> None:
    from agentflow import GraphBuilder

    first = GraphBuilder().with_actions(one, two).with_transitions(("one", "two")).build()
    second = GraphBuilder().with_actions(three).build()
    app = (
        ApplicationBuilder().with_graphs(first, second).with_transitions(("two", "three")).with_entrypoint("one")
        .with_state(n=0).build()
    )  # fmt: skip
    assert "three" == drive.run(app)[0].name
    assert repr(app).startswith(f"<application {app.app_id!r}, finished after step 2")
    assert "flowchart" in app._repr_mimebundle_()["text/vnd.mermaid"]
    assert app.builder is not None


def test_bind_is_a_function_too() -> None:
    assert {"by": 3} == bind(one, by=3).bound
    with pytest.raises(BuildError, match="bind\\(\\) takes an action made by @action"):
        bind(len, by=3)


def test_between_the_pieces_of_a_stream_the_reader_is_outside_of_the_step() -> None:
    seen: list[Any] = []

    @streaming_action(reads=[], writes=[])
    def talk(state: State) -> Iterator[Any]:
        for number in range(3):
            seen.append(ApplicationContext.get().action_name)
            yield number, None
        yield {}, state

    def outside() -> None:
        seen.append(ApplicationContext.get())

    app = ApplicationBuilder().with_actions(talk).with_entrypoint("talk").build()
    _, stream = app.stream_result("talk")
    for _ in stream:
        outside()
    assert ["talk", None] * 3 == seen

    async def main() -> None:
        app.reset_to_entrypoint()
        _, stream = await app.astream_result("talk")
        async for _ in stream:
            outside()
        outside()

    seen.clear()
    asyncio.run(main())
    assert [*["talk", None] * 3, None] == seen
