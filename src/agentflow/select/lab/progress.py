"""A progress bar, or whatever else wants to know how far it is.

What must not live here: anything about selectors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from agentflow.errors import MissingExtraError

#: True for a bar on the terminal, or a function that is told (done, total).
Progress = bool | Callable[[int, int], None]


@contextmanager
def shown(progress: Progress, total: int) -> Iterator[Callable[[], None]]:
    """Gives the function to call whenever one more is done."""
    if progress is True:
        with _bar(total) as advance:
            yield advance
        return
    done = 0

    def count() -> None:
        nonlocal done
        done += 1
        if callable(progress):
            progress(done, total)

    yield count


@contextmanager
def _bar(total: int) -> Iterator[Callable[[], None]]:
    try:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
    except ImportError as error:
        raise MissingExtraError("A progress bar", "cli") from error
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("evaluating", total=total)
        yield lambda: bar.advance(task)
