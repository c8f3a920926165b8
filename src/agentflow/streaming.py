"""Actions that give their result piece by piece.

A streaming action yields `(item, None)` any number of times and then `(result, state)`. What must not live here: what a
reader holds while the pieces come (`containers.py`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Generator, Iterable, Iterator
from typing import Any

from agentflow import typed
from agentflow.actions import Action, FunctionAction, annotated_model, make_options
from agentflow.errors import BuildError, ResultError
from agentflow.runtime import BLOCKING, Runtime, each, each_apart, refuse_async
from agentflow.state import State

#: What an open stream yields: an item with None, or the result with the next state.
Piece = tuple[Any, State[Any] | None]
Pieces = Iterator[Piece] | AsyncIterator[Piece]
Outcome = tuple[Any, State[Any]]


class StreamingAction(Action):
    """A streaming action as a class: `stream_run` yields dicts, of which the last one is the whole result.

    `update(self, result, state)` writes that result into the state. `stream_run` may be a plain or an async generator.
    """

    streaming = True

    def stream_run(self, state: State[Any], /, **inputs: Any) -> Any:
        """Yield intermediate dicts, then the whole result as the last one."""
        raise BuildError(f"action '{self.name}' defines no stream_run(): write one that yields dicts.")

    def open(self, state: State[Any], inputs: dict[str, Any]) -> Pieces:
        """The pieces of one performance."""
        stream = self.stream_run(state, **inputs)
        return self._pieces_async(stream, state) if isinstance(stream, AsyncIterator) else self._pieces(stream, state)

    def problems(self) -> list[BuildError]:
        if type(self).stream_run is StreamingAction.stream_run:
            return [BuildError(f"action '{self.name}' defines no stream_run(): write one that yields dicts.")]
        if type(self).update is Action.update:
            return [BuildError(f"action '{self.name}' defines no update(): write `def update(self, result, state)`.")]
        return []

    async def perform(self, runtime: Runtime, state: State[Any], inputs: dict[str, Any]) -> Outcome:
        return await drain(self, runtime, self.open(state, inputs))

    def _entry(self) -> tuple[Callable[..., Any], int]:
        return self.stream_run, 1

    def _pieces(self, stream: Iterable[Any], state: State[Any]) -> Iterator[Piece]:
        last = None
        for number, item in enumerate(stream):
            if number:
                yield last, None
            last = item
        yield last, self._updated(last, state)

    async def _pieces_async(self, stream: AsyncIterator[Any], state: State[Any]) -> AsyncIterator[Piece]:
        last, started = None, False
        async for item in stream:
            if started:
                yield last, None
            last, started = item, True
        yield last, self._updated(last, state)

    def _updated(self, result: Any, state: State[Any]) -> State[Any]:
        if not isinstance(result, dict):
            raise ResultError(f"stream_run() of action '{self.name}' yielded no final dict: yield the result last.")
        return self.checked_state(self.update(result, state))


class AsyncStreamingAction(StreamingAction):
    """The same as `StreamingAction`; the name says that `stream_run` is an async generator."""


class StreamingFunctionAction(FunctionAction):
    """A streaming action made from a generator function by `@streaming_action`."""

    streaming = True

    def open(self, state: State[Any], inputs: dict[str, Any]) -> Pieces:
        """The pieces of one performance."""
        return pieces_of(self, self.fn(state, **self.bound, **inputs))

    async def perform(self, runtime: Runtime, state: State[Any], inputs: dict[str, Any]) -> Outcome:
        return await drain(self, runtime, self.open(state, inputs))


class StreamingModelAction(StreamingFunctionAction):
    """A streaming action over a pydantic model: it yields `(item, None)` and then `(item or None, Model)`."""

    model: type[Any]
    last_model: type[Any]
    item_type: type[Any] | None = None

    def open(self, state: State[Any], inputs: dict[str, Any]) -> Pieces:
        given = typed.model_of(state, self.model, self.contract.scope)
        pieces = pieces_of(self, self.fn(given, **self.bound, **inputs))
        finish = self._finisher(given, state)
        return _mapped_async(pieces, finish) if isinstance(pieces, AsyncIterator) else _mapped(pieces, finish)

    def _finisher(self, given: Any, state: State[Any]) -> Callable[[Piece], Piece]:
        owner = self.contract.scope.owner

        def finish(piece: Piece) -> Piece:
            item, model = piece if isinstance(piece, tuple) and len(piece) == 2 else check_piece(self, piece)
            if model is None:
                return self._checked_item(item), None
            if not isinstance(model, self.last_model):
                raise ResultError(
                    f"{owner} ended with a {type(model).__name__}: end with a {self.last_model.__name__}."
                )
            updates = typed.updates_from(model, given, state, self.contract.scope)
            return updates if item is None else item, state.update(**updates)

        return finish

    def _checked_item(self, item: Any) -> Any:
        if self.item_type is None or isinstance(item, self.item_type):
            return item
        raise ResultError(
            f"streaming action '{self.name}' yielded a {type(item).__name__}: "
            f"its stream_type is {self.item_type.__name__}."
        )


def _mapped(pieces: Iterator[Piece], fn: Callable[[Piece], Piece]) -> Iterator[Piece]:
    given: Any = with_return(pieces)  # what is returned is mapped too
    for piece in given:
        yield fn(piece)


async def _mapped_async(pieces: AsyncIterator[Piece], fn: Callable[[Piece], Piece]) -> AsyncIterator[Piece]:
    async for piece in pieces:
        yield fn(piece)


def pieces_of(action: Action, stream: Any) -> Pieces:
    """The pieces a generator function gives; a plain generator may also return its last one.

    Raises:
        ResultError: The function is no generator.
    """
    if isinstance(stream, AsyncIterator | Iterator):
        return stream
    raise ResultError(
        f"streaming action '{action.name}' is no generator: yield (item, None) for each piece, then (result, state)."
    )


async def drain(action: Action, runtime: Runtime, pieces: Pieces) -> Outcome:
    """Perform a streaming action for nobody: its result and state, the items let go."""
    if runtime is BLOCKING and isinstance(pieces, AsyncIterator):
        refuse_async(action.name)
    final: Piece | None = None
    async for piece in awaited(action, pieces) if runtime is not BLOCKING else each(with_return(pieces)):
        item, state = check_piece(action, piece)
        if state is not None:
            final = item, state
    return check_final(action, final)


def awaited(action: Action, pieces: Pieces) -> AsyncIterator[Piece]:
    """The pieces for an async run; those of a plain generator come from a thread if the action says that it blocks."""
    if isinstance(pieces, AsyncIterator):
        return pieces
    plain: Any = with_return(pieces)
    return each_apart(plain) if action.options.blocking else each(plain)


def with_return(pieces: Pieces) -> Pieces:
    """The pieces, and as the last one what a plain generator returns."""
    return _returning(pieces) if isinstance(pieces, Generator) else pieces


def _returning(pieces: Generator[Piece, None, Any]) -> Iterator[Piece]:
    returned = yield from pieces
    if returned is not None:
        yield returned


def check_piece(action: Action, piece: Any) -> Piece:
    """The piece, if it is a pair whose second part is a state or None."""
    if isinstance(piece, tuple) and len(piece) == 2 and (piece[1] is None or isinstance(piece[1], State)):
        return piece
    raise ResultError(f"{piece_rule(action)} (it yielded a {type(piece).__name__})")


def piece_rule(action: Action) -> str:
    """What every streaming action is told that yields something else."""
    return (
        f"streaming action '{action.name}' yielded something that is no piece: "
        "yield (item, None) for each piece, then (result, state)."
    )


def check_final(action: Action, final: Piece | None) -> Outcome:
    """The last piece, which every stream must have."""
    if final is None:
        raise ResultError(f"streaming action '{action.name}' ended without a state: yield (result, state) last.")
    result, state = check_piece(action, final)
    if state is None:
        raise ResultError(f"streaming action '{action.name}' ended without a state: yield (result, state) last.")
    return result, state


class _StreamingDecorator:
    """`@streaming_action(...)`, and `@streaming_action.pydantic(...)` for functions over pydantic models."""

    def __call__(
        self, reads: Iterable[str], writes: Iterable[str], tags: Iterable[str] = (), *, blocking: bool = False
    ) -> Callable[[Callable[..., Any]], StreamingFunctionAction]:
        """Make a streaming action of a generator function, plain or async.

        It yields `(item, None)` for each piece and `(result, state)` last; a plain generator may return the last one
        instead. Performed by a verb that does not stream, its items are let go.

        Args:
            reads: The state keys it may read.
            writes: The state keys it may write; after it has run, each has a value.
            tags: Names to halt at (`"@tag:x"`) or to find it by.
            blocking: In an async run, take each piece of a plain generator in a thread, so that the wait for it cannot
                hold up the event loop.

        Example:
            >>> @streaming_action(reads=["question"], writes=["answer"])
            ... def answer(state: State):
            ...     words = ["forty", "-", "two"]
            ...     for word in words:
            ...         yield {"delta": word}, None
            ...     yield {"answer": "".join(words)}, state.update(answer="".join(words))
        """

        def decorate(fn: Callable[..., Any]) -> StreamingFunctionAction:
            return StreamingFunctionAction(fn, reads, writes, tags, make_options(None, None, blocking))

        return decorate

    def pydantic(
        self,
        reads: Iterable[str],
        writes: Iterable[str],
        state_input_type: type[Any] | None = None,
        state_output_type: type[Any] | None = None,
        stream_type: type[Any] | None = None,
        tags: Iterable[str] = (),
        *,
        blocking: bool = False,
    ) -> Callable[[Callable[..., Any]], StreamingModelAction]:
        """Make a streaming action of a generator function over a pydantic model.

        It yields `(item, None)` for each piece and `(item or None, model)` last; a plain generator may return the last
        one instead.

        Args:
            reads: The fields it may read.
            writes: The fields it may write.
            state_input_type: The model it takes; by default the annotation of its first parameter.
            state_output_type: The model it yields last; by default the one it takes.
            stream_type: The type of the items; an item of another type is an error.
            tags: See `streaming_action`.
            blocking: See `streaming_action`.

        Raises:
            BuildError: The model is neither given nor annotated.
        """

        def decorate(fn: Callable[..., Any]) -> StreamingModelAction:
            made = StreamingModelAction(fn, reads, writes, tags, make_options(None, None, blocking))
            made.model = state_input_type or annotated_model(fn, "state_input_type")
            made.last_model, made.item_type = state_output_type or made.model, stream_type
            return made

        return decorate


streaming_action: _StreamingDecorator = _StreamingDecorator()
