"""LocalTracker: the hook that records what applications do, in a file on this machine.

At each moment it makes JSON text of what it is told, there and then, since values may change afterwards; everything
else happens in the writer's thread. It never raises and never waits. What must not live here: files, threads, or how a
value becomes text.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from agentflow.errors import BuildError
from agentflow.hooks import ExecuteMethod
from agentflow.redaction import Redactor
from agentflow.select.selector import Decision
from agentflow.state import State
from agentflow.tracking.describing import add_outcome, decision_facts, described, pointer_facts
from agentflow.tracking.encoding import Encoder, error_facts
from agentflow.tracking.guarding import Guarded, never_raises
from agentflow.tracking.places import FILE, root_folder
from agentflow.tracking.saved import table_in
from agentflow.tracking.store import Built, Row, Source
from agentflow.tracking.writer import FAREWELL, Writer, writer_of

#: So many beginnings without an end are remembered; those of abandoned streams have none.
OPEN: Final = 10_000


class LocalTracker(Guarded):
    """Records every run: applications, steps, decisions, model calls, spans, streams, parents and children.

    One tracker may serve any number of applications, threads and children. What it records is read by `Runs`. Secrets
    are taken out before anything is stored. Whatever happens to the file, the runs go on; what is lost is counted.

    Args:
        project: Under which name the runs are listed.
        root: The folder of the file; by default the variable AGENTFLOW_HOME, or ~/.agentflow.
        store: The file itself instead, such as that of a `SQLitePersister`; what is saved there is not stored again.
        max_bytes: How large the file may grow; what does not fit is dropped. None for no limit.
        redact: More names of keys whose values are hidden, besides those that are telling, such as "password".

    Raises:
        BuildError: The project is no name.

    Example:
        >>> tracker = LocalTracker(project="demo")
        >>> app = builder.with_tracker(tracker).build()
        >>> app.run(halt_after=["answer"])
        >>> [step.action for step in Runs().steps(app.app_id)]
        ['ask', 'answer']
    """

    def __init__(
        self,
        project: str = "default",
        root: str | os.PathLike[str] | None = None,
        *,
        store: str | os.PathLike[str] | None = None,
        max_bytes: int | None = None,
        redact: Iterable[str] = (),
    ) -> None:
        if not isinstance(project, str) or not project:
            raise BuildError(f"project={project!r} is no name for a project: give a text such as 'demo'.")
        super().__init__()
        self.project: str = project
        self.path: Path = Path(store) if store is not None else root_folder(root) / FILE
        self._redactor = Redactor(redact)
        self._encode: Callable[[Any], str] = Encoder(self._redactor.learn).encode
        self._writer: Writer = writer_of(self.path, max_bytes)
        self._going: dict[Any, Any] = {}
        self._attempts: dict[Any, tuple[int, int]] = {}

    # -- what its owner may do

    @property
    def dropped(self) -> int:
        """How many events were lost: the file could not be written, or could not keep up."""
        return self._writer.dropped

    @property
    def problem(self) -> str | None:
        """The last thing that went wrong, None when nothing has."""
        return self._writer.problem

    def flush(self, timeout: float = FAREWELL) -> bool:
        """Wait, at most `timeout` seconds, until all that was tracked so far is stored or lost; whether it is."""
        return self._writer.flush(timeout)

    def close(self, timeout: float = FAREWELL) -> bool:
        """The same, and let go of the file; tracking something opens it again."""
        return self._writer.close(timeout)

    def move_beside(self, persister: Any) -> None:
        """Record into the file of a `SQLitePersister` from now on; what other persisters there are changes nothing."""
        where = getattr(persister, "db_path", None)
        if where is not None and table_in(where, persister) is not None:
            self.path = Path(where)
            self._writer = writer_of(self.path)

    def copy(self) -> LocalTracker:
        """A tracker that records under the same project into the same file; sharing one does as well."""
        made: LocalTracker = object.__new__(type(self))
        vars(made).update(vars(self))
        made._going, made._attempts = {}, {}
        return made

    def __repr__(self) -> str:
        return f"<tracker of project {self.project!r} in {self.path}>"

    # -- applications and runs

    @never_raises
    def post_application_create(
        self,
        *,
        app_id: str,
        partition_key: str | None,
        state: State[Any],
        application_graph: Any,
        parent_pointer: Any = None,
        spawning_parent_pointer: Any = None,
        state_persister: Any = None,
        **more: Any,
    ) -> None:
        """Records the application, its graph, what it starts from and where it comes from."""
        source, at = Source(self.project, partition_key, app_id), time.time()
        digest, text = described(application_graph, self._encode)
        built = Built(source, at, digest, text, pointer_facts(spawning_parent_pointer), pointer_facts(parent_pointer))
        self._writer.put(self._redactor, built, len(text))
        table = table_in(self.path, state_persister)
        if table is not None:
            self._remember(("saved", app_id, partition_key), table)
        facts = {"state": state.get_all()} if table is None else {"saved": table}
        self._put(source, "build", None, at, self._encode(facts))

    @never_raises
    def pre_run_execute_call(self, *, app_id: str, partition_key: str | None, **more: Any) -> None:
        """Remembers when the run began."""
        self._remember(("run", app_id, partition_key), (time.time(), time.perf_counter()))

    @never_raises
    def post_run_execute_call(
        self,
        *,
        app_id: str,
        partition_key: str | None,
        method: ExecuteMethod,
        exception: BaseException | None,
        **more: Any,
    ) -> None:
        """Records the run of a verb."""
        at, began = self._going.pop(("run", app_id, partition_key), None) or (time.time(), time.perf_counter())
        facts: dict[str, Any] = {"method": str(method), "seconds": time.perf_counter() - began}
        if exception is not None:
            facts["error"] = {"kind": type(exception).__name__}
        self._put(Source(self.project, partition_key, app_id), "run", None, at, self._encode(facts))

    @never_raises
    def post_update_state(
        self, *, app_id: str, partition_key: str | None, method: str, state: State[Any], **more: Any
    ) -> None:
        """Records the state that was put in from outside."""
        facts = {"method": method, "state": state.get_all()}
        self._put(Source(self.project, partition_key, app_id), "update", None, time.time(), self._encode(facts))

    # -- steps and decisions

    @never_raises
    def pre_run_step(
        self,
        *,
        app_id: str,
        partition_key: str | None,
        sequence_id: int,
        action: Any,
        inputs: Mapping[str, Any],
        **more: Any,
    ) -> None:
        """Records that a step has begun, with its inputs as they are now."""
        at = time.time()
        given = self._encode(inputs) if inputs else "{}"
        self._remember((app_id, partition_key, sequence_id), (at, time.perf_counter(), given))
        begun = f'{{"inputs":{given},"action":{self._encode(action.name)}}}'
        self._put(Source(self.project, partition_key, app_id), "begin", sequence_id, at, begun)

    @never_raises
    def post_run_step(
        self,
        *,
        app_id: str,
        partition_key: str | None,
        sequence_id: int,
        action: Any,
        state: State[Any],
        result: Mapping[str, Any] | None,
        exception: BaseException | None,
        context: Any = None,
        **more: Any,
    ) -> None:
        """Records how a step ended: what it changed, or the error, and what it used."""
        key = app_id, partition_key, sequence_id
        at, began, given = self._going.pop(key, None) or (time.time(), time.perf_counter(), "{}")
        facts: dict[str, Any] = {"action": action.name, "seconds": time.perf_counter() - began}
        streamed = self._going.pop(("stream", *key), None)
        if streamed is not None:
            facts["stream"] = dict(zip(("opened", "first", "items"), streamed, strict=True))
        self._count_attempt(key, facts, exception)
        if exception is None:
            add_outcome(facts, state, result, self._going.get(("saved", app_id, partition_key)))
        else:
            facts["status"] = "failed" if isinstance(exception, Exception) else "cancelled"
            facts["error"] = error_facts(exception)
        if context is not None and context.usages:
            facts["usages"] = context.usages
        told = f'{{"inputs":{given},{self._encode(facts)[1:]}'
        self._put(Source(self.project, partition_key, app_id), "step", sequence_id, at, told)

    @never_raises
    def post_decide(
        self, *, app_id: str, partition_key: str | None, decision: Decision, context: Any = None, **more: Any
    ) -> None:
        """Records a choice, and what it used."""
        facts = decision_facts(decision)
        if context is not None and context.usages:
            facts["usages"] = context.usages
        told = self._encode(facts)
        source = Source(self.project, partition_key, app_id)
        self._put(source, "decision", decision.sequence_id, time.time(), told)

    # -- streams and spans

    @never_raises
    def pre_start_stream(self, *, app_id: str, partition_key: str | None, sequence_id: int, **more: Any) -> None:
        """Remembers when a stream was opened."""
        self._remember(("stream", app_id, partition_key, sequence_id), (time.time(), None, 0))

    @never_raises
    def post_stream_item(
        self,
        *,
        app_id: str,
        partition_key: str | None,
        sequence_id: int,
        item_index: int,
        stream_initialize_time: float,
        first_stream_item_start_time: float,
        **more: Any,
    ) -> None:
        """Counts the items of a stream."""
        counted = (stream_initialize_time, first_stream_item_start_time, item_index + 1)
        self._going["stream", app_id, partition_key, sequence_id] = counted

    @never_raises
    def pre_start_span(self, *, span: Any, span_dependencies: list[str], **more: Any) -> None:
        """Records that a span was opened."""
        parent = None if span.parent is None else span.parent.uid
        facts = {"uid": span.uid, "name": span.name, "parent": parent, "dependencies": span_dependencies}
        self._put_of_step("span", facts, **more)

    @never_raises
    def post_end_span(self, *, span: Any, **more: Any) -> None:
        """Records that a span was closed."""
        self._put_of_step("span_end", {"uid": span.uid}, **more)

    @never_raises
    def do_log_attributes(
        self, *, attributes: dict[str, Any], span: Any = None, tags: dict[str, Any] | None = None, **more: Any
    ) -> None:
        """Records attributes of a span, or of a step."""
        facts: dict[str, Any] = {"uid": None if span is None else span.uid, "attributes": attributes}
        if tags:
            facts["tags"] = tags
        self._put_of_step("attributes", facts, **more)

    # -- inside

    def _put(self, source: Source, kind: str, step: int | None, at: float, data: str) -> None:
        self._writer.put(self._redactor, Row(source, kind, step, at, data), len(data))

    def _put_of_step(
        self,
        kind: str,
        facts: Mapping[str, Any],
        *,
        app_id: str,
        partition_key: str | None,
        action_sequence_id: int | None,
        action: str | None = None,
        **more: Any,
    ) -> None:
        source = Source(self.project, partition_key, app_id)
        told = self._encode({"action": action, **facts})
        self._put(source, kind, action_sequence_id, time.time(), told)

    def _remember(self, key: Any, beginning: Any) -> None:
        self._going[key] = beginning
        if len(self._going) > OPEN:
            self._going.pop(next(iter(self._going)), None)

    def _count_attempt(self, key: tuple[Any, ...], facts: dict[str, Any], error: BaseException | None) -> None:
        whose, step = key[:2], key[2]
        before, count = self._attempts.pop(whose, (step, 0)) if self._attempts else (step, 0)
        attempt = count + 1 if before == step else 1
        if error is not None:
            self._attempts[whose] = step, attempt
            if len(self._attempts) > OPEN:
                self._attempts.pop(next(iter(self._attempts)), None)
        if attempt > 1:
            facts["attempt"] = attempt

    def failed(self, error: Exception) -> None:
        """Count a failure, and keep what it was."""
        self._writer.lose()
        self._writer.note(error)
