"""Many flows at once, in either colour: so many at a time, each end reported as it comes, the rest cancelled on demand.

Nobody leaves a nursery before every flow it started has ended. With `runtime.py` this is all that knows event loops
and threads. What must not live here: what the flows do.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from agentflow.nursery.flows import Cancelled, Emit, Job, OnEnd, Ready, Stop
from agentflow.runtime import BLOCKING, Runtime

if TYPE_CHECKING:
    from concurrent.futures import Executor

__all__ = ["Cancelled", "Emit", "Job", "OnEnd", "Ready", "Stop", "run_all"]


async def run_all(
    runtime: Runtime,
    jobs: Iterable[Job],
    limit: int,
    on_end: OnEnd,
    stop: Stop,
    executor: Executor | None = None,
    hear_each: bool = False,
) -> None:
    """Run every flow, at most `limit` at a time; it returns when all have ended or were cancelled.

    Args:
        runtime: Blocking flows run in threads, async ones in tasks of the running loop.
        jobs: The flows, each started when there is room.
        limit: How many run at once.
        on_end: Told of each end, never by two threads at once; what it raises cancels the rest and is raised here.
        stop: Set when the rest is cancelled.
        executor: What runs blocking flows; by default up to `limit` threads of their own.
        hear_each: Whether `on_end` may answer True, or raise, when a flow has ended well: then no thread starts another
            flow before the end of its last is heard. Of one that failed it always is.
    """
    numbered = enumerate(jobs)
    if runtime is not BLOCKING:
        from agentflow.nursery.tasks import run_in_tasks  # a blocking program never loads an event loop

        await run_in_tasks(numbered, limit, on_end, stop)
    elif executor is None:
        from agentflow.nursery.threads import run_in_threads

        run_in_threads(numbered, limit, on_end, stop, hear_each)
    else:
        from agentflow.nursery.executors import run_in_executor

        run_in_executor(numbered, limit, on_end, stop, executor)
