"""A plain generator that waits holds up nobody in an async run, if it says that it blocks."""

from __future__ import annotations

import asyncio
import contextvars
import threading

from agentflow import Application, ApplicationBuilder, State, streaming_action

MARK: contextvars.ContextVar[str] = contextvars.ContextVar("MARK", default="unset")


def app_of(action: object) -> Application:
    return ApplicationBuilder().with_actions(action).with_entrypoint("tell").with_state(text="").build()


async def streamed(app: Application) -> list[str]:
    _, container = await app.astream_result(halt_after="tell")
    return [item["word"] async for item in container]


def test_other_tasks_go_on_while_it_waits_for_a_piece() -> None:
    may_go_on = threading.Event()

    @streaming_action(reads=[], writes=["text"], blocking=True)
    def tell(state: State):
        assert may_go_on.wait(10), "nobody else came to run"
        yield {"word": "one"}, None
        yield {}, state.update(text="one")

    async def both(stream: bool) -> None:
        app = app_of(tell)
        telling = asyncio.ensure_future(streamed(app) if stream else app.arun(halt_after="tell"))
        asyncio.get_running_loop().call_later(0.01, may_go_on.set)
        await telling
        assert "one" == app.state["text"]

    for stream in (True, False):
        may_go_on.clear()
        asyncio.run(both(stream))


def test_variables_of_its_context_last_from_piece_to_piece() -> None:
    @streaming_action(reads=[], writes=["text"], blocking=True)
    def tell(state: State):
        token = MARK.set("set")
        yield {"word": "one"}, None
        seen = MARK.get()
        MARK.reset(token)
        return {}, state.update(text=seen)

    app = app_of(tell)
    assert ["one"] == asyncio.run(streamed(app))
    assert "set" == app.state["text"]


def test_a_blocking_run_takes_its_pieces_where_it_stands() -> None:
    @streaming_action(reads=[], writes=["text"], blocking=True)
    def tell(state: State):
        yield {"word": threading.current_thread().name}, None
        yield {}, state.update(text="done")

    _, container = app_of(tell).stream_result(halt_after="tell")
    assert [threading.current_thread().name] == [item["word"] for item in container]


def test_a_cancelled_stream_waits_for_its_piece_and_closes_the_generator() -> None:
    begun, may_end, closed = threading.Event(), threading.Event(), []

    @streaming_action(reads=[], writes=["text"], blocking=True)
    def tell(state: State):
        try:
            begun.set()
            may_end.wait(10)
            yield {"word": "late"}, None
            yield {}, state.update(text="never")
        finally:
            closed.append(True)

    async def cancelled() -> Application:
        app = app_of(tell)
        telling = asyncio.ensure_future(streamed(app))
        await asyncio.to_thread(begun.wait, 10)
        telling.cancel()
        may_end.set()
        await asyncio.wait([telling])
        assert telling.cancelled()
        return app

    app = asyncio.run(cancelled())
    assert ([True], "", "cancelled") == (closed, app.state["text"], app.status)
