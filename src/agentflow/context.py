"""ApplicationContext: what an action may know about the run it is part of.

What must not live here: anything that changes the run.
"""

from __future__ import annotations

import contextvars
import time
from typing import Any

from agentflow.budget import CURRENT_METER
from agentflow.facts import Fact
from agentflow.hooks import NO_HOOKS, HookSet
from agentflow.runtime import CURRENT_STEP, current_step
from agentflow.usage import Usage


class ParentPointer(Fact):
    """The step of another application that this one came from."""

    app_id: str
    partition_key: str | None = None
    sequence_id: int | None = None


class Identity:
    """What stays the same for the whole life of an application object.

    `saving` is what saves it and on which terms. `finished` holds the results of children of the step that is being
    performed, by step and key, so that a retry of the step does not run them again; children share their parent's.
    """

    __slots__ = (
        "app_id",
        "finished",
        "hooks",
        "parallel_executor_factory",
        "parent_pointer",
        "partition_key",
        "saving",
        "spawning_parent_pointer",
        "tracker",
    )

    def __init__(
        self,
        app_id: str,
        partition_key: str | None = None,
        parent_pointer: ParentPointer | None = None,
        spawning_parent_pointer: ParentPointer | None = None,
        hooks: HookSet = NO_HOOKS,
        tracker: Any = None,
        parallel_executor_factory: Any = None,
        saving: Any = None,
        finished: dict[str, Any] | None = None,
    ) -> None:
        self.app_id: str = app_id
        self.partition_key: str | None = partition_key
        self.parent_pointer: ParentPointer | None = parent_pointer
        self.spawning_parent_pointer: ParentPointer | None = spawning_parent_pointer
        self.hooks: HookSet = hooks
        self.tracker: Any = tracker
        self.parallel_executor_factory: Any = parallel_executor_factory
        self.saving: Any = saving
        self.finished: dict[str, Any] = {} if finished is None else finished


class ApplicationContext:
    """The running step, as seen from inside an action.

    An action gets it as a parameter named `__context` or annotated `ApplicationContext`; code that an action calls gets
    it from `ApplicationContext.get()`. It is also a context manager that makes itself the running step.

    Attributes:
        sequence_id: The step; None when it is the application's own context and nothing has run.
        action_name: The action that runs, None outside of one.
    """

    _tokens: tuple[contextvars.Token[Any], ...] = ()
    _span_count: int = 0

    def __init__(self, identity: Identity, sequence_id: int | None, action_name: str | None) -> None:
        self._identity = identity
        self.sequence_id = sequence_id
        self.action_name = action_name
        self._used: list[tuple[float | None, Usage]] = []  # and when a call of its own ended; several threads add to it

    @property
    def app_id(self) -> str:
        """The id of the application."""
        return self._identity.app_id

    @property
    def application_id(self) -> str:
        """The same as `app_id`."""
        return self._identity.app_id

    @property
    def partition_key(self) -> str | None:
        """Whose application it is."""
        return self._identity.partition_key

    @property
    def tracker(self) -> Any:
        """The tracker of the application, None without one."""
        return self._identity.tracker

    @property
    def parallel_executor_factory(self) -> Any:
        """What makes the executor for parallel children, None for the default one."""
        return self._identity.parallel_executor_factory

    @property
    def saving(self) -> Any:
        """What saves the application and on which terms, None when nobody does."""
        return self._identity.saving

    @property
    def state_persister(self) -> Any:
        """What saves the application, None when nobody does."""
        return self._identity.saving and self._identity.saving.persister

    @property
    def idempotency_key(self) -> str:
        """Names this step of this application: the same on every attempt at it, and of no other step.

        Pass it to a provider that performs what bears one key once only.
        """
        import hashlib  # OpenSSL, which many programs need for nothing else

        text = "\x00".join((self.partition_key or "", self.app_id, str(self.sequence_id)))
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]

    @property
    def finished(self) -> dict[str, Any]:
        """Results of children of this step, kept for a retry of it."""
        return self._identity.finished

    @property
    def hooks(self) -> HookSet:
        """The hooks of the application."""
        return self._identity.hooks

    @staticmethod
    def get() -> ApplicationContext | None:
        """The context of the step that is running in this thread or task, None outside of one."""
        current = current_step()
        return current if isinstance(current, ApplicationContext) else None

    @property
    def usages(self) -> tuple[Usage, ...]:
        """What model calls of this step have used so far, and each of its children."""
        return tuple(usage for _, usage in self._used)

    @property
    def calls(self) -> tuple[tuple[float, Usage], ...]:
        """The same of its own calls only, each with when it ended (seconds since 1970)."""
        return tuple((ended, usage) for ended, usage in self._used if ended is not None)

    def record_usage(self, usage: Usage) -> None:
        """Count a model call as part of this step; several threads of it may do so at once."""
        self._used.append((time.time(), usage))
        meter = CURRENT_METER.get()
        if meter is not None:
            meter.count(usage)

    def next_span_number(self) -> int:
        """The number of the next span that is opened in this step, outside of any other."""
        self._span_count += 1
        return self._span_count - 1

    def include_usage(self, usage: Usage) -> None:
        """Count what a child used as part of this step; it was metered when the child's calls were made."""
        if usage.attempts:
            self._used.append((None, usage))

    def __enter__(self) -> ApplicationContext:
        self._tokens = (*self._tokens, CURRENT_STEP.set(self))
        return self

    def __exit__(self, *exc: object) -> None:
        *before, token = self._tokens
        self._tokens = tuple(before)
        CURRENT_STEP.reset(token)

    def __repr__(self) -> str:
        return f"<context of step {self.sequence_id} ({self.action_name}) of application {self.app_id!r}>"


def get_active_context() -> ApplicationContext | None:
    """The same as `ApplicationContext.get()`."""
    return ApplicationContext.get()


def get_active_tracker() -> Any:
    """The tracker of the running step's application, None outside of one or without a tracker."""
    context = ApplicationContext.get()
    return context.tracker if context is not None else None
