"""A child as a function and arguments that can be pickled, for process pools and clusters.

Hooks, trackers and persisters stay behind: the child's usage and state come back, and its parent accounts for them and
saves them. What must not live here: running children in this process.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import BrokenExecutor
from dataclasses import dataclass
from typing import Any

from agentflow.actions.absent import AbsentAction
from agentflow.context import Identity, ParentPointer
from agentflow.engine import rules
from agentflow.engine.machine import Machine
from agentflow.engine.run import Run
from agentflow.errors import RunError, SerializationError
from agentflow.hooks import ExecuteMethod
from agentflow.parallel.outcomes import Outcome
from agentflow.parallel.tasks import RunnableGraph
from agentflow.runtime import BLOCKING, run_blocking
from agentflow.state import State
from agentflow.usage import total


@dataclass(frozen=True, slots=True)
class Parcel:
    """Everything a child needs elsewhere."""

    key: str
    app_id: str
    runnable: RunnableGraph
    values: Mapping[str, Any]
    inputs: Mapping[str, Any]
    parent: ParentPointer


@dataclass(frozen=True, slots=True)
class Returned:
    """What comes back of a child: how it ended, after which action, and what was to come next."""

    outcome: Outcome
    prior: str | None
    pending: str | None


def run_parcel(parcel: Parcel) -> Returned:
    """Run a child in this process, whichever that is.

    Raises:
        SerializationError: An action of the child cannot be found in this process.
        Exception: The child's error; one that could not be sent back is told by a `RunError`.
    """
    started = time.perf_counter()
    runnable, graph = parcel.runnable, parcel.runnable.graph
    for action in graph.actions:
        if isinstance(action, AbsentAction):  # before its inputs are checked, which only the real one knows
            action.refuse()
    identity = Identity(parcel.app_id, parcel.parent.partition_key, None, parcel.parent)
    machine = Machine(graph, State(parcel.values), runnable.entrypoint, identity)
    halts = rules.halts(graph, None, runnable.halt_after)
    run = Run(machine, BLOCKING, ExecuteMethod.run, halts, rules.checked_inputs(graph, parcel.inputs), None)
    try:
        run_blocking(run.to_end())
    except Exception as error:
        raise sendable(error) from None
    usage = total(machine.usage_by_action.values())
    outcome = Outcome(parcel.key, parcel.app_id, machine.state, None, usage, time.perf_counter() - started)
    return Returned(outcome, machine.prior, machine.pending)


def sendable(error: Exception) -> Exception:
    """The error, or one that tells of it when it could not be made again from its arguments in another process.

    An error that cannot be unpickled breaks a whole process pool; litellm's are of that kind.
    """
    try:
        type(error)(*error.args)
    except Exception:
        return RunError(f"{type(error).__name__}: {error}")
    return error


def explained(error: BaseException, key: str) -> BaseException:
    """The error of an executor that could not send a task, or died of it, with the remedy; any other as it is."""
    text = f"{type(error).__name__} {error}"
    if isinstance(error, BrokenExecutor):
        made: BaseException = RunError(
            f"the executor broke while it had the task {key!r}: {error} Look at what its workers wrote, such as a "
            "module they cannot import or memory that ran out, and give the map a new executor."
        )
    elif "ickl" in text or "Can't get local object" in text:  # pickle's words, the second since Python 3.13
        made = SerializationError(
            f"the executor could not send the task {key!r} to another process: {error}. Define its action and "
            "everything it binds at the top level of a module, or use threads."
        )
    else:
        return error
    made.__cause__ = error
    return made
