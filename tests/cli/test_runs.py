"""`agentflow runs`, as a person types it."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from agentflow import ApplicationBuilder, State, action
from agentflow.cli import main
from agentflow.persistence import SQLitePersister
from agentflow.tracking import LocalTracker, Runs

MODULE = """
from agentflow import ApplicationBuilder, State, action

@action(reads=["n"], writes=["n"])
def count(state: State, by: str = "1") -> State:
    return state.update(n=state["n"] + int(by))

def make(app_id):
    made = ApplicationBuilder().with_actions(count).with_transitions(("count", "count"))
    return made.with_entrypoint("count").with_state(n=0)
"""


@action(reads=["n"], writes=["n"])
def count(state: State) -> State:
    return state.update(n=state["n"] + 1)


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """A store with two applications in the working directory; what a command prints, and its exit status."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AGENTFLOW_STORE", raising=False)
    (tmp_path / "counting.py").write_text(MODULE)
    with SQLitePersister("agentflow.db") as store:
        for app_id, steps in (("first", 2), ("second", 3)):
            made = ApplicationBuilder().with_actions(count).with_transitions(("count", "count")).with_state(n=0)
            made.with_entrypoint("count").with_identifiers(app_id=app_id, partition_key="ada")
            app = made.with_state_persister(store).build()
            for _ in range(steps):
                app.step()

    def run(*arguments: str) -> tuple[int, str]:
        status = main(["runs", *arguments])
        said = capsys.readouterr()
        return status, said.out + said.err

    return run


def test_applications_are_listed_newest_first(runs: Any) -> None:
    status, printed = runs("list")
    lines = [line.split()[:4] for line in printed.splitlines()]
    expected = [
        ["application", "partition", "step", "status"],
        ["second", "ada", "2", "ready"],
        ["first", "ada", "1", "ready"],
    ]
    assert (0, expected) == (status, lines)
    assert ["second", "first"] == [each["app_id"] for each in json.loads(runs("list", "--json")[1])]


def test_one_is_shown_with_its_steps(runs: Any) -> None:
    status, printed = runs("show", "fir")
    assert 0 == status
    assert "application first of ada" in printed
    assert "  n = 2" in printed
    assert "1  count" in printed


def test_two_are_compared(runs: Any) -> None:
    assert (1, "- n = 2\n+ n = 3\n") == runs("diff", "first", "second")
    assert (0, "") == runs("diff", "first", "first")


def test_a_fork_goes_on_from_a_step(runs: Any) -> None:
    assert (0, "third\n") == runs("fork", "second", "--at", "0", "--as", "third")
    shown = json.loads(runs("show", "third", "--json")[1])
    assert ({"n": 1}, ["second", 0]) == (shown["state"], shown["forked_from"])


def test_one_goes_on_until_it_halts(runs: Any) -> None:
    status, printed = runs("resume", "counting:make", "first", "--halt-after", "count", "--input", "by=10")
    assert 0 == status
    assert "  n = 12" in printed
    assert printed.endswith("halted: halt_after 'count'\n")


TYPED = """
from __future__ import annotations
from typing import TYPE_CHECKING, Literal
from agentflow import ApplicationBuilder, State, action
from pydantic import BaseModel

if TYPE_CHECKING:
    from decimal import Decimal

class Place(BaseModel):
    row: int

class Odd:
    pass

@action(reads=["n"], writes=["n", "given"])
def count(state: State, by: int, share: float = 0.0, loud: bool = False, rows: list[int] = (), at: Place | None = None,
          note: str | None = None, odd: Odd | None = None, bare=None, price: Decimal = "", many: Literal[1, 2] = 1,
          few: Literal[1, 2] | None = None) -> State:
    return state.update(n=state["n"] + by, given=[share, loud, list(rows), at and at.row, note, bare, price, many, few])

def make(app_id):
    made = ApplicationBuilder().with_actions(count).with_transitions(("count", "count"))
    return made.with_entrypoint("count").with_state(n=0)
"""


