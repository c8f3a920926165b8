"""Actions: what a function or class declares is what the engine and the builder are told."""

from __future__ import annotations

import asyncio
import copy
import functools
import inspect
from typing import Any

import pytest

from agentflow import Action, ApplicationBuilder, ApplicationContext, State, action, bind
from agentflow.actions import PLAIN, Input, Result, make_options
from agentflow.errors import AsyncCodeError, BuildError, ResultError
from tests.drivers import Driver


@action(reads=["count"], writes=["count"], tags=["math"])
def increment(state: State, by: int, *, times: int = 1) -> State:
    """Add to the count."""
    return state.update(count=state["count"] + by * times)


def app_of(one: Any, **values: Any) -> Any:
    return ApplicationBuilder().with_actions(one=one).with_entrypoint("one").with_state(**values).build()


class TestFunctions:
    def test_they_declare_their_keys_inputs_tags_and_description(self) -> None:
        found = (increment.name, increment.reads, increment.writes, increment.tags, increment.inputs)
        assert ("increment", ["count"], ["count"], ["math"], (["by"], ["times"])) == found
        assert "Add to the count." == increment.description
        assert "<action 'increment'>" == repr(increment)

    def test_they_can_be_called_as_functions(self) -> None:
        assert {"count": 7} == increment(State({"count": 1}), by=2, times=3)
        assert {"count": 7} == increment.bind(by=6)(State({"count": 1}))
        assert {"count": 3} == increment.run(State({"count": 1}), by=2)

    def test_a_bare_string_is_one_name(self) -> None:
        @action(reads="text", writes="text", tags="tag")
        def one(state: State) -> State:
            return state

        assert (["text"], ["text"], ["tag"]) == (one.reads, one.writes, one.tags)

    def test_they_keep_their_signature_defaults_and_annotations(self) -> None:
        bound = increment.bind(by=2)
        assert ["state", "by", "times"] == list(inspect.signature(bound).parameters)
        assert ({"times": 1}, {"times": "int"}) == (
            bound.contract.parameters.defaults,
            bound.contract.parameters.annotations,
        )
        assert inspect.Parameter.KEYWORD_ONLY == inspect.signature(bound).parameters["times"].kind

    def test_attributes_of_the_function_do_not_get_in_the_way(self) -> None:
        def fn(state: State) -> State:
            return state

        fn.reads = ["other"]  # type: ignore[attr-defined]
        assert ["a"] == action(reads=["a"], writes=[])(fn).reads

    def test_their_source_is_shown_when_there_is_one(self) -> None:
        assert "by * times" in increment.get_source()
        made = action(reads=[], writes=[])(functools.partial(increment.fn, by=1))
        assert "# The source of 'partial' is not available." == made.get_source()

    def test_a_copy_is_made_of_one_that_is_found_by_name_and_of_one_that_is_not(self) -> None:
        partial = action(reads=[], writes=["count"])(functools.partial(increment.fn, by=1))
        for made in (increment.bind(by=1).with_name("plus"), partial.with_name("part")):
            copied = copy.deepcopy(made)
            assert (made.name, made.bound, {"count": 1}) == (copied.name, copied.bound, copied(State({"count": 0})))

    def test_an_async_one_is_refused_by_a_blocking_verb(self) -> None:
        @action(reads=[], writes=[])
        async def later(state: State) -> State:
            return state

        with pytest.raises(AsyncCodeError, match="later' is async: use the async verb"):
            app_of(later).step()

    def test_one_that_turns_out_to_be_async_is_refused_too(self) -> None:
        async def later(state: State) -> State:
            return state

        @action(reads=[], writes=[])
        def one(state: State) -> Any:
            return later(state)

        with pytest.raises(AsyncCodeError, match="one' is async: use the async verb"):
            app_of(one).step()

    def test_one_that_is_async_at_times_is_awaited_at_times(self, drive: Driver) -> None:
        def known(fn: Any) -> Any:
            @functools.wraps(fn)
            def looked_up(state: State) -> Any:
                return state.update(count=1) if state["count"] == 0 or drive.colour == "blocking" else fn(state)

            return looked_up

        @action(reads=["count"], writes=["count"])
        @known
        async def later(state: State) -> State:
            return state.update(count=1)

        assert [1, 1] == [drive.step(app_of(later, count=count))[2]["count"] for count in (0, 5)]

    def test_one_that_generates_is_refused(self) -> None:
        @action(reads=[], writes=[])
        async def pieces(state: State) -> Any:
            yield state

        with pytest.raises(ResultError, match="returned a value of type async_generator: return state.update"):
            asyncio.run(app_of(pieces).astep())

    def test_one_without_a_parameter_is_refused(self) -> None:
        @action(reads=[], writes=[])
        def nothing() -> State:
            return State()

        assert ["action 'nothing' takes no parameters: its first one is the state."] == [
            str(problem) for problem in nothing.problems()
        ]

    def test_inputs_by_position_only_are_refused(self) -> None:
        @action(reads=[], writes=[])
        def odd(state: State, by: int, /) -> State:
            return state

        with pytest.raises(BuildError, match="takes 'by' by position only: inputs are passed by name.$"):
            odd.contract  # noqa: B018


