"""A small share of every row of the torture table; `make torture` runs all of it against every store."""

from __future__ import annotations

import pytest

from agentflow.cli import main
from agentflow.testing.torture import table
from tests.effort import THOROUGH

#: Rows that kill or race processes, whatever the share.
SLOW = ("kill", "boundaries", "race", "branching-race", "interrupts", "handles")
ROWS = [pytest.param(row.name, marks=pytest.mark.slow if row.name in SLOW else ()) for row in table.ROWS]
#: Of a row that is not named here it is 2 %; of these it would say nothing, or take long.
SHARES = {"boundaries": 0.5, "one-object": 1.0, "decisions": 0.1, "growth": 0.25}
QUICK_SHARES = {"stale": 0.001, "growth": 0.05}

#: The table forks while the thread that renews leases may be there; nothing of it is used on the other side.
pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")


@pytest.mark.parametrize("row", ROWS)
def test_a_share_of_each_row_finds_nothing_wrong(row: str) -> None:
    share = SHARES.get(row, 0.02) if THOROUGH else QUICK_SHARES.get(row, 0.02)
    ran = [(kind, found.wrong) for _, kind, _, found in table.run({"sqlite": ""}, [row], share)]
    assert [("sqlite", [])] == ran


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["postgresql", "redis"])
def test_neither_does_a_share_of_what_matters_most_elsewhere(kind: str, stores: dict[str, str]) -> None:
    rows = ["kill", "race", "faults"]
    ran = [(row.name, found.wrong) for row, _, _, found in table.run({kind: stores[kind]}, rows, 0.01)]
    assert [(name, []) for name in rows] == ran


def test_a_row_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert 2 == main(["torture", "kil"])
    assert "there is no row 'kil'. Did you mean 'kill'?" in capsys.readouterr().err


def test_the_table_says_what_was_found(capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == main(["torture", "clock", "--share", "0.02", "--store", "sqlite:"])
    printed = capsys.readouterr().out
    assert "against sqlite; 2% of the full sizes" in printed
    assert "clocks an hour off change nothing. steps in the state: 1" in printed
