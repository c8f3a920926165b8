"""Family: what the children of one step have in common; and the context of one whose identity nobody may ask for.

What must not live here: running a child (`child.py`).
"""

from __future__ import annotations

import functools
import hashlib
from typing import Any, Final

from agentflow.budget import CURRENT_METER, Meter
from agentflow.context import ApplicationContext, Identity, ParentPointer
from agentflow.hooks import NO_HOOKS, ExecuteMethod, HookSet
from agentflow.parallel.saved import saving_for
from agentflow.parallel.tasks import SubGraphTask
from agentflow.runtime import BLOCKING, CURRENT_STEP, Lock, Runtime, new_lock

#: What a task says of its tracker or store when it names none of its own.
OF_NO_OTHER: Final = ("cascade", None)


class Family:
    """What the children of one step have in common, worked out once for all of them.

    Args:
        context: The step they belong to.
        runtime: How they are run.
        timeout: The longest each may take, in seconds, unless its task says otherwise.
    """

    __slots__ = (
        "_hooks",
        "_is_unseen",
        "_prefix",
        "asking",
        "context",
        "executor_factory",
        "finished",
        "meter",
        "method",
        "name",
        "parent",
        "partition_key",
        "runtime",
        "saving",
        "step",
        "timeout",
        "tracker",
    )

    def __init__(self, context: ApplicationContext, runtime: Runtime, timeout: float | None = None) -> None:
        self.context: ApplicationContext = context
        self.step: Any = CURRENT_STEP.get()
        self.asking: Lock = new_lock()
        self.runtime: Runtime = runtime
        self.timeout: float | None = timeout
        self.meter: Meter | None = CURRENT_METER.get()
        self.method: ExecuteMethod = ExecuteMethod.run if runtime is BLOCKING else ExecuteMethod.arun
        self.parent: ParentPointer = ParentPointer(context.app_id, context.partition_key, context.sequence_id)
        self.partition_key: str | None = context.partition_key
        self.tracker: Any = context.tracker
        self.saving: Any = context.saving
        self.executor_factory: Any = context.parallel_executor_factory
        named = (context.partition_key or "", context.app_id, str(context.sequence_id), "")
        self.name: str = "\x00".join(named)
        self.finished: dict[str, Any] = context.finished.setdefault(self.name, {})
        self._prefix = hashlib.blake2b(self.name.encode(), digest_size=16)
        self._hooks: tuple[Any, HookSet] = (None, hooks_for(None, context))
        self._is_unseen = timeout is None and context.saving is None and self.hooks(context.tracker) is NO_HOOKS

    def id_of(self, key: str) -> str:
        """The id of the child of that key: the same on a retry of the step, new on the next visit."""
        named = self._prefix.copy()
        named.update(key.encode())
        return named.hexdigest()

    def hooks(self, tracker: Any) -> HookSet:
        """What observes a child with this tracker; siblings with the same one share it."""
        if self._hooks[0] is not tracker:
            self._hooks = tracker, hooks_for(tracker, self.context)
        return self._hooks[1]

    def identity_of(self, task: SubGraphTask, app_id: str) -> Identity:
        """Who a child is, and what it inherits from its parent."""
        tracker = self.tracker if task.tracker == "cascade" else task.tracker
        return Identity(
            app_id,
            self.partition_key,
            None,
            self.parent,
            self.hooks(tracker),
            tracker,
            self.executor_factory,
            self.saving if task.state_persister == "cascade" else saving_for(task, self.context),
            self.context.finished,
        )

    def is_unseen(self, task: SubGraphTask) -> bool:
        """Whether nobody saves, loads, records or times a child of that task."""
        return (
            self._is_unseen
            and task.timeout is None
            and task.tracker in OF_NO_OTHER
            and task.state_persister in OF_NO_OTHER
            and task.state_initializer in OF_NO_OTHER
        )


class ChildContext(ApplicationContext):
    """The running step of a child whose identity nobody may ask for: it is made when somebody does."""

    sequence_id = 0

    def __init__(self, family: Family, task: SubGraphTask, key: str, action_name: str) -> None:
        self.action_name = action_name
        self._used = []
        self._family, self._task, self._key = family, task, key  # and not the child, which refers to this

    @functools.cached_property
    def _identity(self) -> Identity:  # type: ignore[override]
        family, task = self._family, self._task
        return family.identity_of(task, task.application_id or family.id_of(self._key))


def hooks_for(tracker: Any, parent: ApplicationContext) -> HookSet:
    """What observes a child: its tracker, and those hooks of its parent that go along to children."""
    others = (hook for hook in parent.hooks.cascading if hook is not tracker)
    wanted = *(() if tracker is None else (tracker,)), *others
    if not wanted:
        return NO_HOOKS
    return parent.hooks if parent.hooks.hooks == wanted else HookSet(wanted)
