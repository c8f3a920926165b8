"""State: immutable, enforced, and every chain of operations is a delta that gives the same values again."""

from __future__ import annotations

import copy
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentflow.errors import MissingKeyError, ResultError, StateError, UndeclaredKeyError
from agentflow.state import Scope, State, StateDelta, delta, settle, view, without_history, written_keys

SCOPE = Scope("action 'draft'", frozenset({"name", "log"}), frozenset({"log", "count"}))


def test_operations_leave_the_state_they_start_from_alone() -> None:
    state = State({"count": 1, "log": ["a"], "old": True})
    after = state.update(name="Ada").increment(count=2).append(log="b").extend(log=["c", "d"]).wipe(delete=["old"])
    assert {"count": 1, "log": ["a"], "old": True} == state.get_all()
    assert {"count": 3, "log": ["a", "b", "c", "d"], "name": "Ada"} == after.get_all()


def test_the_mapping_it_is_made_from_may_change_later() -> None:
    values = {"a": 1}
    state = State(values)
    values["a"] = 2
    assert 1 == state["a"]


def test_its_keys_are_those_that_may_be_read() -> None:
    state = State({"name": "Ada", "secret": 1})
    assert ({"name", "secret"}, {"name"}) == (state.keys(), view(state, SCOPE).keys())


def test_missing_lists_and_numbers_start_empty() -> None:
    assert {"log": ["x"], "count": 2} == State().append(log="x").increment(count=2).get_all()


def test_a_tuple_that_is_appended_to_becomes_a_list() -> None:
    assert [1, 2, 3] == State({"log": (1, 2)}).append(log=3)["log"]


def test_a_list_that_was_grown_comes_out_as_a_fresh_copy() -> None:
    state = State().append(log=1)
    state["log"].append(2)
    assert [1] == state["log"]


def test_two_states_that_grow_one_list_do_not_see_each_other() -> None:
    base = State().extend(log=[1, 2])
    left, right = base.append(log="left"), base.append(log="right")
    assert ([1, 2], [1, 2, "left"], [1, 2, "right"]) == (base["log"], left["log"], right["log"])