class TestBinding:
    def test_binding_again_adds_and_replaces(self) -> None:
        twice = increment.bind(by=2).bind(times=3)
        assert ({"by": 2, "times": 3}, ([], [])) == (twice.bound, twice.inputs)
        assert {"count": 6} == app_of(twice, count=0).step()[2]
        assert {"by": 5, "times": 3} == twice.bind(by=5).bound
        assert {} == increment.bound

    def test_the_function_bind_does_the_same(self) -> None:
        assert {"by": 1} == bind(increment, by=1).bound
        with pytest.raises(BuildError, match="decorate the function first.$"):
            bind(increment.fn, by=1)  # type: ignore[arg-type]

    def test_an_unknown_input_is_refused(self) -> None:
        with pytest.raises(BuildError) as caught:
            increment.bind(tims=3)
        assert "bind() on 'increment': no input is named 'tims'. Did you mean 'times'?" == str(caught.value)

    def test_a_function_that_takes_any_input_takes_any_bound_one(self) -> None:
        @action(reads=[], writes=["seen"])
        def keep(state: State, **inputs: Any) -> State:
            return state.update(seen=inputs)

        assert {"seen": {"a": 1}} == app_of(keep.bind(a=1)).step()[2]

    def test_names_and_bound_inputs_do_not_depend_on_order(self) -> None:
        for made in (increment.bind(by=1).with_name("plus"), increment.with_name("plus").bind(by=1)):
            assert ("plus", {"by": 1}, "plus") == (made.name, made.bound, made.contract.name)
            assert "action 'plus'" == made.contract.scope.owner
        assert "increment" == increment.name


class Draft(Action):
    """Write a draft."""

    reads = ["topic"]
    writes = ["draft"]

    def run(self, state: State, tone: str, length: int = 3) -> dict[str, Any]:
        return {"draft": f"{state['topic']} {tone} {length}"}

    def update(self, result: dict[str, Any], state: State) -> State:
        return state.update(**result)


class AsyncDraft(Draft):
    async def run(self, state: State, tone: str, length: int = 3) -> dict[str, Any]:
        return super().run(state, tone, length)