def test_inputs_are_of_the_types_that_the_action_declares(runs: Any, tmp_path: Path) -> None:
    (tmp_path / "typed_counting.py").write_text(TYPED)
    given = ["by=3", "share=0.5", "loud=yes", "rows= [1, 2]", 'at={"row": 4}', "note={x}", "bare=7"]
    given += ["price=2.50", "many=2", "few=1"]
    inputs = [word for pair in given for word in ("--input", pair)]
    assert 0 == runs("resume", "typed_counting.py:make", "first", "--halt-after", "count", *inputs)[0]
    state = json.loads(runs("show", "first", "--json")[1])["state"]
    assert {"n": 5, "given": [0.5, True, [1, 2], 4, "{x}", "7", "2.50", 2, 1]} == state
    assert 0 == runs("resume", "typed_counting.py:make", "first", "--halt-after", "count", "--input", "by=1",
                     "--input", "at=null")[0]  # fmt: skip


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (["by=three"], "--input by=three does not fit 'count': by: Input should be a valid integer"),
        (["by=1", 'at={"row": "x"}'], "does not fit 'count': at.row: Input should be a valid integer"),
        (["by=1", "rows=[1"], "does not fit 'count': rows: Invalid JSON"),
        (["by=1", "many=3"], "--input many=3 does not fit 'count': many: Input should be 1 or 2"),
        (["by=1", "odd=x"], "the input 'odd' of 'count' is of a type that cannot be written as text"),
        (["bye=1"], "no action takes an input 'bye'. Did you mean 'by'?"),
        ([], "'count' comes next and needs the input 'by': add --input by=..."),
    ],
)
def test_inputs_that_do_not_fit_are_refused_before_the_run(
    runs: Any, tmp_path: Path, inputs: list[str], message: str
) -> None:
    (tmp_path / "typed_counting.py").write_text(TYPED)
    before = runs("export", "first")
    status, printed = runs("resume", "typed_counting.py:make", "first", *(f"--input={pair}" for pair in inputs))
    assert (2, True) == (status, message in printed)
    assert before == runs("export", "first")


def test_everything_is_exported(runs: Any, tmp_path: Path) -> None:
    assert (0, "") == runs("export", "first", "--to", "first.json")
    found = json.loads((tmp_path / "first.json").read_text())
    assert ("first", {"n": 2}, [None, "count", "count"]) == (
        found["app_id"],
        found["state"],
        [step["action"] for step in found["steps"]],
    )


def test_old_steps_are_deleted(runs: Any) -> None:
    assert (0, "2 steps deleted\n") == runs("prune", "second")
    assert ["count", "count"] == [each["action"] for each in json.loads(runs("export", "second")[1])["steps"]]


def test_the_doctor_finds_what_is_damaged(runs: Any) -> None:
    status, printed = runs("doctor")
    assert (0, "2 applications read; what a commit survives here: durable\n") == (status, printed)
    with SQLitePersister("agentflow.db") as store, store._transaction(durable=True) as execute:
        execute("UPDATE agentflow_step SET delta = :delta WHERE step = 1", {"delta": '{"set":{"n":99}}'})
    status, printed = runs("doctor")
    assert 1 == status
    assert "DAMAGED  first: the saved step 1 of application 'first' is damaged (its checksum does not fit)" in printed
    assert "The last good step is 0." in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("show", "nobody"), "there is no application 'nobody' in this store"),
        (("show", ""), "may be first of 'ada', second of 'ada'"),
        (("resume", "counting:make", "first", "--input", "x"), "--input 'x' is not of the form name=value"),
        (("resume", "counting:State", "first"), "name an ApplicationBuilder"),
        (("list", "--store", "mysql://x"), "names no store"),
        (("export", "first", "--to", "nowhere/x.json"), "cannot write nowhere/x.json: No such file or directory"),
        (
            ("prune", "second", "--keep", "0"),
            "keep=0 is not usable, and nothing was done: give a whole number, 1 or more",
        ),
        (("prune", "second", "--keep", "-1"), "keep=-1 is not usable"),
    ],
)
def test_mistakes_are_told(runs: Any, arguments: tuple[str, ...], message: str) -> None:
    status, printed = runs(*arguments)
    assert 2 == status
    assert message in printed
    assert 4 == len(json.loads(runs("export", "second")[1])["steps"])


def test_where_there_is_no_store_one_has_to_be_named(runs: Any, tmp_path: Path) -> None:
    (tmp_path / "agentflow.db").unlink()
    assert (2, True) == (lambda found: (found[0], "there is no agentflow.db here" in found[1]))(runs("list"))


VERBS = [["list"], ["show", "a"], ["diff", "a", "b"], ["fork", "a"], ["export", "a"], ["prune", "a"], ["doctor"]]


