"""ApplicationContext: what an action may know of its run, and where it can be had."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from agentflow import ApplicationBuilder, ApplicationContext, State, action, get_active_context, get_active_tracker
from agentflow.budget import CURRENT_METER
from agentflow.context import Identity
from agentflow.hooks import NO_HOOKS
from agentflow.usage import Usage
from tests.drivers import Driver


class Tracker:
    def post_run_step(self) -> None:
        """Records nothing."""


def facts(context: ApplicationContext | None) -> Any:
    assert context is not None
    return (
        context.app_id,
        context.application_id,
        context.partition_key,
        context.sequence_id,
        context.action_name,
        context.tracker,
        context.parallel_executor_factory,
    )


def test_an_action_and_what_it_calls_know_the_same(drive: Driver) -> None:
    seen: list[Any] = []
    tracker = Tracker()

    @action(reads=[], writes=[])
    def one(state: State, __context: ApplicationContext) -> State:
        assert __context is ApplicationContext.get() is get_active_context()
        assert get_active_tracker() is tracker
        seen.append(facts(__context))
        return state

    builder = ApplicationBuilder().with_actions(one).with_transitions(("one", "one")).with_entrypoint("one")
    app = drive.build(builder.with_identifiers("a", "p").with_tracker(tracker).with_parallel_executor(str))
    drive.step(app)
    drive.step(app)
    assert [("a", "a", "p", number, "one", tracker, str) for number in (0, 1)] == seen
    assert (None, None) == (ApplicationContext.get(), get_active_tracker())


def test_it_makes_itself_the_running_step_and_undoes_it() -> None:
    outer, inner = (ApplicationContext(Identity(name), 3, "act") for name in ("outer", "inner"))
    found: list[Any] = []
    with outer:
        with inner, inner:
            found.append(ApplicationContext.get())
        found.append(ApplicationContext.get())
        thread = threading.Thread(target=lambda: found.append(ApplicationContext.get()))
        thread.start()
        thread.join()
    found.append(ApplicationContext.get())
    assert [inner, outer, None, None] == found
    assert "<context of step 3 (act) of application 'outer'>" == repr(outer)


def test_without_anything_there_is_nothing() -> None:
    context = ApplicationContext(Identity("a"), None, None)
    assert ("a", "a", None, None, None, None, None) == facts(context)
    assert (NO_HOOKS, {}, ()) == (context.hooks, context.finished, context.usages)


def test_usage_is_kept_and_metered_once() -> None:
    class Meter:
        def __init__(self) -> None:
            self.counted: list[Usage] = []

        def count(self, usage: Usage) -> None:
            self.counted.append(usage)

    meter: Any = Meter()
    token = CURRENT_METER.set(meter)
    try:
        context = ApplicationContext(Identity("a"), 0, "one")
        own, of_child = Usage(input_tokens=1), Usage(input_tokens=2)
        context.record_usage(own)
        context.include_usage(of_child)
        context.include_usage(Usage(attempts=0))
    finally:
        CURRENT_METER.reset(token)
    assert ((own, of_child), [own]) == (context.usages, meter.counted)
    context.record_usage(own)
    assert 3 == len(context.usages)


def test_threads_of_one_step_lose_no_usage() -> None:
    context = ApplicationContext(Identity("a"), 1, "one")
    with ThreadPoolExecutor(8) as threads:
        for done in [threads.submit(record_many, context, 500) for _ in range(8)]:
            done.result()
    assert (4_000, 4_000) == (len(context.usages), len(context.calls))


def record_many(context: ApplicationContext, times: int) -> None:
    for _ in range(times):
        context.record_usage(Usage(input_tokens=1))
