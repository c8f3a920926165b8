"""Many children at once: the same action over many states, many actions over one state, agents inside agents."""

from agentflow.parallel.compare import acompare, compare
from agentflow.parallel.comparison import Cell, Comparison, Verdict
from agentflow.parallel.executors import MultiThreadedExecutor
from agentflow.parallel.functions import map_reduce_action
from agentflow.parallel.maps import (
    MapActions,
    MapActionsAndStates,
    MapStates,
    TaskBasedParallelAction,
)
from agentflow.parallel.outcomes import Outcome
from agentflow.parallel.progress import progress_bar
from agentflow.parallel.stops import first, quorum
from agentflow.parallel.streams import astream_tasks, stream_tasks
from agentflow.parallel.subgraph import subgraph
from agentflow.parallel.tasks import RunnableGraph, SubGraphTask, bind_from_state

__all__ = [
    "Cell",
    "Comparison",
    "MapActions",
    "MapActionsAndStates",
    "MapStates",
    "MultiThreadedExecutor",
    "Outcome",
    "RunnableGraph",
    "SubGraphTask",
    "TaskBasedParallelAction",
    "Verdict",
    "acompare",
    "astream_tasks",
    "bind_from_state",
    "compare",
    "first",
    "map_reduce_action",
    "progress_bar",
    "quorum",
    "stream_tasks",
    "subgraph",
]
