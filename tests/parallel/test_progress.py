"""A bar counts the children of a map as they end, and says how many did not end well."""

from __future__ import annotations

import asyncio
import io
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from agentflow import ApplicationBuilder, State, action, expr
from agentflow.errors import MissingExtraError
from agentflow.parallel import MapStates, first, progress_bar
from tests.drivers import Driver


@action(reads=["number"], writes=["half"])
def halve(state: State) -> State:
    if state["number"] % 2:
        raise ValueError("odd")
    return state.update(half=state["number"] // 2)


class Halves(MapStates):
    reads = ["numbers", "visits"]
    writes = ["visits"]

    def action(self) -> Any:
        return halve

    def states(self, state: State) -> Iterator[State]:
        for number in state["numbers"]:
            yield state.update(number=number)

    def reduce(self, state: State) -> State:
        return state.increment(visits=1)


def shown(drive: Driver, numbers: list[int], visits: int = 1, **options: Any) -> str:
    """The last line that the bar draws."""
    drawn = io.StringIO()
    with progress_bar("halving", file=drawn) as bar:
        app = (
            ApplicationBuilder()
            .with_actions(work=Halves(progress=bar, **options))
            .with_transitions(("work", "work", expr(f"visits < {visits}")))
            .with_entrypoint("work")
            .with_state(numbers=numbers, visits=0)
            .build()
        )
        drive.run(app)
    return drawn.getvalue().strip().splitlines()[-1]


def test_every_child_moves_the_bar(drive: Driver) -> None:
    line = shown(drive, [0, 2, 4])
    assert ("halving ", True) == (line[:8], " 3/3 " in line)


def test_a_map_that_is_visited_again_adds_its_children(drive: Driver) -> None:
    assert " 9/9 " in shown(drive, [0, 2, 4], visits=3)


def test_children_that_fail_are_counted(drive: Driver) -> None:
    line = shown(drive, [0, 1, 2, 3], on_error="collect")
    assert (True, True) == (line.startswith("halving (2 failed) "), " 4/4 " in line)


def test_children_that_are_cancelled_are_told_from_those_that_fail() -> None:
    all_run = asyncio.Event()

    @action(reads=["number"], writes=["half"])
    async def only_the_first_ends(state: State) -> State:
        if state["number"] == 2:
            all_run.set()
        await (all_run if state["number"] == 0 else asyncio.Event()).wait()
        return state.update(half=0)

    class Race(Halves):
        def action(self) -> Any:
            return only_the_first_ends

    drawn = io.StringIO()
    with progress_bar("racing", file=drawn) as bar:
        builder = ApplicationBuilder().with_actions(work=Race(progress=bar, stop=first)).with_entrypoint("work")
        asyncio.run(builder.with_state(numbers=[0, 1, 2], visits=0).build().arun())
    line = drawn.getvalue().strip().splitlines()[-1]
    assert (True, True) == (line.startswith("racing (2 cancelled) "), " 3/3 " in line)


def test_a_description_is_shown_as_it_is_written() -> None:
    drawn = io.StringIO()
    with progress_bar("[red]asking[/red]", file=drawn):
        pass
    assert "[red]asking[/red]" in drawn.getvalue()


def test_standard_error_is_where_it_goes_unless_it_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar("asking"):
        pass
    captured = capsys.readouterr()
    assert ("", True) == (captured.out, "asking" in captured.err)


def test_without_rich_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rich.console", None)
    with pytest.raises(MissingExtraError, match="A progress bar needs the 'cli' extra"), progress_bar("asking"):
        pass