def test_two_threads_that_grow_one_list_do_not_see_each_other() -> None:
    for _ in range(50):
        base = State().extend(log=[0])
        barrier, grown = threading.Barrier(4), [State()] * 4

        def grow(number: int, base: State = base, barrier: threading.Barrier = barrier, grown: Any = grown) -> None:
            barrier.wait()
            grown[number] = base.append(log=number).append(log=number)

        threads = [threading.Thread(target=grow, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [[0, number, number] for number in range(4)] == [state["log"] for state in grown]
        assert [0] == base["log"]


def test_appending_does_not_copy_what_is_there() -> None:
    first = State().append(log=0)
    second = first.append(log=1)
    assert first._values["log"]._buffer is second._values["log"]._buffer


def test_wipe_deletes_or_keeps() -> None:
    state = State({"a": 1, "b": 2, "c": 3})
    assert {"c": 3} == state.wipe(delete=["a", "b"]).get_all()
    assert {"c": 3} == state.wipe(keep=["c"]).get_all()
    assert {"bb": 2} == State({"aa": 1, "bb": 2}).wipe(delete="aa").get_all()
    assert state.get_all() == state.wipe(delete=["never there"]).get_all()


@pytest.mark.parametrize("options", [{}, {"delete": ["a"], "keep": ["b"]}])
def test_wipe_wants_one_of_the_two(options: Any) -> None:
    with pytest.raises(StateError) as caught:
        State().wipe(**options)
    assert "wipe() takes either delete=[...] or keep=[...]: give one of them." == str(caught.value)


def test_merge_takes_every_value_of_the_other() -> None:
    assert {"a": 1, "b": 3} == State({"a": 1, "b": 2}).merge(State({"b": 3})).get_all()


def test_subset_leaves_out_what_has_no_value() -> None:
    state = State({"a": 1, "b": 2})
    assert State({"a": 1}) == state.subset("a", "nothing")
    with pytest.raises(MissingKeyError):
        state.subset("nothing", ignore_missing=False)


def test_it_is_a_mapping_equal_to_the_same_values() -> None:
    state = State({"a": 1})
    assert {"a": 1} == state
    assert ("a" in state, "b" in state, len(state), list(state)) == (True, False, 1, ["a"])
    assert (1, None, 7) == (state.get("a"), state.get("b"), state.get("b", 7))
    assert "State({'a': 1})" == repr(state)
    with pytest.raises(TypeError):
        hash(state)


def test_keys_may_be_called_like_parameters() -> None:
    assert {"self": 1, "key": 2, "state": 3} == State().update(self=1, key=2, state=3).get_all()


def test_it_survives_copying() -> None:
    state = State({"a": [1]}).append(a=2)
    assert state == copy.deepcopy(state)
    assert None is state.typing_system


def test_a_key_without_a_value_names_the_remedy() -> None:
    with pytest.raises(MissingKeyError) as caught:
        State({"name": 1})["nmae"]
    assert (
        "state key 'nmae' has no value: give it a first one with .with_state(nmae=...), or write it in an earlier "
        "action. Did you mean 'name'?"
    ) == str(caught.value)


@pytest.mark.parametrize(
    ("values", "operation", "message"),
    [
        (
            {"log": 3},
            lambda state: state.append(log=1),
            "state['log'] is of type int, and only a list can be appended to: start it as a list.",
        ),
        (
            {"count": "3"},
            lambda state: state.increment(count=1),
            "state['count'] is of type str, and int cannot be added to it: start it as a number.",
        ),
        (
            {},
            lambda state: state.append(count=1).increment(count=1),
            "state['count'] is of type list, and int cannot be added to it: start it as a number.",
        ),
        (
            {},
            lambda state: state.data,
            "this state has no declared type: add .with_typing(PydanticTypingSystem(YourModel)).",
        ),
    ],
)
def test_what_cannot_be_done_says_why(values: Any, operation: Any, message: str) -> None:
    with pytest.raises(StateError) as caught:
        operation(State(values))
    assert message == str(caught.value)


class TestScope:
    """What an action may see of a state."""

    def given(self, **values: Any) -> State:
        return view(State({"name": "Ada", "log": [], "secret": 1, **values}), SCOPE)

    def test_only_declared_keys_are_seen(self) -> None:
        given = self.given()
        assert (["name", "log"], 2, {"name": "Ada", "log": []}) == (list(given), len(given), given.get_all())

    @pytest.mark.parametrize(
        "read", [lambda state: state["secret"], lambda state: state.get("secret"), lambda state: "secret" in state]
    )
    def test_an_undeclared_read_names_the_action_the_key_and_the_fix(self, read: Any) -> None:
        with pytest.raises(UndeclaredKeyError) as caught:
            read(self.given())
        assert "action 'draft' reads 'secret' without declaring it: add 'secret' to its reads." == str(caught.value)

    @pytest.mark.parametrize(
        "write",
        [
            lambda state: state.update(cuont=1),
            lambda state: state.increment(cuont=1),
            lambda state: state.append(cuont=1),
            lambda state: state.wipe(delete=["cuont"]),
        ],
    )
    def test_an_undeclared_write_is_refused_where_it_is_made(self, write: Any) -> None:
        with pytest.raises(UndeclaredKeyError) as caught:
            write(self.given())
        assert (
            "action 'draft' writes 'cuont' without declaring it: add 'cuont' to its writes. Did you mean 'count'?"
        ) == str(caught.value)

    def test_what_was_written_may_be_read(self) -> None:
        after = self.given().update(count=2)
        assert (2, True, {"name", "log", "count"}) == (after["count"], "count" in after, set(after))

    def test_a_declared_key_without_a_value_names_its_reader(self) -> None:
        with pytest.raises(MissingKeyError, match="^action 'draft' reads 'name', which has no value: give it"):
            view(State(), SCOPE)["name"]

    def test_nothing_is_declared_and_nothing_is_near(self) -> None:
        with pytest.raises(UndeclaredKeyError) as caught:
            view(State({"a": 1}), Scope("action 'none'", frozenset()))["a"]
        assert "action 'none' reads 'a' without declaring it: add 'a' to its reads." == str(caught.value)


class TestSettling:
    """What becomes of a state that an action returned."""

    base = State({"name": "Ada", "log": [], "count": 0, "secret": 1})

    def test_what_was_made_from_the_given_state_counts_whole(self) -> None:
        given = view(self.base, SCOPE)
        settled = settle(given.append(log="x").update(count=1), given, self.base)
        assert {"name": "Ada", "log": ["x"], "count": 1, "secret": 1} == settled.get_all()
        assert StateDelta({"count": 1}, {"log": ["x"]}) == delta(settled)

    def test_a_state_from_elsewhere_contributes_the_declared_writes(self) -> None:
        given = view(self.base, SCOPE)
        settled = settle(State({"log": ["y"], "count": 5, "name": "Eve", "more": 1}), given, self.base)
        assert {"name": "Ada", "log": ["y"], "count": 5, "secret": 1} == settled.get_all()

    def test_a_list_that_was_grown_elsewhere_is_a_list(self) -> None:
        settled = settle(State({"log": ["x"], "count": 5}).append(log="y"), view(self.base, SCOPE), self.base)
        assert StateDelta({"log": ["x", "y"], "count": 5}) == delta(settled)

    def test_a_state_of_an_earlier_step_is_one_from_elsewhere(self) -> None:
        kept = view(State({"name": "Eve", "log": [], "count": 7, "secret": 2}), SCOPE).update(count=8)
        settled = settle(kept, view(self.base, SCOPE), self.base)
        assert {"name": "Ada", "log": [], "count": 8, "secret": 1} == settled

    def test_a_declared_write_without_a_value_is_an_error(self) -> None:
        given = view(State({"name": "Ada"}), SCOPE)
        with pytest.raises(ResultError) as caught:
            settle(given.update(log=[]), given, self.base)
        assert ("action 'draft' returned a state without 'count', which it declares to write: update it.") == str(
            caught.value
        )

    def test_a_declared_write_may_be_deleted(self) -> None:
        given = view(self.base, SCOPE)
        assert {"name": "Ada", "log": [], "secret": 1} == settle(given.wipe(delete=["count"]), given, self.base)

    def test_a_declared_write_may_be_deleted_in_a_state_from_elsewhere(self) -> None:
        returned = State({"log": ["y"], "count": 5}).wipe(delete=["count"])
        settled = settle(returned, view(self.base, SCOPE), self.base)
        assert {"name": "Ada", "log": ["y"], "secret": 1} == settled
        assert StateDelta({"log": ["y"]}, {}, frozenset({"count"})) == delta(settled)

    def test_a_state_without_history_keeps_its_values(self) -> None:
        state = State().update(a=1)
        assert (state, frozenset(), StateDelta()) == (
            without_history(state),
            written_keys(without_history(state)),
            delta(without_history(state)),
        )


KEYS = st.sampled_from(["a", "b", "c"])
OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("update"), KEYS, st.lists(st.integers(), max_size=2)),
        st.tuples(st.just("append"), KEYS, st.integers()),
        st.tuples(st.just("extend"), KEYS, st.lists(st.integers(), max_size=3)),
        st.tuples(st.just("delete"), KEYS, st.none()),
    ),
    max_size=12,
)
FIRST = st.dictionaries(KEYS, st.lists(st.integers(), max_size=3))


