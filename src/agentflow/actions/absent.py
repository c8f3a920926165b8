"""AbsentAction: what stands where an action should be that the receiving process cannot find.

An error raised while a task is being unpickled breaks a whole process pool, and says nothing of why. So the action
arrives as this, and the error is raised by whoever would perform it. What must not live here: looking an action up.
"""

from __future__ import annotations

from typing import Any, NoReturn

from agentflow.actions.base import Action
from agentflow.errors import BuildError, SerializationError
from agentflow.runtime import Runtime
from agentflow.state import State


class AbsentAction(Action):
    """An action that only says why it is not there.

    Args:
        name: The name of the action that should be here.
        reason: Why it is not: half a sentence.
    """

    def __init__(self, name: str, reason: str) -> None:
        self._name = name
        self.reason: str = reason

    @property
    def description(self) -> str:
        """Why it is not there."""
        return self.reason

    def problems(self) -> list[BuildError]:
        """None: the graph is rebuilt around it, so that the error can be raised where it is sent back from."""
        return []

    def refuse(self) -> NoReturn:
        """Say that the action is not there.

        Raises:
            SerializationError: Always.
        """
        raise SerializationError(
            f"action '{self.name}' cannot be found in the process it was sent to: {self.reason}. Install that module "
            "where the worker runs (or put it on its PYTHONPATH) and keep the action at its top level, or use threads."
        )

    async def perform(self, runtime: Runtime, state: State[Any], inputs: dict[str, Any]) -> tuple[Any, State[Any]]:
        self.refuse()
