"""Typed state: each write is validated when it is made, and a model can stand in for the state in an action."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from agentflow import ApplicationBuilder, State, action, streaming_action
from agentflow.errors import (
    BuildError,
    InvalidValueError,
    MissingExtraError,
    ResultError,
    StateError,
    UndeclaredKeyError,
)
from agentflow.integrations.pydantic import PydanticTypingSystem
from agentflow.state import InheritedTyping, Scope, StateDelta, child_view, delta, view, without_history
from agentflow.typed import is_model
from tests.drivers import Driver


class Note(BaseModel):
    text: str


class Chat(BaseModel):
    question: str
    history: list[int] = Field(default_factory=list)
    count: Annotated[int, Field(ge=0)] = 0
    note: Note | None = None


class Guarded(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True, frozen=True)
    mode: str = Field(default="draw", alias="Mode")
    lock: threading.Barrier | None = None

    @field_validator("mode", mode="before")
    @classmethod
    def lower(cls, value: Any) -> Any:
        return value.lower() if isinstance(value, str) else value

    @field_validator("mode")
    @classmethod
    def known(cls, value: str) -> str:
        if value not in ("draw", "write"):
            raise ValueError("unknown mode")
        return value


class Range(BaseModel):
    low: int = 0
    high: int = 0

    @model_validator(mode="after")
    def ordered(self) -> Range:
        if self.low > self.high:
            raise ValueError("low is above high")
        return self


def typed(model: type[BaseModel] = Chat, **values: Any) -> State:
    return State(values, PydanticTypingSystem(model))


class TestWrites:
    def test_a_state_from_outside_is_validated_and_stays_typed(self, drive: Driver) -> None:
        @action(reads=["question"], writes=["count"])
        def count(state: State) -> State:
            return state.update(count="many")

        app = (
            ApplicationBuilder()
            .with_actions(count)
            .with_entrypoint("count")
            .with_typing(PydanticTypingSystem(Chat))
            .with_state(question="why?")
            .build()
        )
        with pytest.raises(InvalidValueError, match="refuses a value of type str"):
            drive.do(app, "update_state", State({"question": "what?", "count": "few"}))
        assert "why?" == app.state["question"]
        drive.do(app, "update_state", State({"question": "what?", "count": "2"}))
        assert Chat(question="what?", count=2) == app.state.data
        with pytest.raises(InvalidValueError, match="refuses a value of type str"):
            drive.step(app)

    def test_they_are_validated_and_converted(self) -> None:
        state = typed(question="why?").update(count="3", history=("1", 2))
        assert {"question": "why?", "count": 3, "history": [1, 2]} == state.get_all()

    @pytest.mark.parametrize(
        ("write", "message"),
        [
            (
                lambda state: state.update(count=-1),
                "state['count'] of Chat refuses a value of type int: Input should be greater than or equal to 0.",
            ),
            (
                lambda state: state.append(history="x"),
                "state['history'][0] of Chat refuses a value of type str: Input should be a valid integer, "
                "unable to parse string as an integer.",
            ),
            (
                lambda state: state.update(cuont=1),
                "Chat has no field 'cuont': add it to the model. Did you mean 'count'?",
            ),
            (
                lambda state: state.increment(count=0.5),
                "state['count'] of Chat refuses a value of type float: Input should be a valid integer, "
                "got a number with a fractional part.",
            ),
        ],
    )
    def test_a_refusal_names_the_key_and_the_model(self, write: Any, message: str) -> None:
        with pytest.raises(InvalidValueError) as caught:
            write(typed(question="why?"))
        assert message == str(caught.value)

    def test_first_values_are_validated_too(self) -> None:
        with pytest.raises(InvalidValueError, match="question"):
            typed(question=3)
        with pytest.raises(InvalidValueError, match="question"):
            State({"question": 3}).with_typing_system(PydanticTypingSystem(Chat))

    def test_validators_of_the_fields_run(self) -> None:
        assert "write" == typed(Guarded).update(mode="WRITE")["mode"]
        with pytest.raises(InvalidValueError, match="^state\\['mode'\\] of Guarded refuses .* unknown mode.$"):
            typed(Guarded).update(mode="sing")

    def test_the_configuration_of_the_model_counts(self) -> None:
        barrier = threading.Barrier(1)
        assert barrier is typed(Guarded).update(lock=barrier)["lock"]

    def test_a_field_that_is_a_model_is_validated_by_it(self) -> None:
        class Noted(BaseModel):
            note: Note

        assert Note(text="x") == typed(Noted).update(note={"text": "x"})["note"]
        with pytest.raises(InvalidValueError, match="^state\\['note'\\]\\['text'\\] of Noted refuses a value of"):
            typed(Noted).update(note={"text": 3})

    def test_a_list_that_grows_is_remembered_by_its_new_items_as_they_were_converted(self) -> None:
        base = without_history(typed(question="why?", history=[1]))
        grown = base.append(history="2").extend(history=("3",))
        assert ([1, 2, 3], StateDelta(append={"history": [2, 3]})) == (grown["history"], delta(grown))

    def test_a_list_that_its_type_changes_is_remembered_whole(self) -> None:
        class Sorted(BaseModel):
            history: list[int] = []

            @field_validator("history")
            @classmethod
            def ordered(cls, value: list[int]) -> list[int]:
                return sorted(value)

        grown = without_history(typed(Sorted, history=[2])).append(history=1)
        assert ([1, 2], StateDelta(set={"history": [1, 2]})) == (grown["history"], delta(grown))


class TestData:
    def test_it_is_the_model_over_the_state(self) -> None:
        assert (
            Chat(question="why?", history=[1], count=2) == typed(question="why?").append(history=1).update(count=2).data
        )

    def test_aliases_do_not_matter(self) -> None:
        assert "write" == typed(Guarded, mode="write").data.mode

    def test_required_keys_must_have_a_value(self) -> None:
        with pytest.raises(StateError, match="^Chat has no value for 'question' yet: write them first.$"):
            _ = typed(count=1).data

    def test_what_holds_for_the_whole_model_is_checked_there(self) -> None:
        state = typed(Range).update(low=2)
        with pytest.raises(InvalidValueError, match="^the state is no Range: Value error, low is above high.$"):
            _ = state.data
        assert Range(low=2, high=3) == state.update(high=3).data

    def test_inside_an_action_it_reads_every_key(self) -> None:
        state = typed(question="why?", count=1)
        with pytest.raises(UndeclaredKeyError, match="reads 'count' without declaring it"):
            _ = view(state, Scope("action 'a'", frozenset({"question"}))).data
        assert Chat(question="why?", count=1) == view(state, Scope("action 'a'", frozenset({"question", "count"}))).data


class TestBuilding:
    def test_defaults_are_the_first_values(self) -> None:
        @action(reads=["question"], writes=["count"])
        def one(state: State) -> State:
            return state.increment(count=1)

        app = (
            ApplicationBuilder()
            .with_actions(one)
            .with_entrypoint("one")
            .with_typing(PydanticTypingSystem(Chat))
            .with_state(Chat(question="why?"))
            .build()
        )
        assert Chat(question="why?") == app.state.data
        assert Chat(question="why?", count=1) == app.step()[2].data

    def test_a_required_key_without_a_value_is_not_taken_for_a_misspelling_of_itself(self) -> None:
        @action(reads=["question"], writes=[])
        def answer(state: State) -> State:
            return state

        made = (
            ApplicationBuilder().with_actions(answer).with_entrypoint("answer").with_typing(PydanticTypingSystem(Chat))
        )
        with pytest.raises(
            BuildError, match=r"reads 'question' before .*: give it .* \.with_state\(question=\.\.\.\)\.$"
        ):
            made.build()

    def test_only_model_classes_are_taken(self) -> None:
        for wrong in (Chat(question=""), dict, 3):
            with pytest.raises(BuildError, match="^PydanticTypingSystem takes a pydantic model class, not "):
                PydanticTypingSystem(wrong)  # type: ignore[arg-type]
        assert (True, False) == (is_model(Note(text="")), is_model(Note))

    def test_pydantic_missing_names_the_extra(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(__import__("sys").modules, "pydantic", None)
        with pytest.raises(MissingExtraError, match="needs the 'llm' extra: pip install 'agentflow-select\\[llm\\]'.$"):
            PydanticTypingSystem(Chat)

    def test_plain_values_come_from_its_own_model_only(self) -> None:
        system = PydanticTypingSystem(Chat)
        assert {"question": "q", "history": [], "count": 0, "note": Note(text="x")} == system.construct_state(
            Chat(question="q", note=Note(text="x"))
        )
        with pytest.raises(InvalidValueError, match="^Note is not a Chat: give one of those.$"):
            system.construct_state(Note(text=""))

    def test_children_may_have_keys_of_their_own(self) -> None:
        reads = frozenset({"question"})
        child = child_view(typed(question="why?"), "action 'map'", reads).update(extra=object, count="2")
        assert 2 == child["count"]
        inherited = child.typing_system
        assert isinstance(inherited, InheritedTyping)
        assert ({}, Chat(question="q"), {"question": "q"} | Chat(question="q").model_dump()) == (
            inherited.defaults(),
            inherited.construct_data({"question": "q", "extra": 1}),
            inherited.construct_state(Chat(question="q")),
        )
        assert inherited is child_view(child, "action 'map'", reads).typing_system
        with pytest.raises(InvalidValueError):
            child.update(count="many")


def app_of(one: Any, **values: Any) -> Any:
    first = {"question": "why?", "history": [1], "count": 0} | values
    return ApplicationBuilder().with_actions(one=one).with_entrypoint("one").with_state(**first).build()


class TestModelActions:
    def test_the_model_is_changed_in_place_or_another_is_returned(self, drive: Driver) -> None:
        @action.pydantic(reads=["history", "question"], writes=["history", "count"])
        def in_place(state: Chat, by: int = 1) -> Chat:
            state.history.append(by)
            state.count = len(state.question)
            return state

        @action.pydantic(reads=["history", "question"], writes=["history", "count"])
        def another(state: Chat, by: int = 1) -> Chat:
            return Chat(question=state.question, history=[*state.history, by], count=len(state.question))

        for made in (in_place, another, in_place.bind(by=1)):
            _, result, state = drive.step(app_of(made))
            assert ({"history": [1, 1], "count": 4}, "why?") == (result, state["question"])
            assert {"question": "why?", "history": [1, 1], "count": 4} == state

    def test_a_failure_leaves_what_was_changed_in_place_out_of_the_state(self, drive: Driver) -> None:
        @action.pydantic(reads=["history"], writes=["history"])
        def fails(state: Chat) -> Chat:
            state.history.append(2)
            raise ValueError("no")

        app = app_of(fails)
        with pytest.raises(ValueError, match="no"):
            drive.step(app)
        assert [1] == app.state["history"]

    def test_changing_in_place_what_may_only_be_read_is_an_error(self, drive: Driver) -> None:
        @action.pydantic(reads=["history"], writes=["count"])
        def sneaky(state: Chat) -> Chat:
            state.history.append(2)
            state.count = 1
            return state

        app = app_of(sneaky)
        with pytest.raises(UndeclaredKeyError) as caught:
            drive.step(app)
        assert "action 'one' writes 'history' without declaring it: add 'history' to its writes." == str(caught.value)
        assert {"question": "why?", "history": [1], "count": 0} == app.state

    def test_setting_an_undeclared_field_is_an_error(self, drive: Driver) -> None:
        @action.pydantic(reads=["question"], writes=["question"])
        def sneaky(state: Chat) -> Chat:
            state.count = 3
            return state

        with pytest.raises(UndeclaredKeyError, match="^action 'one' writes 'count' without declaring it"):
            drive.step(app_of(sneaky))

    def test_reading_an_undeclared_field_is_an_error(self, drive: Driver) -> None:
        @action.pydantic(reads=["question"], writes=["count"])
        def sneaky(state: Chat) -> Chat:
            state.count = len(state.history)
            return state

        with pytest.raises(UndeclaredKeyError) as caught:
            drive.step(app_of(sneaky))
        assert (
            "action 'one' reads 'history', which it did not declare or which has no value: add it to its reads."
        ) == str(caught.value)

    def test_another_attribute_error_stays_what_it_is(self, drive: Driver) -> None:
        @action.pydantic(reads=["question"], writes=["count"])
        def wrong(state: Chat) -> Chat:
            return state.question.nothing  # type: ignore[attr-defined]

        with pytest.raises(AttributeError, match="'str' object has no attribute 'nothing'"):
            drive.step(app_of(wrong))

    def test_a_model_must_be_returned(self, drive: Driver) -> None:
        @action.pydantic(reads=[], writes=["count"], state_input_type=Chat)
        def wrong(state):  # type: ignore[no-untyped-def]
            return {"count": 1}

        with pytest.raises(ResultError) as caught:
            drive.step(app_of(wrong))
        assert "action 'one' returned a value of type dict: return the model." == str(caught.value)

    def test_what_nobody_can_copy_is_handed_over_as_it_is(self, drive: Driver) -> None:
        barrier = threading.Barrier(1)

        @action.pydantic(reads=["lock"], writes=["mode"])
        def one(state: Guarded) -> Guarded:
            assert state.lock is barrier
            return state.model_copy(update={"mode": "write"})

        assert "write" == drive.step(app_of(one, lock=barrier))[2]["mode"]

    def test_the_model_must_be_known(self) -> None:
        with pytest.raises(BuildError, match="does not say which model it takes: annotate 'state' or pass state_input"):

            @action.pydantic(reads=[], writes=[])
            def wrong(state):  # type: ignore[no-untyped-def]
                return state


class TestStreamingModelActions:
    def test_items_come_first_and_the_model_last(self, drive: Driver) -> None:
        @streaming_action.pydantic(reads=["history"], writes=["history"], stream_type=int)
        def plain(state: Chat) -> Iterator[tuple[int | None, Chat | None]]:
            yield 1, None
            state.history.append(2)
            yield None, state

        _, items, result, state = drive.stream_result(app_of(plain), halt_after=["one"])
        assert ([1], {"history": [1, 2]}, [1, 2]) == (items, result, state["history"])

    def test_a_blocking_one_is_advanced_in_a_thread_of_an_async_run_and_may_return_its_model(
        self, drive: Driver
    ) -> None:
        threads: list[int] = []

        @streaming_action.pydantic(reads=["history"], writes=["history"], blocking=True)
        def slow(state: Chat) -> Iterator[Any]:
            threads.append(threading.get_ident())
            yield 1, None
            state.history.append(2)
            return None, state

        _, items, result, state = drive.stream_result(app_of(slow), halt_after=["one"])
        assert ([1], {"history": [1, 2]}, [1, 2]) == (items, result, state["history"])
        assert (drive.colour == "blocking") == (threads == [threading.get_ident()])

    def test_an_async_one_too(self, drive: Driver) -> None:
        @streaming_action.pydantic(reads=["history"], writes=["history"])
        async def waiting(state: Chat) -> AsyncIterator[tuple[Any, Chat | None]]:
            yield "a", None
            yield {"done": True}, Chat(question="", history=[])

        if drive.colour == "async":
            _, items, result, state = drive.stream_result(app_of(waiting), halt_after=["one"])
            assert (["a"], {"done": True}, []) == (items, result, state["history"])

    @pytest.mark.parametrize(
        ("pieces", "message"),
        [
            ([("x", None)], "streaming action 'one' yielded a str: its stream_type is int."),
            ([(None, Note(text=""))], "action 'one' ended with a Note: end with a Chat."),
        ],
    )
    def test_other_types_are_refused(self, drive: Driver, pieces: Any, message: str) -> None:
        @streaming_action.pydantic(reads=["history"], writes=["history"], stream_type=int)
        def wrong(state: Chat) -> Any:
            yield from pieces

        with pytest.raises(ResultError) as caught:
            drive.stream_result(app_of(wrong), halt_after=["one"])
        assert message == str(caught.value)