@pytest.mark.parametrize("verb", [*VERBS, ["resume", "counting:make", "a"]], ids=" ".join)
def test_where_there_is_no_store_none_is_made(runs: Any, tmp_path: Path, verb: list[str]) -> None:
    (tmp_path / "empty.db").touch()
    with closing(sqlite3.connect(tmp_path / "other.db")) as other, other:
        other.execute("CREATE TABLE recipe (name TEXT)")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    for name in ("nowhere.db", "sqlite:///no/where.db", "empty.db", "other.db"):
        status, printed = runs(*verb, "--store", name)
        assert (2, True) == (status, printed.startswith(f"agentflow: there is no store at {name}: name one with"))
    assert before == {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}


def test_a_file_that_is_no_database_could_not_be_read(runs: Any, tmp_path: Path) -> None:
    (tmp_path / "junk.db").write_text("this is no database, however long it may be" * 100)
    status, printed = runs("list", "--store", "junk.db")
    assert 2 == status
    assert "junk.db could not be read (file is not a database): put that right and run again." in printed


@pytest.fixture
def home(tmp_path: Path) -> str:
    """What was tracked: an application with the same id of two people."""
    for whose in ("ada", "bob"):
        tracker = LocalTracker(project="demo", root=tmp_path / "home")
        made = (
            ApplicationBuilder().with_actions(count).with_entrypoint("count").with_state(n=0 if whose == "ada" else 5)
        )
        made.with_identifiers(app_id="tracked", partition_key=whose).with_tracker(tracker).build().run()
        tracker.close()
    return "home"


def test_tracked_runs_are_read_too(runs: Any, home: str) -> None:
    listed = runs("list", "--tracked", "--root", home)[1].splitlines()[1:]
    assert [["tracked", "demo", "1"]] * 2 == [line.split()[:3] for line in listed]
    assert "0  count" in runs("show", "tracked", "--tracked", "--root", home)[1]
    assert "count" in runs("watch", "tracked", "--root", home, "--seconds", "0.01")[1]


def test_tracked_runs_are_printed_as_json_too(runs: Any, home: str) -> None:
    listed = json.loads(runs("list", "--tracked", "--json", "--root", home)[1])
    assert [("tracked", "bob", 1, "done"), ("tracked", "ada", 1, "done")] == [
        (app["app_id"], app["partition_key"], app["steps"], app["status"]) for app in listed
    ]
    shown = json.loads(runs("show", "tracked", "--tracked", "--json", "--root", home)[1])
    assert ([("count", {"n": 6})], []) == ([(s["action"], s["set"]) for s in shown["steps"]], shown["decisions"])


def test_tracked_runs_may_be_those_of_one_partition(runs: Any, home: str) -> None:
    whose = ("--partition", "ada", "--root", home)
    assert ["ada"] == [app["partition_key"] for app in json.loads(runs("list", "--tracked", "--json", *whose)[1])]
    assert "n = 1" in runs("show", "tracked", "--tracked", *whose)[1]
    assert "'n': 1" in runs("watch", "tracked", "--seconds", "0.01", *whose)[1]
    assert "'n': 6" in runs("watch", "tracked", "--seconds", "0.01", "--root", home)[1]


def test_a_run_that_has_not_begun_is_waited_for(
    runs: Any, tmp_path: Path, home: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def begun_after_the_first_look(found: Runs, *whose: Any) -> object:
        monkeypatch.undo()
        monkeypatch.chdir(tmp_path)
        tracker = LocalTracker(root=tmp_path / home)
        made = ApplicationBuilder().with_actions(count).with_entrypoint("count").with_state(n=41)
        made.with_identifiers(app_id="late").with_tracker(tracker).build().run()
        tracker.close()
        return None

    monkeypatch.setattr(Runs, "application", begun_after_the_first_look)
    status, printed = runs("watch", "late", "--root", home, "--seconds", "0")
    assert (0, 1, True) == (status, printed.count("nothing of 'late' is in home"), "'n': 42" in printed)


WATCH = ("watch", "--seconds", "0")


@pytest.mark.parametrize("command", [("show", "nobody", "--tracked"), (*WATCH, "nobody"), (*WATCH, "tracked")])
def test_what_was_not_tracked_is_said(runs: Any, home: str, command: tuple[str, ...]) -> None:
    status, printed = runs(*command, "--root", home, "--partition", "eve")
    whose = "tracked" if "tracked" in command else "nobody"
    assert (2, True) == (status, f"nothing was tracked of an application {whose!r} in home" in printed)


@pytest.mark.parametrize("where", [(), ("--tracked",)])
def test_a_list_of_less_than_nothing_is_a_mistake(runs: Any, where: tuple[str, ...]) -> None:
    said = "agentflow: --limit -1 is not usable: give a whole number, 0 or more.\n"
    assert (2, said) == runs("list", "--limit", "-1", *where)
