"""A progress bar for the children of a map, drawn by rich.

What must not live here: running children; a bar only hears of each outcome.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from agentflow.errors import MissingExtraError
from agentflow.parallel.outcomes import Outcome

if TYPE_CHECKING:
    from rich.progress import Progress


@contextmanager
def progress_bar(description: str, *, file: TextIO | None = None) -> Iterator[Callable[[Outcome, int], None]]:
    """A bar for the `progress` option of a map, that moves with each child that has ended, however it ended.

    One bar may be given to several maps, or to one that is visited again: each adds its children to the total when the
    children before have ended. What is no terminal gets one line at the end.

    Args:
        description: What is being done.
        file: Where it is drawn; by default standard error.

    Raises:
        MissingExtraError: rich is not installed.

    Example:
        >>> with progress_bar("asking") as bar:
        ...     app = builder.with_actions(ask=AskAll(progress=bar)).build()
        ...     app.run()
    """
    try:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
    except ImportError:
        raise MissingExtraError("A progress bar", "cli") from None
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(file=file or sys.stderr)) as drawn:
        yield _Bar(drawn, description)


class _Bar:
    """Counts outcomes and moves the bar."""

    def __init__(self, drawn: Progress, description: str) -> None:
        self._drawn, self._description = drawn, description
        self._task = drawn.add_task(description, total=None)
        self._total = self._come = self._failed = self._cancelled = 0

    def __call__(self, outcome: Outcome, total: int) -> None:
        if self._come >= self._total:
            self._total += total
        self._come += 1
        self._cancelled += outcome.cancelled
        self._failed += not outcome.cancelled and not outcome.succeeded
        said = [f"{count} {how}" for count, how in ((self._failed, "failed"), (self._cancelled, "cancelled")) if count]
        text = f"{self._description} ({', '.join(said)})" if said else self._description
        self._drawn.update(self._task, completed=self._come, total=self._total, description=text)
