"""Hooks that are ready to be used: a log of every step as JSON lines, and a brake for people who watch.

What must not live here: trackers, which store what can be read back.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentflow.errors import BuildError
from agentflow.runtime import ASYNC, BLOCKING, run_blocking

if TYPE_CHECKING:
    from agentflow.actions import Action
    from agentflow.state import State


class StateAndResultsFullLogger:
    """Writes one JSON line after each step: its action, inputs, result, error and the whole state.

    Meant for a look at what happens; the file grows by the whole state at each step.

    Args:
        jsonl_path: The file.
        mode: "append", or "w" to begin the file anew.
        default_handler: What stands for a value that JSON has no form for; by default its `repr`.

    Raises:
        BuildError: The mode is neither of the two.

    Example:
        >>> builder.with_hooks(StateAndResultsFullLogger("run.jsonl"))
    """

    def __init__(
        self, jsonl_path: str | Path, mode: str = "append", default_handler: Callable[[Any], Any] = repr
    ) -> None:
        if mode not in ("append", "w"):
            raise BuildError(f"mode={mode!r} is no way to write a log: use 'append' or 'w'.")
        self.path: Path = Path(jsonl_path)
        self.default_handler: Callable[[Any], Any] = default_handler
        self._inputs: dict[tuple[str, int], Mapping[str, Any]] = {}
        if mode == "w":
            self.path.write_text("", encoding="utf-8")

    def pre_run_step(self, *, app_id: str, sequence_id: int, inputs: Mapping[str, Any]) -> None:
        """Keeps the inputs for the line."""
        self._inputs[app_id, sequence_id] = inputs

    def post_run_step(
        self,
        *,
        app_id: str,
        sequence_id: int,
        action: Action,
        state: State[Any],
        result: Mapping[str, Any] | None,
        exception: BaseException | None,
    ) -> None:
        """Writes the line."""
        line = {
            "time": datetime.now(UTC).isoformat(),
            "app_id": app_id,
            "sequence_id": sequence_id,
            "action": action.name,
            "inputs": self._inputs.pop((app_id, sequence_id), {}),
            "result": result,
            "exception": None if exception is None else repr(exception),
            "state": state.get_all(),
        }
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, default=self.default_handler) + "\n")


class SlowDownHook:
    """Waits before and after each step of a blocking run, so that a person can follow it.

    Args:
        pre_sleep_time: Seconds to wait before a step.
        post_sleep_time: Seconds to wait after it.
    """

    def __init__(self, pre_sleep_time: float = 0.5, post_sleep_time: float = 0.5) -> None:
        self.pre_sleep_time: float = pre_sleep_time
        self.post_sleep_time: float = post_sleep_time

    def pre_run_step(self) -> None:
        """Waits."""
        run_blocking(BLOCKING.sleep(self.pre_sleep_time))

    def post_run_step(self) -> None:
        """Waits."""
        run_blocking(BLOCKING.sleep(self.post_sleep_time))


class AsyncSlowDownHook:
    """The same for an async run: it holds up nobody else.

    Args:
        pre_sleep_time: Seconds to wait before a step.
        post_sleep_time: Seconds to wait after it.
    """

    def __init__(self, pre_sleep_time: float = 0.5, post_sleep_time: float = 0.5) -> None:
        self.pre_sleep_time: float = pre_sleep_time
        self.post_sleep_time: float = post_sleep_time

    async def pre_run_step(self) -> None:
        """Waits."""
        await ASYNC.sleep(self.pre_sleep_time)

    async def post_run_step(self) -> None:
        """Waits."""
        await ASYNC.sleep(self.post_sleep_time)
