"""What runs do arrives at an OTLP receiver under the names of the conventions, without secrets, and in nobody's way."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry import trace

from agentflow import END, ApplicationBuilder, Select, State, action, streaming_action
from agentflow.errors import MissingExtraError
from agentflow.parallel import MapStates
from agentflow.tracing import TracerFactory
from agentflow.tracking.otel import OpenTelemetryHook
from agentflow.usage import Usage, record
from tests.drivers import Driver
from tests.tracking.canaries import ENVIRONMENT, INPUTS, HttpError, leaked, leaking
from tests.tracking.otlp import Collector, attributes, tree

USED = Usage("gpt-4o-mini", "openai", input_tokens=10, output_tokens=5, cost=0.5, latency=0.25)


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    yield made
    made.close()


@action(reads=["number"], writes=["square"])
def square(state: State[Any]) -> State[Any]:
    record(USED)
    return state.update(square=state["number"] ** 2)


class Squares(MapStates):
    reads = ["numbers"]
    writes = ["squares"]

    def action(self) -> Any:
        return square

    def states(self, state: State[Any]) -> Any:
        for number in state["numbers"]:
            yield state.update(number=number)

    def reduce(self, state: State[Any], states: Any) -> State[Any]:
        return state.update(squares=[each["square"] for each in states])


@action(reads=[], writes=["said"])
def think(state: State[Any], __tracer: TracerFactory) -> State[Any]:
    with __tracer("look up") as span:
        span.log_attributes(words=3, tags=["a", "b"], nested={"a": [1]}, nothing=None)
        with __tracer("deeper"):
            trace.get_tracer("another library", tracer_provider=PROVIDER[0]).start_span("by another").end()
    return state.update(said="x")


PROVIDER: list[Any] = [None]


@streaming_action(reads=[], writes=["said"])
def say(state: State[Any]) -> Iterator[tuple[dict[str, Any], State[Any] | None]]:
    for word in ("a", "b", "c"):
        yield {"word": word}, None
    yield {"said": "abc"}, state.update(said="abc")


def choose(state: State[Any]) -> str:
    record(USED)
    return "squares"


def thinking(hook: OpenTelemetryHook) -> ApplicationBuilder:
    return (
        ApplicationBuilder()
        .with_actions(think, say, squares=Squares())
        .with_transitions(("think", ["squares", "say"], Select(choose)), ("squares", "say"), ("say", END))
        .with_entrypoint("think")
        .with_state(numbers=[1, 2], said="")
        .with_identifiers(app_id="a1", partition_key="ada")
        .with_hooks(hook)
    )


def test_everything_a_run_does_is_a_span_below_what_it_belongs_to(drive: Driver, collector: Collector) -> None:
    PROVIDER[0] = collector.provider
    app = drive.build(thinking(OpenTelemetryHook("tester", collector.provider)))
    drive.run(app, halt_after=["say"])

    found = tree(collector.spans())

    assert [
        ("by another", "step think"),
        ("chat gpt-4o-mini", "decide think"),
        ("chat gpt-4o-mini", "step square"),
        ("chat gpt-4o-mini", "step square"),
        ("decide squares", "invoke_agent tester"),
        ("decide think", "invoke_agent tester"),
        ("deeper", "look up"),
        ("invoke_agent tester", "step squares"),
        ("invoke_agent tester", "step squares"),
        ("invoke_agent tester", None),
        ("look up", "step think"),
        ("step say", "invoke_agent tester"),
        ("step square", "invoke_agent tester"),
        ("step square", "invoke_agent tester"),
        ("step squares", "invoke_agent tester"),
        ("step think", "invoke_agent tester"),
    ] == sorted(found, key=lambda pair: (pair[0], pair[1] or "~"))
    assert 1 == len({span.trace_id for span in collector.spans()})


def test_spans_carry_the_names_of_the_conventions(drive: Driver, collector: Collector) -> None:
    PROVIDER[0] = collector.provider
    drive.run(drive.build(thinking(OpenTelemetryHook("tester", collector.provider))), halt_after=["say"])
    spans = collector.spans()
    run = next(span for span in spans if span.name == "invoke_agent tester")
    call = next(span for span in spans if span.name == "chat gpt-4o-mini")
    decision = next(span for span in spans if span.name == "decide think")
    step = next(span for span in spans if span.name == "step say")
    own = next(span for span in spans if span.name == "look up")

    assert {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": "tester",
        "gen_ai.conversation.id": "a1",
        "agentflow.partition_key": "ada",
        "agentflow.method": "run" if drive.colour == "blocking" else "arun",
    } == attributes(run)
    assert {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.usage.input_tokens": 10,
        "gen_ai.usage.output_tokens": 5,
        "agentflow.attempts": 1,
        "agentflow.cost": 0.5,
    } == attributes(call)
    assert 3 == call.kind  # SPAN_KIND_CLIENT of the protocol
    assert abs((call.end_time_unix_nano - call.start_time_unix_nano) / 1e9 - 0.25) < 0.001
    assert ("think", "squares", ["say", "squares"]) == tuple(
        attributes(decision)[f"agentflow.decision.{name}"] for name in ("source", "target", "targets")
    )
    assert ("say", 2) == (attributes(step)["agentflow.action"], attributes(step)["agentflow.sequence_id"])
    assert {"words": 3, "tags": ["a", "b"], "nested": '{"a":[1]}', "nothing": "null"}.items() <= attributes(own).items()


def test_an_embedding_is_told_from_a_chat_and_a_provider_has_its_conventional_name(collector: Collector) -> None:
    @action(reads=[], writes=[])
    def embed(state: State[Any]) -> State[Any]:
        record(Usage("text-embedding-3-small", "azure", input_tokens=7))
        return state

    hook = OpenTelemetryHook("tester", collector.provider)
    ApplicationBuilder().with_actions(embed).with_entrypoint("embed").with_hooks(hook).build().step()
    call = next(span for span in collector.spans() if "text-embedding" in span.name)

    assert "embeddings text-embedding-3-small" == call.name
    assert "azure.ai.openai" == attributes(call)["gen_ai.provider.name"]


def test_a_stream_tells_when_its_first_item_came(drive: Driver, collector: Collector) -> None:
    hook = OpenTelemetryHook("tester", collector.provider)
    app = drive.build(ApplicationBuilder().with_actions(say).with_entrypoint("say").with_hooks(hook))
    drive.stream_result(app, halt_after=["say"])
    (step,) = [span for span in collector.spans() if span.name == "step say"]

    assert ["first item"] == [event.name for event in step.events]
    assert 3 == attributes(step)["agentflow.stream.items"]


def test_an_error_is_told_and_no_secret_is(
    drive: Driver, collector: Collector, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(*ENVIRONMENT)
    hook = OpenTelemetryHook("tester", collector.provider)
    with caplog.at_level(logging.DEBUG, "agentflow"), pytest.raises(HttpError):
        drive.run(drive.build(leaking().with_hooks(hook)), halt_after=["fail"], inputs=INPUTS)
    spans = collector.spans()
    failed = {span.name for span in spans if span.status.code == 2}

    assert {"step fail", "invoke_agent tester"} == failed
    assert "HttpError" == attributes(next(span for span in spans if span.name == "step fail"))["error.type"]
    assert [] == leaked(repr(spans))
    assert [] == leaked(caplog.text)
    assert (0, None) == (hook.dropped, hook.problem)


def test_a_receiver_that_is_broken_changes_nothing(
    drive: Driver, collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    collector.status = 400
    hook = OpenTelemetryHook("tester", collector.provider)
    app = drive.build(thinking(hook))
    with caplog.at_level(logging.CRITICAL):
        drive.run(app, halt_after=["say"])
        collector.provider.force_flush(5_000)

    assert (2, "abc") == (app.sequence_id, app.state["said"])
    assert collector.bodies


def test_a_hook_that_fails_inside_counts_it_and_changes_nothing(drive: Driver, collector: Collector) -> None:
    hook = OpenTelemetryHook("tester", collector.provider)

    class Broken:
        def start_span(self, *args: Any, **options: Any) -> Any:
            raise OSError("no disk")

    hook._tracer = Broken()  # type: ignore[assignment]
    app = drive.build(thinking(hook))
    drive.run(app, halt_after=["say"])

    assert 2 == app.sequence_id
    assert hook.dropped > 0
    assert "OSError: no disk" == hook.problem


def test_nothing_happens_without_an_sdk(drive: Driver) -> None:
    app = drive.build(thinking(OpenTelemetryHook()))
    drive.run(app, halt_after=["say"])

    assert 2 == app.sequence_id


def test_a_local_tracker_can_bring_it_along(tmp_path: Any) -> None:
    app = thinking(OpenTelemetryHook()).with_tracker("local", root=tmp_path, use_otel_tracing=True).build()
    hooks = app._machine.identity.hooks
    app.context.tracker.close()

    assert ["OpenTelemetryHook"] * 2 == [type(hook).__name__ for hook in hooks.cascading]


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry", None)

    with pytest.raises(MissingExtraError, match="'otel' extra"):
        OpenTelemetryHook()
