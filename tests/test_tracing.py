"""Spans inside an action: numbered by their step, nested, told to the hooks in both colours."""

from __future__ import annotations

from typing import Any

import pytest

from agentflow import ApplicationBuilder, State, action
from agentflow.context import ApplicationContext, Identity
from agentflow.errors import BuildError, RunError
from agentflow.hooks import HookSet
from agentflow.tracing import TracerFactory, current_tracer, trace
from tests.drivers import Driver


class Told:
    """Remembers what it was told, in words."""

    def __init__(self) -> None:
        self.spans: list[str] = []
        self.attributes: list[tuple[str, dict[str, Any]]] = []

    def pre_start_span(self, span: Any, span_dependencies: list[str], app_id: str) -> None:
        needs = f" needs {span_dependencies}" if span_dependencies else ""
        self.spans.append(f"+{app_id} {span.uid} {span.name}{needs}")

    def post_end_span(self, span: Any, action: str, action_sequence_id: int) -> None:
        self.spans.append(f"-{span.uid} {action} {action_sequence_id}")

    def do_log_attributes(self, attributes: dict[str, Any], span: Any, action: str) -> None:
        self.attributes.append((span.uid if span else action, attributes))


@trace
def embed(text: str) -> int:
    return len(text)


@trace
async def embed_later(text: str) -> int:
    return len(text)


def told_by(drive: Driver, made: Any, steps: int = 1) -> Told:
    told = Told()
    builder = ApplicationBuilder().with_actions(one=made).with_transitions(("one", "one")).with_entrypoint("one")
    app = drive.build(builder.with_hooks(told).with_identifiers("a"))
    for _ in range(steps):
        drive.step(app)
    return told


def test_spans_nest_and_are_numbered_by_step(drive: Driver) -> None:
    @action(reads=[], writes=[])
    def one(state: State, __tracer: TracerFactory) -> State:
        with __tracer("outer") as outer:
            outer.log_attribute("size", 1)
            with __tracer("inner", span_dependencies=["0:0"]):
                __tracer.log_attributes(deep=True)
            with __tracer("inner"):
                pass
        __tracer.log_attribute("on", "the step")
        return state

    told = told_by(drive, one, steps=2)
    assert [
        "+a 0:0 outer",
        "+a 0:0.0 inner needs ['0:0']",
        "-0:0.0 one 0",
        "+a 0:0.1 inner",
        "-0:0.1 one 0",
        "-0:0 one 0",
    ] == told.spans[:6]
    assert "+a 1:0 outer" == told.spans[6]
    assert [("0:0", {"size": 1}), ("0:0.0", {"deep": True}), ("one", {"on": "the step"})] == told.attributes[:3]


def test_traced_functions_and_tracers_of_one_step_share_its_numbers(drive: Driver) -> None:
    @action(reads=[], writes=[])
    def one(state: State, tracer: TracerFactory) -> State:
        embed("x")
        embed("y")
        with tracer("own"):
            embed("z")
        with current_tracer()("current"):
            pass
        return state

    told = told_by(drive, one)
    assert ["+a 0:0 embed", "+a 0:1 embed", "+a 0:2 own", "+a 0:2.0 embed", "+a 0:3 current"] == [
        line for line in told.spans if line.startswith("+")
    ]


def test_a_span_ends_when_its_work_fails(drive: Driver) -> None:
    @action(reads=[], writes=[])
    def one(state: State, __tracer: TracerFactory) -> State:
        with __tracer("work"):
            raise ValueError("no")

    told = Told()
    app = drive.build(ApplicationBuilder().with_actions(one).with_entrypoint("one").with_hooks(told))
    with pytest.raises(ValueError, match="no"):
        drive.step(app)
    assert 2 == len(told.spans)


def test_async_code_opens_spans_and_tells_async_hooks() -> None:
    heard: list[str] = []

    class Later:
        async def pre_start_span(self, span: Any) -> None:
            heard.append(span.uid)

        async def do_log_attributes(self, attributes: dict[str, Any], span: Any) -> None:
            heard.append(f"{span.uid if span else 'the step'} {attributes}")

    @action(reads=[], writes=["n"])
    async def one(state: State, __tracer: TracerFactory) -> State:
        await __tracer.alog_attribute("on", 0)
        async with __tracer("outer") as outer:
            await outer.alog_attribute("size", 1)
            await __tracer.alog_attributes(deep=True)
            return state.update(n=await embed_later("abc"))

    async def run() -> Any:
        app = ApplicationBuilder().with_actions(one).with_entrypoint("one").with_hooks(Later()).build()
        return await app.astep()

    import asyncio

    assert {"n": 3} == asyncio.run(run())[2]
    assert ["the step {'on': 0}", "0:0", "0:0 {'size': 1}", "0:0 {'deep': True}", "0:0.0"] == heard


def test_a_child_does_not_count_in_the_span_of_its_parent() -> None:
    told = Told()
    parent = ApplicationContext(Identity("parent", hooks=HookSet([told])), 0, "p")
    child = ApplicationContext(Identity("child", hooks=HookSet([told])), 0, "c")
    with parent, TracerFactory(parent)("outer"), child, TracerFactory(child)("own"):
        pass
    assert ["+parent 0:0 outer", "+child 0:0 own", "-0:0 c 0", "-0:0 p 0"] == told.spans


def test_outside_of_an_action_a_traced_function_is_just_called(drive: Driver) -> None:
    assert 2 == embed("xy")
    assert 2 == drive.wait(embed_later("xy")) if drive.colour == "async" else True
    assert ("embed", "embed_later") == (embed.__name__, embed_later.__name__)
    with pytest.raises(RunError, match="^there is no running action here to trace: call this from inside one.$"):
        current_tracer()


def test_a_generator_is_refused() -> None:
    with pytest.raises(BuildError) as caught:

        @trace
        def items() -> Any:
            yield 1

    assert "@trace on 'items': a generator has no one end, so open a span inside of it instead." == str(caught.value)
