"""A comparison on the screen while its answers come: a table that fills, or plain lines where there is no terminal.

What must not live here: asking anybody.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.live import Live
    from rich.table import Table
    from rich.text import Text

    from agentflow.parallel import Cell, Comparison


class Screen(Protocol):
    """Where a comparison is shown."""

    def show(self, row: int, column: int, cell: Cell) -> None:
        """A cell has come."""

    def finish(self, done: Comparison) -> None:
        """All have."""


@contextmanager
def shown(prompts: Sequence[str], models: Sequence[str]) -> Iterator[Screen]:
    """A screen for a comparison: rich's if it is installed and standard output is a terminal, else plain lines."""
    if not sys.stdout.isatty() or find_spec("rich") is None:
        yield PlainScreen(len(prompts) * len(models))
        return
    from rich.live import Live

    with Live(transient=True) as live:  # what it showed is replaced by the whole answers
        yield RichScreen(live, prompts, models)


class PlainScreen:
    """One line for each cell as it comes, to standard error; the answers, prompt by prompt, to standard output."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._come = 0

    def show(self, row: int, column: int, cell: Cell) -> None:
        self._come += 1
        print(f"[{self._come}/{self._total}] {cell.model}: {cell.facts}", file=sys.stderr)

    def finish(self, done: Comparison) -> None:
        for prompt, row in zip(done.prompts, done.rows, strict=True):
            print(f"## {prompt}\n")
            for cell in row:
                answer = f"{cell.text}\n" if cell.text else ""
                print(f"{cell.model} ({cell.facts})\n{answer}")
        for verdict in done.verdicts:
            print(f"{verdict.text}\n")


class RichScreen:
    """A table whose cells fill as they come, and the whole answers at the end."""

    def __init__(self, live: Live, prompts: Sequence[str], models: Sequence[str]) -> None:
        self._live, self._prompts, self._models = live, prompts, models
        self._cells: dict[tuple[int, int], Cell] = {}
        live.update(self._table(), refresh=True)

    def show(self, row: int, column: int, cell: Cell) -> None:
        self._cells[row, column] = cell
        self._live.update(self._table(), refresh=True)

    def finish(self, done: Comparison) -> None:
        self._live.console.print(done.table())

    def _table(self) -> Table:
        from rich.table import Table
        from rich.text import Text

        table = Table(title=f"{len(self._cells)} of {len(self._prompts) * len(self._models)} have come")
        table.add_column("prompt", style="bold", ratio=1)
        for model in self._models:
            table.add_column(Text(model), ratio=2, overflow="fold")
        for row, prompt in enumerate(self._prompts):
            table.add_row(Text(prompt), *(self._shown(row, column) for column in range(len(self._models))))
        return table

    def _shown(self, row: int, column: int) -> Text:
        from rich.text import Text

        cell = self._cells.get((row, column))
        if cell is None:
            return Text("...", style="dim")
        return Text(cell.facts, style="green" if cell.error is None else "red")