class TestClasses:
    def test_inputs_are_the_parameters_of_run(self) -> None:
        assert ((["tone"], ["length"]), "Draft", "Write a draft.") == (
            Draft().inputs,
            Draft().name,
            Draft().description,
        )
        assert "" == AsyncDraft().description
        assert "class Draft" in Draft().get_source()

    def test_they_give_a_result_and_a_state(self) -> None:
        _, result, state = app_of(Draft(), topic="cats").step(inputs={"tone": "dry"})
        assert ({"draft": "cats dry 3"}, "cats dry 3") == (result, state["draft"])

    def test_an_async_one_needs_an_async_verb(self) -> None:
        assert (True, False) == (AsyncDraft().contract.is_async, Draft().contract.is_async)
        with pytest.raises(AsyncCodeError):
            app_of(AsyncDraft(), topic="cats").step(inputs={"tone": "dry"})

    def test_reads_and_writes_may_be_properties_or_methods_with_or_without_self(self) -> None:
        class Methods(Draft):
            def reads(self) -> list[str]:  # type: ignore[override]
                return ["topic"]

            def writes() -> list[str]:  # type: ignore[override,misc]
                return ["draft"]

            @property
            def tags(self) -> list[str]:
                return ["x"]

        made = Methods()
        assert (["topic"], ["draft"], ["x"]) == (made.reads, made.writes, made.tags)
        assert {"topic"} == made.contract.scope.reads

    @pytest.mark.parametrize(
        ("declared", "expected"),
        [
            (["tone", "__context"], (["tone"], [])),
            ((["tone"], ["length", "__tracer"]), (["tone"], ["length"])),
            (("tone", "length"), (["tone", "length"], [])),
            ("tone", (["tone"], [])),
        ],
    )
    def test_inputs_may_be_declared(self, declared: Any, expected: Any) -> None:
        class Declared(Draft):
            inputs = declared

        parameters = Declared().contract.parameters
        assert expected == (list(parameters.required), list(parameters.optional))
        assert ("__context" in str(declared), "__tracer" in str(declared)) == (
            parameters.context == "__context",
            parameters.tracer == "__tracer",
        )

    def test_declared_inputs_are_what_run_is_called_with(self, drive: Driver) -> None:
        class Context(Draft):
            writes = ["draft", "id"]
            inputs = ["tone", "__context"]

            def run(self, state: State, **inputs: Any) -> dict[str, Any]:
                return {"draft": inputs["tone"], "id": inputs["__context"].app_id}

        builder = ApplicationBuilder().with_actions(one=Context()).with_entrypoint("one")
        app = drive.build(builder.with_state(topic="cats").with_identifiers(app_id="a1"))
        assert {"draft": "dry", "id": "a1"} == drive.step(app, inputs={"tone": "dry"})[1]

    def test_a_copy_under_another_name_is_its_own(self) -> None:
        first = Draft()
        second = first.with_name("second")
        assert ("Draft", "second", "action 'second'") == (first.name, second.name, second.contract.scope.owner)
        assert "second" == copy.deepcopy(second).name

    def test_one_without_its_methods_says_which(self) -> None:
        class NoRun(Action):
            pass

        class NoUpdate(Action):
            def run(self, state: State) -> dict[str, Any]:
                return {}

        assert ["action 'NoRun' defines no run(): write `def run(self, state) -> dict`."] == [
            str(problem) for problem in NoRun().problems()
        ]
        assert ["action 'NoUpdate' defines no update(): write `def update(self, result, state)`."] == [
            str(problem) for problem in NoUpdate().problems()
        ]
        with pytest.raises(BuildError, match="defines no run()"):
            NoRun().run(State())
        with pytest.raises(BuildError, match="defines no update()"):
            NoUpdate().update({}, State())


