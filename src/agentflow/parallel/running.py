"""Running children: each is an application of its own below the running step.

What must not live here: which children there are (`maps.py`), or what is made of their results.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from agentflow.context import ApplicationContext
from agentflow.errors import BuildError
from agentflow.nursery import Cancelled, Stop, run_all
from agentflow.parallel.child import Child
from agentflow.parallel.executors import opened
from agentflow.parallel.family import Family
from agentflow.parallel.outcomes import Outcome
from agentflow.parallel.plan import Plan
from agentflow.parallel.tasks import SubGraphTask
from agentflow.runtime import BLOCKING, CURRENT_STEP, Runtime
from agentflow.state import State, independent


async def run_children(
    runtime: Runtime, tasks: Sequence[SubGraphTask], plan: Plan, context: ApplicationContext
) -> list[Child]:
    """Run the tasks as children of the running step: the children, each over, in the order of the tasks.

    A child that finished in an earlier try of the same step is not run again. When this returns or raises, no child is
    running any more.

    Raises:
        Exception: The first error of a child, if `plan.on_error` is "raise".
        BuildError: Two tasks have the same key.
    """
    family = Family(context, runtime, plan.timeout)
    children = [Child(task, position, family) for position, task in enumerate(tasks)]
    refuse_alike(children)
    kept = [child for child in children if child.was_kept()] if family.finished else []
    ended = [child.result for child in kept]
    if len(kept) < len(children) and not (ended and plan.is_enough(ended)):
        ahead = [child for child in children if not child.is_over] if kept else children
        await _run_rest(ahead, len(children), ended, plan, family)
    for child in children:
        if child.state is None and not child.is_over:
            child.end(None, Cancelled("it was not needed any more"))
    return children


async def _run_rest(ahead: Sequence[Child], count: int, ended: list[Outcome], plan: Plan, family: Family) -> None:
    failure: list[BaseException] = []
    told = plan.stop is not None or plan.progress is not None

    def on_end(position: int, value: Any, error: BaseException | None) -> bool:
        child = ahead[position]
        child.end(value, error)
        if told:
            CURRENT_STEP.set(family.step)  # a child that was awaited itself leaves its own
            ended.append(child.result)
            plan.tell(child.result, count)
        if child.failure is not None and _is_fatal(child.failure, plan):
            failure.append(child.failure)
            return True
        return told and plan.is_enough(ended)

    given = plan.executor if plan.executor is not None else family.executor_factory
    with opened(given if family.runtime is BLOCKING else None) as executor:
        await run_all(family.runtime, ahead, plan.max_concurrency, on_end, Stop(), executor, told)
    if failure:
        raise failure[0]


def _is_fatal(error: BaseException, plan: Plan) -> bool:
    return plan.on_error == "raise" or not isinstance(error, Exception)


def refuse_alike(children: Sequence[Child]) -> None:
    """Refuse children that could not be told from each other.

    Raises:
        BuildError: Two have the same key or the same id.
    """
    given = {child.task.application_id for child in children} != {None}
    if len({child.app_id if given else child.key for child in children}) == len(children):
        return
    seen: set[str] = set()
    for child in children:
        if child.app_id in seen:
            raise BuildError(f"two tasks have the key {child.key!r} or the same application_id: give each its own.")
        seen.add(child.app_id)


def first_state(given: object, owner: str, typing: Any = "cascade") -> State[Any]:
    """What a child starts from: only what its maker may read, free of its maker's declaration."""
    if not isinstance(given, State):
        raise BuildError(f"{owner} gave {type(given).__name__} where a child needs a State: yield state.update(...).")
    return independent(given, typing)
