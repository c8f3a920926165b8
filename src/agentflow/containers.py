"""What a reader of a stream holds: the items as they come, then the result.

The loop over the pieces is the one thing each colour has for itself, because a piece must cost little more than the
bare generator; how a step ends is the engine's and written once (`OpenStep`). What must not live here: how a step
begins and ends.
"""

from __future__ import annotations

import contextvars
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from typing import Any, Protocol

from agentflow.actions import Action
from agentflow.errors import BusyError, ResultError
from agentflow.runtime import CURRENT_STEP, Alternating, current_step, refuse_async, run_blocking
from agentflow.state import State
from agentflow.streaming import Outcome, Piece, Pieces, awaited, check_final, check_piece, piece_rule


class OpenStep(Protocol):
    """A step that has begun and ends when its stream does; `inside` is where the action's own code runs."""

    action: Action
    context: Any
    pieces: Pieces
    observed: bool
    inside: contextvars.Context

    async def show(self, item: Any) -> None:
        """Tell the hooks of one item; called only when `observed`."""

    async def complete(self, result: Any, state: State[Any]) -> Outcome:
        """End the step well."""

    async def fail(self, error: BaseException) -> None:
        """End the step as failed, or as cancelled when its reader went away."""

    def abandon(self) -> None:
        """Let go of a step nobody has read from."""


class _Reading:
    """Where a stream stands and what came of it; the generator knows this and not its container, so no cycle forms."""

    __slots__ = ("error", "final", "outcome", "step")

    def __init__(self, step: OpenStep | None, outcome: Outcome | None) -> None:
        self.step = step
        self.outcome = outcome
        self.final: Piece | None = None
        self.error: BaseException | None = None

    def begin(self) -> OpenStep | None:
        step, self.step = self.step, None
        return step

    def ended_by(self, error: BaseException) -> BaseException:
        self.error = None if isinstance(error, GeneratorExit) else error
        return error

    def result(self) -> Outcome:
        if self.error is not None:
            raise self.error
        if self.outcome is None:
            raise BusyError("this stream was closed before its end, so it has no result: run the action again.")
        return self.outcome

    def abandon(self) -> None:
        step = self.begin()
        if step is not None:
            step.abandon()


class StreamingResultContainer:
    """The items of a streaming action as they come, then its result.

    Iterate to see the items; `get()` drains what is left and returns `(result, state)`. Leaving early (`close()`, the
    end of a `with` block, or breaking out and letting it go) cancels the step: the state stays as it was and the next
    run performs the action again.

    Example:
        >>> action, stream = app.stream_result(halt_after="answer")
        >>> for item in stream:
        ...     print(item["delta"], end="")
        >>> result, state = stream.get()
    """

    def __init__(self, step: OpenStep | None, outcome: Outcome | None = None) -> None:
        self._reading = _Reading(step, outcome)
        self._items = _items(self._reading)

    @classmethod
    def pass_through(cls, results: dict[str, Any] | None, final_state: State[Any]) -> StreamingResultContainer:
        """A container without items, for an action that does not stream."""
        return cls(None, (results, final_state))

    def __iter__(self) -> Iterator[Any]:
        return self._items

    def __next__(self) -> Any:
        return next(self._items)

    def get(self) -> Outcome:
        """Drain what is left and return `(result, state)`; an error of the action is raised again.

        Raises:
            BusyError: It was closed before its end.
        """
        for _ in self._items:
            pass
        return self._reading.result()

    def close(self) -> None:
        """Cancel the step if it has not ended."""
        self._items.close()
        self._reading.abandon()

    def __enter__(self) -> StreamingResultContainer:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __del__(self) -> None:
        self._reading.abandon()


class AsyncStreamingResultContainer:
    """The same for an async run: `async for` over the items, then `await get()`."""

    def __init__(self, step: OpenStep | None, outcome: Outcome | None = None) -> None:
        self._reading = _Reading(step, outcome)
        self._items = _items_async(self._reading)

    @classmethod
    def pass_through(cls, results: dict[str, Any] | None, final_state: State[Any]) -> AsyncStreamingResultContainer:
        """A container without items, for an action that does not stream."""
        return cls(None, (results, final_state))

    def __aiter__(self) -> AsyncIterator[Any]:
        return self._items

    async def __anext__(self) -> Any:
        return await anext(self._items)

    async def get(self) -> Outcome:
        """Drain what is left and return `(result, state)`; an error of the action is raised again.

        Raises:
            BusyError: It was closed before its end.
        """
        async for _ in self._items:
            pass
        return self._reading.result()

    async def aclose(self) -> None:
        """Cancel the step if it has not ended."""
        await self._items.aclose()
        self._reading.abandon()

    async def __aenter__(self) -> AsyncStreamingResultContainer:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()

    def __del__(self) -> None:
        self._reading.abandon()


def _items(reading: _Reading) -> Generator[Any, None, None]:
    step = reading.begin()
    if step is None:
        return
    try:
        if isinstance(step.pieces, AsyncIterator):
            refuse_async(step.action.name)
        enter, advance = step.inside.run, _watched(step, iter(step.pieces).__next__)
        while True:
            try:
                item, state = piece = enter(advance)
            except StopIteration as ended:  # a plain generator may return its last piece
                reading.final = ended.value or reading.final
                break
            if state is None:
                yield item
            else:
                reading.final = check_piece(step.action, piece)
        reading.outcome = run_blocking(step.complete(*check_final(step.action, reading.final)))
    except BaseException as error:
        told = reading.ended_by(_explained(step, error))
        run_blocking(step.fail(told))
        raise told from told.__cause__


async def _items_async(reading: _Reading) -> AsyncGenerator[Any, None]:
    step = reading.begin()
    if step is None:
        return
    outer, inner, observed = current_step(), step.context, step.observed
    running = Alternating(inner)
    pieces = awaited(step.action, step.pieces)
    try:
        CURRENT_STEP.set(running)
        async for piece in pieces:
            item, state = piece
            if state is not None:
                reading.final = check_piece(step.action, piece)
                continue
            running.now = outer
            if observed:
                await step.show(item)
            yield item
            running.now = inner
            if CURRENT_STEP.get() is not running:
                CURRENT_STEP.set(running)  # it is read on in another task
        CURRENT_STEP.set(outer)
        reading.outcome = await step.complete(*check_final(step.action, reading.final))
    except BaseException as error:
        running.now = outer
        CURRENT_STEP.set(outer)
        told = reading.ended_by(_explained(step, error))
        await step.fail(told)
        raise told from told.__cause__


def _watched(step: OpenStep, advance: Callable[[], Any]) -> Callable[[], Any]:
    """The same, telling the hooks of each item on its way; nothing is added when nobody listens."""
    if not step.observed:
        return advance

    def watched() -> Any:
        piece = advance()
        try:
            item, state = piece
        except (TypeError, ValueError):
            return piece  # its reader takes it apart again, and says what is wrong with it
        if state is None:
            run_blocking(step.show(item))
        return piece

    return watched


def _explained(step: OpenStep, error: BaseException) -> BaseException:
    """What to say of an error; one that is from taking a piece apart here is about what was yielded."""
    traceback = error.__traceback__
    apart_here = isinstance(error, TypeError | ValueError) and traceback is not None and traceback.tb_next is None
    return ResultError(f"{piece_rule(step.action)} ({error})") if apart_here else error