class TestWrongReturns:
    @pytest.mark.parametrize(
        ("returned", "message"),
        [
            (None, "action 'one' returned None: return state.update(...)."),
            ({"a": 1}, "action 'one' returned a value of type dict: return state.update(...)."),
            (({}, None), "action 'one' returned None: return state.update(...)."),
            (("text", State()), "action 'one' returned a value of type tuple: return state.update(...)."),
        ],
    )
    def test_a_function_must_return_a_state(self, drive: Driver, returned: Any, message: str) -> None:
        @action(reads=[], writes=[])
        def fn(state: State) -> Any:
            return returned

        with pytest.raises(ResultError) as caught:
            drive.step(app_of(fn))
        assert message == str(caught.value)

    def test_a_function_may_return_its_result_too(self, drive: Driver) -> None:
        @action(reads=[], writes=["a"])
        def fn(state: State) -> Any:
            return {"seen": 1}, state.update(a=2)

        _, result, state = drive.step(app_of(fn))
        assert ({"seen": 1}, {"a": 2}) == (result, state)

    def test_run_must_return_a_dict_and_update_a_state(self, drive: Driver) -> None:
        class Odd(Draft):
            reads = writes = []

            def run(self, state: State) -> Any:  # type: ignore[override]
                return self.result

            def update(self, result: Any, state: State) -> Any:
                return None

        odd = Odd()
        odd.result = 3
        with pytest.raises(ResultError, match="of action 'one' returned a value of type int: return a dict."):
            drive.step(app_of(odd))
        odd.result = {}
        with pytest.raises(ResultError, match="^action 'one' returned None"):
            drive.step(app_of(odd))


class TestFilledInByTheEngine:
    def test_by_name_inside_a_class_body_and_by_annotation(self, drive: Driver) -> None:
        @action(reads=[], writes=["ids"])
        def by_name(state: State, __context: ApplicationContext) -> State:
            return state.update(ids=__context.app_id)

        @action(reads=[], writes=["ids"])
        def by_annotation(state: State, here: ApplicationContext | None = None) -> State:
            return state.update(ids=here.app_id if here else None)

        class InClass(Action):
            reads: list[str] = []
            writes = ["ids"]

            def run(self, state: State, __context: Any) -> dict[str, Any]:
                return {"ids": __context.app_id}

            def update(self, result: dict[str, Any], state: State) -> State:
                return state.update(**result)

        for made in (by_name, by_annotation, InClass()):
            builder = ApplicationBuilder().with_actions(one=made).with_entrypoint("one").with_identifiers("a7")
            assert {"ids": "a7"} == drive.step(drive.build(builder))[2]
            assert ([], []) == made.inputs


class TestOptions:
    @pytest.mark.parametrize("timeout", [0, -1.0, float("nan")])
    def test_a_timeout_is_positive(self, timeout: float) -> None:
        with pytest.raises(BuildError, match="is not a positive number of seconds: give one, or None for no limit.$"):
            make_options(None, timeout, False)

    def test_a_policy_is_shaped_like_one(self) -> None:
        with pytest.raises(BuildError, match=r"^retry=3 has no retry\(state\): pass a policy such as tenacity"):
            make_options(3, None, False)  # type: ignore[arg-type]

    def test_none_of_them_is_the_plain_way(self) -> None:
        assert PLAIN is make_options(None, None, False)
        assert make_options(None, 2.5, True).timeout == 2.5


class TestInputAndResult:
    def test_input_writes_what_it_is_given_and_result_gives_what_is_there(self, drive: Driver) -> None:
        builder = ApplicationBuilder().with_actions(ask=Input("a", "b"), result=Result("b"))
        app = drive.build(builder.with_transitions(("ask", "result")).with_entrypoint("ask"))
        _, result, state = drive.run(app, halt_after=["result"], inputs={"a": 1, "b": 2})
        assert ({"b": 2}, {"a": 1, "b": 2}) == (result, state)

    def test_they_say_what_they_do(self) -> None:
        assert ("Take a, b as input.", (["a", "b"], [])) == (
            Input("a", "b").description,
            (list(Input("a", "b").contract.parameters.required), list(Input("a", "b").contract.parameters.optional)),
        )
        assert "Give b as the result." == Result("b").description

    @pytest.mark.parametrize("fields", [(), (1,), (["a"],)])
    def test_they_need_names(self, fields: Any) -> None:
        with pytest.raises(BuildError, match="needs the names of state keys: write Input\\('key', ...\\).$"):
            Input(*fields)
