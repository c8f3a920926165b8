"""OpenTelemetryHook: runs, steps, choices, model calls and spans as OpenTelemetry spans (extra `otel`).

The names follow OpenTelemetry's semantic conventions for generative AI, version 1.41.0, whose status is "development"
(https://opentelemetry.io/docs/specs/semconv/gen-ai/): a run is `invoke_agent`, a model call is `chat` or `embeddings`.
What they have no name for is under `agentflow.`. Values of the state are not exported, and secrets are taken out of
what is. Exporting is the business of the SDK that the program has set up; without one nothing happens. What must not
live here: storing, or setting up an SDK.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from agentflow.errors import MissingExtraError
from agentflow.hooks import ExecuteMethod
from agentflow.redaction import HIDDEN, Redactor
from agentflow.select.selector import Decision
from agentflow.state import State, delta
from agentflow.tracking.encoding import Encoder, error_facts
from agentflow.tracking.guarding import Guarded, never_raises
from agentflow.usage import Usage

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span, Tracer, TracerProvider

#: So many spans are kept open; those of abandoned streams never end.
OPEN: Final = 10_000
#: The conventions' names of those who serve models, where they differ from ours.
PROVIDERS: Final = {
    "azure": "azure.ai.openai",
    "azure_ai": "azure.ai.inference",
    "bedrock": "aws.bedrock",
    "gemini": "gcp.gemini",
    "mistral": "mistral_ai",
    "vertex_ai": "gcp.vertex_ai",
    "watsonx": "ibm.watsonx.ai",
    "xai": "x_ai",
}

Attributes = dict[str, Any]


class OpenTelemetryHook(Guarded):
    """Tells OpenTelemetry what runs and their children do.

    A step is the current span while its action runs, so what other libraries trace inside of it lies below it; the
    step of a stream is not, because its reader takes turns with it.

    Args:
        agent: What the agent is called, for `gen_ai.agent.name`.
        tracer_provider: Who makes the spans; by default the one that was set for the whole program.

    Raises:
        MissingExtraError: OpenTelemetry is not installed.

    Example:
        >>> app = builder.with_hooks(OpenTelemetryHook(agent="support")).build()
    """

    cascades: bool = True

    def __init__(self, agent: str = "agentflow", tracer_provider: TracerProvider | None = None) -> None:
        try:
            from opentelemetry import context, trace
        except ImportError as error:
            raise MissingExtraError("OpenTelemetry", "otel") from error
        super().__init__()
        self.agent: str = agent
        self._trace = trace
        self._context = context
        self._tracer: Tracer = trace.get_tracer("agentflow", tracer_provider=tracer_provider)
        self._redactor = Redactor()
        self._encode: Callable[[Any], str] = Encoder(self._redactor.learn).encode
        self._open: dict[Any, Span] = {}
        self._attached: dict[Any, Any] = {}
        self._spawned: dict[Any, Context] = {}

    # -- applications and runs

    @never_raises
    def post_application_create(
        self,
        *,
        app_id: str,
        partition_key: str | None,
        state: State[Any],
        spawning_parent_pointer: Any = None,
        **more: Any,
    ) -> None:
        """Remembers below which step a child runs."""
        self._meet(state.get_all())
        parent = spawning_parent_pointer
        if parent is None:
            return
        step = self._open.get(("step", parent.app_id, parent.partition_key, parent.sequence_id))
        if step is not None:
            self._keep(self._spawned, (app_id, partition_key), self._below(step))

    @never_raises
    def pre_run_execute_call(
        self, *, app_id: str, partition_key: str | None, method: ExecuteMethod, **more: Any
    ) -> None:
        """Opens the span of a run, below the step that spawned it or whatever span is current."""
        facts: Attributes = {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.agent.name": self.agent,
            "gen_ai.conversation.id": app_id,
            "agentflow.method": str(method),
        }
        if partition_key is not None:
            facts["agentflow.partition_key"] = partition_key
        below = self._spawned.pop((app_id, partition_key), None)
        self._start(("run", app_id, partition_key), f"invoke_agent {self.agent}", facts, below)

    @never_raises
    def post_run_execute_call(
        self, *, app_id: str, partition_key: str | None, exception: BaseException | None, **more: Any
    ) -> None:
        """Ends the span of a run."""
        self._end(self._open.pop(("run", app_id, partition_key), None), exception)

    # -- steps and choices

    @never_raises
    def pre_run_step(
        self, *, app_id: str, partition_key: str | None, sequence_id: int, action: Any, inputs: Any, **more: Any
    ) -> None:
        """Opens the span of a step, and makes it the current one."""
        self._meet(inputs)
        whose = app_id, partition_key
        facts: Attributes = {"agentflow.action": action.name, "agentflow.sequence_id": sequence_id}
        key = ("step", *whose, sequence_id)
        span = self._start(key, f"step {action.name}", facts, self._below(self._open.get(("run", *whose))))
        if not action.streaming:
            self._keep(self._attached, key, self._context.attach(self._trace.set_span_in_context(span)))

    @never_raises
    def post_run_step(
        self,
        *,
        app_id: str,
        partition_key: str | None,
        sequence_id: int,
        state: State[Any],
        exception: BaseException | None,
        context: Any = None,
        **more: Any,
    ) -> None:
        """Ends the span of a step, with one below it for each of its model calls."""
        key = ("step", app_id, partition_key, sequence_id)
        token, span = self._attached.pop(key, None), self._open.pop(key, None)
        if token is not None:
            self._context.detach(token)
        self._meet(delta(state).set if exception is None else None)
        if span is not None:
            self._tell_calls(context, self._below(span))
        self._end(span, exception)

    @never_raises
    def post_decide(
        self, *, app_id: str, partition_key: str | None, decision: Decision, context: Any = None, **more: Any
    ) -> None:
        """Records a choice, with a span below it for each of its model calls."""
        facts: Attributes = {
            "agentflow.decision.source": decision.source,
            "agentflow.decision.target": decision.target,
            "agentflow.decision.targets": list(decision.targets),
            "agentflow.decision.by": decision.decided_by,
            "agentflow.decision.fallback": decision.fallback,
            "agentflow.sequence_id": decision.sequence_id,
        }
        for name in ("reason", "confidence", "cost"):
            if getattr(decision, name) is not None:
                facts[f"agentflow.decision.{name}"] = getattr(decision, name)
        now = time.time_ns()
        span = self._tracer.start_span(
            f"decide {decision.source}",
            self._below(self._open.get(("run", app_id, partition_key))),
            attributes=self._plain(facts),
            start_time=now - int(decision.seconds * 1e9),
        )
        self._tell_calls(context, self._below(span))
        span.end(now)

    # -- streams and spans

    @never_raises
    def post_stream_item(
        self, *, app_id: str, partition_key: str | None, sequence_id: int, item_index: int, **more: Any
    ) -> None:
        """Notes when the first item of a stream came, and how many have come."""
        span = self._open.get(("step", app_id, partition_key, sequence_id))
        if span is not None:
            if item_index == 0:
                span.add_event("first item")
            span.set_attribute("agentflow.stream.items", item_index + 1)

    @never_raises
    def pre_start_span(
        self, *, span: Any, app_id: str, partition_key: str | None, action_sequence_id: int, **more: Any
    ) -> None:
        """Opens a span that an action opens, below its parent or its step."""
        step = ("step", app_id, partition_key, action_sequence_id)
        parent = step if span.parent is None else ("span", app_id, partition_key, span.parent.uid)
        facts: Attributes = {"agentflow.action": span.action, "agentflow.sequence_id": action_sequence_id}
        key = ("span", app_id, partition_key, span.uid)
        self._start(key, span.name, facts, self._below(self._open.get(parent)))

    @never_raises
    def post_end_span(self, *, span: Any, app_id: str, partition_key: str | None, **more: Any) -> None:
        """Ends it."""
        self._end(self._open.pop(("span", app_id, partition_key, span.uid), None), None)

    @never_raises
    def do_log_attributes(
        self,
        *,
        attributes: Mapping[str, Any],
        app_id: str,
        partition_key: str | None,
        action_sequence_id: int | None,
        span: Any = None,
        **more: Any,
    ) -> None:
        """Records attributes on the span of an action, or on that of its step."""
        named = ("step", app_id, partition_key, action_sequence_id)
        opened = self._open.get(named if span is None else ("span", app_id, partition_key, span.uid))
        if opened is not None:
            opened.set_attributes(self._plain(attributes))

    # -- inside

    def _meet(self, values: Any) -> None:
        """Get to know the secrets among values that are not exported, since a message may repeat them."""
        if values:
            self._redactor.json(self._encode(values))

    def _start(self, key: Any, name: str, facts: Attributes, below: Context | None) -> Span:
        span = self._tracer.start_span(self._redactor.text(name), below, attributes=self._plain(facts))
        self._keep(self._open, key, span)
        return span

    def _end(self, span: Span | None, error: BaseException | None) -> None:
        if span is None:
            return
        if error is not None and not isinstance(error, GeneratorExit):
            told = {name: self._redactor.text(text) for name, text in error_facts(error).items()}
            span.set_attribute("error.type", told["kind"])
            span.set_status(self._trace.StatusCode.ERROR, told["message"])
            names = {"kind": "exception.type", "message": "exception.message", "traceback": "exception.stacktrace"}
            span.add_event("exception", {names[name]: text for name, text in told.items()})
        span.end()

    def _tell_calls(self, context: Any, below: Context | None) -> None:
        for ended, usage in context.calls if context is not None else ():
            self._tell_call(ended, usage, below)

    def _tell_call(self, ended: float, usage: Usage, below: Context | None) -> None:
        embeds = not usage.output_tokens and "embed" in usage.model
        operation = "embeddings" if embeds else "chat"
        facts: Attributes = {
            "gen_ai.operation.name": operation,
            "gen_ai.provider.name": PROVIDERS.get(usage.provider, usage.provider or "_OTHER"),
            "gen_ai.request.model": usage.model,
            "gen_ai.usage.input_tokens": usage.input_tokens,
            "gen_ai.usage.output_tokens": usage.output_tokens,
            "agentflow.attempts": usage.attempts,
        }
        if usage.cost is not None:
            facts["agentflow.cost"] = usage.cost
        span = self._tracer.start_span(
            f"{operation} {usage.model}",
            below,
            kind=self._trace.SpanKind.CLIENT,
            attributes=self._plain(facts),
            start_time=int((ended - usage.latency) * 1e9),
        )
        span.end(int(ended * 1e9))

    def _below(self, span: Span | None) -> Context | None:
        return None if span is None else self._trace.set_span_in_context(span)

    def _keep(self, where: dict[Any, Any], key: Any, value: Any) -> None:
        where[key] = value
        if len(where) > OPEN:
            where.pop(next(iter(where)), None)

    def _plain(self, facts: Mapping[str, Any]) -> Attributes:
        """Attributes as OpenTelemetry takes them: numbers, texts without secrets, lists of them, JSON of the rest."""
        return {
            self._redactor.text(str(name)): HIDDEN if self._redactor.hides(str(name)) else self._attribute(value)
            for name, value in facts.items()
        }

    def _attribute(self, value: Any) -> Any:
        if isinstance(value, bool | int | float):
            return value
        if isinstance(value, str):
            return self._redactor.text(value)
        if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
            return [self._redactor.text(item) for item in value]
        return self._redactor.json(self._encode(value))