def on_a_dict(values: dict[str, Any], kind: str, key: str, value: Any) -> None:
    if kind == "update":
        values[key] = value
    elif kind == "delete":
        values.pop(key, None)
    else:
        values[key] = [*values.get(key, []), *([value] if kind == "append" else value)]


def on_a_state(state: State, kind: str, key: str, value: Any) -> State:
    return state.wipe(delete=[key]) if kind == "delete" else getattr(state, kind)(**{key: value})


def applied(found: StateDelta, values: dict[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in values.items() if key not in found.delete} | dict(found.set)
    return kept | {key: [*kept.get(key, []), *items] for key, items in found.append.items()}


@given(FIRST, OPERATIONS, OPERATIONS)
def test_any_operations_do_what_they_do_to_a_dict_and_their_delta_gives_it_again(
    first: dict[str, Any], before: list[Any], after: list[Any]
) -> None:
    state, plain = State(first), dict(first)
    for operation in before:
        state = on_a_state(state, *operation)
        on_a_dict(plain, *operation)
    assert plain == state.get_all()
    base, base_values = without_history(state), dict(plain)
    ends = base
    for operation in after:
        ends = on_a_state(ends, *operation)
        on_a_dict(plain, *operation)
    assert plain == ends.get_all()
    assert plain == applied(delta(ends), base_values)
    assert base_values == base.get_all()
