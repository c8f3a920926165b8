"""What every hook of this package has in common: its own failures are counted, and never raised into a run.

What must not live here: what a particular hook does.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from agentflow.redaction import redact

Method = TypeVar("Method", bound=Callable[..., None])


class Guarded:
    """A hook whose methods are made safe by `never_raises`."""

    def __init__(self) -> None:
        self._lost = 0
        self._problem: str | None = None

    @property
    def dropped(self) -> int:
        """How many events were lost."""
        return self._lost

    @property
    def problem(self) -> str | None:
        """The last thing that went wrong, None when nothing has."""
        return self._problem

    def failed(self, error: Exception) -> None:
        """Count a failure, and keep what it was."""
        self._lost += 1
        self._problem = redact(f"{type(error).__name__}: {error}")


def never_raises(method: Method) -> Method:
    """Make a hook's method count its own failures instead of raising them into the run."""

    @functools.wraps(method)
    def guarded(self: Guarded, **facts: Any) -> None:
        try:
            method(self, **facts)
        except Exception as error:
            self.failed(error)

    return guarded  # type: ignore[return-value]
