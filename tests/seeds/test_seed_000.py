"""The code of the page on recursion runs as printed, with only the package's name changed.

Its own slips, put right here and nowhere else:

- Its `...` stand for actions, transitions, an entrypoint and a state, which the tests give.
- `_join` gets what `subapp.run(...)` returns: `(action, result, state)`.
- The second block reads "parameters_to_map" and writes "joined_results" in the same way with joblib; here the threads
  of the standard library stand in for it ("you can use whatever tooling you want").
- `my_action` declares to write "joined_results" and returns the state without it: it is written.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

from agentflow import ApplicationBuilder, ApplicationContext, State, action, get_active_context, get_active_tracker


@action(reads=["style"], writes=["poem"])
def write_poem(state: State) -> State:
    return state.update(poem=f"a {state['style']} poem")


def _join(results: list[Any]) -> list[str]:
    return [state["poem"] for _, _, state in results]


class Tracker:
    """Remembers which application was made below which step."""

    def __init__(self) -> None:
        self.spawned: list[tuple[str, int]] = []

    def copy(self) -> Tracker:
        return self

    def post_application_create(self, *, spawning_parent_pointer: Any, **future_kwargs: Any) -> None:
        if spawning_parent_pointer is not None:
            self.spawned.append((spawning_parent_pointer.app_id, spawning_parent_pointer.sequence_id))


@action(reads=["parameters_to_map"], writes=["joined_results"])
def run_multiple_sub_apps(state: State, __context: ApplicationContext) -> State:
    # for every parameter incoming, run a sub-application
    results = []
    for parameter_set in state["parameters_to_map"]:
        subapp = (
            ApplicationBuilder()
            .with_actions(write_poem)
            .with_transitions()
            .with_tracker(__context.tracker.copy())
            .with_spawning_parent(
                __context.app_id,
                __context.sequence_id,
                __context.partition_key,
            )
            .with_entrypoint("write_poem")
            .with_state(style=parameter_set)
            .build()
        )
        results.append(subapp.run())
    return state.update(joined_results=_join(results))


@action(reads=["parameters_to_map"], writes=["joined_results"])
def run_sub_apps_in_parallel(state: State, __context: ApplicationContext) -> State:
    def run_subapp(parameter_set: str) -> Any:
        subapp = (
            ApplicationBuilder()
            .with_actions(write_poem)
            .with_tracker(__context.tracker.copy() if __context.tracker is not None else None)
            .with_spawning_parent(
                __context.app_id,
                __context.sequence_id,
                __context.partition_key,
            )
            .with_entrypoint("write_poem")
            .with_state(style=parameter_set)
            .build()
        )
        return subapp.run()

    with ThreadPoolExecutor() as pool:
        results = list(pool.map(run_subapp, state["parameters_to_map"]))
    joined = _join(results)

    return state.update(joined_results=joined)


@action(reads=["parameters_to_map"], writes=["joined_results"])
def my_action(state: State) -> State:
    context = ApplicationContext.get()
    assert context is not None
    assert context is get_active_context()
    assert context.tracker is get_active_tracker()

    def run_subapp(parameter_set: str) -> Any:
        subapp = (
            ApplicationBuilder()
            .with_actions(write_poem)
            .with_tracker(context.tracker.copy() if context.tracker is not None else None)
            .with_spawning_parent(
                context.app_id,
                context.sequence_id,
                context.partition_key,
            )
            .with_entrypoint("write_poem")
            .with_state(style=parameter_set)
            .build()
        )
        return subapp.run()

    with ThreadPoolExecutor() as pool:
        futures = [pool.submit(copy_context().run, run_subapp, each) for each in state["parameters_to_map"]]
        results = [future.result() for future in futures]
    return state.update(joined_results=_join(results))


def parent(made: Any, tracker: Tracker | None) -> Any:
    return (
        ApplicationBuilder()
        .with_actions(spawn=made)
        .with_entrypoint("spawn")
        .with_state(parameters_to_map=["sad", "short"])
        .with_identifiers(app_id="parent")
        .with_tracker(tracker)
        .build()
    )


def test_each_way_to_run_sub_applications_links_them_to_the_step(drive: Any) -> None:
    for made in (run_multiple_sub_apps, run_sub_apps_in_parallel, my_action):
        tracker = Tracker()
        _, _, state = drive.run(parent(made, tracker))
        assert ["a sad poem", "a short poem"] == state["joined_results"]
        assert [("parent", 0)] * 2 == tracker.spawned


def test_without_a_tracker_nothing_is_passed_on(drive: Any) -> None:
    _, _, state = drive.run(parent(run_sub_apps_in_parallel, None))
    assert ["a sad poem", "a short poem"] == state["joined_results"]
