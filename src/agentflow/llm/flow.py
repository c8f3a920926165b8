"""The story of one call: gate, attempt, fault, wait, again; then the next model; all before one deadline.

Written once for both colours, over a `Runtime`. What a request looks like and how its response is read comes from
outside. What must not live here: litellm, prompts, parsing.
"""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, cast

from agentflow.errors import ProviderError
from agentflow.llm import backend
from agentflow.llm.deadline import ending_in
from agentflow.llm.faults import Fault, FaultError, comes_from_provider, fault_of, refused_call
from agentflow.llm.guard import inside_call
from agentflow.llm.limits import Gate, gate_of
from agentflow.llm.policy import RetryPolicy
from agentflow.llm.results import Attempt
from agentflow.redaction import redact
from agentflow.runtime import Runtime
from agentflow.usage import NOTHING, Usage, record

T = TypeVar("T")

#: Seconds a client library gets to report its own time-out before the attempt is cut off from outside.
GRACE = 0.25


@dataclass(slots=True)
class Call:
    """One logical call under way: who may be asked, until when, and everything tried so far."""

    models: tuple[str, ...]
    policy: RetryPolicy
    api_base: str | None = None
    api_key: str | None = field(default=None, repr=False)
    started: float = field(default_factory=time.monotonic)
    log: list[Attempt] = field(default_factory=list)
    spent: Usage = NOTHING
    sent: int = 0

    @property
    def deadline(self) -> float:
        """When the whole call must be over, on the monotonic clock."""
        return self.started + self.policy.deadline

    def pay(self, usage: Usage) -> None:
        """Count what one response used, also when the response turns out to be useless."""
        self.spent = self.spent + usage

    def settle(self) -> Usage:
        """What the whole call used, handed to the running step."""
        provider = self.spent.provider or ", ".join(dict.fromkeys(map(self.provider, self.models[:1])))
        usage = Usage(
            model=self.spent.model or self.models[0],
            provider=provider,
            input_tokens=self.spent.input_tokens,
            output_tokens=self.spent.output_tokens,
            cost=self.spent.cost,
            latency=time.monotonic() - self.started,
            attempts=self.sent,
        )
        record(usage)
        return usage

    def gate(self, model: str) -> Gate:
        """Who says how many calls may be under way: a server of one's own has its own."""
        return gate_of(self.api_base or self.provider(model))

    def provider(self, model: str) -> str:
        """Who serves `model`."""
        return backend.provider_of(model, self.api_base)


@dataclass(slots=True)
class Turn(Generic[T]):
    """The attempts on one model: what tenacity asks whether to go on, and how long to wait.

    Attributes:
        send: Makes the HTTP call: `send(model, seconds)`, seconds being what the attempt may take.
        read: Turns the response into the result, or raises `FaultError` for a malformed one.
        keeps_place: A success stays in the gate, and whoever takes the result leaves it: a stream is still under way.
    """

    runtime: Runtime
    call: Call
    model: str
    until: float
    send: Callable[[str, float], Coroutine[Any, Any, Any]]
    read: Callable[[Any], T]
    keeps_place: bool = False
    transients: int = 0
    malformed: int = 0
    cut: int = 0
    tried: bool = False
    ended: float = field(default_factory=time.monotonic)

    async def perform(self) -> T:
        """Try until it works, or raise the last attempt's `FaultError`."""
        try:
            return await self._attempt()
        except FaultError as error:
            failed = error
        return await self._again(failed)

    async def _again(self, first: FaultError) -> T:
        """Go on after the first attempt, which failed.

        tenacity decides whether to and how long to wait. It comes in only here: asked from the beginning, it would cost
        every call that works a twentieth of litellm's time.
        """
        tenacity = backend.required("tenacity")
        failed = [first]

        async def attempt() -> T:
            if failed:
                raise failed.pop()
            return await self._attempt()

        policy = self.call.policy
        backoff = tenacity.wait_random_exponential(multiplier=policy.backoff, max=policy.max_backoff)

        def wait(state: Any) -> float:
            fault = state.outcome.exception().fault
            if not fault.transient:
                return 0.0
            return fault.retry_after if fault.retry_after is not None else float(backoff(state))

        retrying = tenacity.AsyncRetrying(
            sleep=self.runtime.sleep,
            wait=wait,
            stop=lambda state: time.monotonic() + state.upcoming_sleep >= self.until,
            retry=tenacity.retry_if_exception(self._is_worth_another),
            reraise=True,
        )
        return await retrying(attempt)  # type: ignore[no-any-return]

    def _is_worth_another(self, error: BaseException) -> bool:
        if not isinstance(error, FaultError):
            return False
        fault, policy = error.fault, self.call.policy
        if fault.kind == "malformed":
            self.malformed += 1
            self.cut += fault.cut
            return self.malformed <= policy.reasks and self.cut <= 1
        self.transients += 1
        in_time = fault.retry_after is None or fault.retry_after <= policy.max_retry_after
        return fault.transient and in_time and self.transients <= policy.retries

    async def _attempt(self) -> T:
        gate = self.call.gate(self.model)
        try:
            await gate.admit(self.runtime, max(self.until - time.monotonic(), 0.01), started=self.tried)
        except FaultError as error:
            self._note(error.fault, time.monotonic())
            raise
        begun = time.monotonic()
        self.tried = True
        try:
            outcome = await self._exchange()
            fault = outcome if isinstance(outcome, Fault) else None
            if fault is None:
                value, fault = self._read(outcome)
        except BaseException:  # cancelled, or refused by the guard: it says nothing about the provider
            gate.abandon()
            raise
        if fault is not None or not self.keeps_place:
            gate.leave(fault)
        self._note(fault, begun)
        if fault is not None:
            raise FaultError(fault)
        return cast("T", value)

    def _read(self, response: Any) -> tuple[T | None, Fault | None]:
        try:
            return self.read(response), None
        except FaultError as error:
            return None, error.fault

    async def _exchange(self) -> Any:
        """One HTTP exchange: the response, or the `Fault` it ended in. The guard's refusal is raised as it is."""
        seconds = min(self.call.policy.timeout, max(self.until - time.monotonic(), 0.01))
        coarse = min(self.call.policy.timeout, 2.0 ** math.ceil(math.log2(seconds)))  # a client is kept for every value
        self.call.sent += 1
        try:
            return await bounded(self.runtime, seconds + GRACE, self.send(self.model, coarse))
        except Exception as error:
            caught = error
        return judged(caught, self.call)

    def _note(self, fault: Fault | None, begun: float) -> None:
        now = time.monotonic()
        outcome, status, reason = (fault.kind, fault.status, fault.reason) if fault else ("ok", 200, "")
        waited = begun - self.ended if self.call.log else begun - self.call.started
        number = len(self.call.log) + 1
        self.call.log.append(Attempt(number, self.model, outcome, status, waited, now - begun, reason))
        self.ended = now


async def perform(
    runtime: Runtime,
    call: Call,
    send: Callable[[str, float], Coroutine[Any, Any, Any]],
    read: Callable[[str, Any], T],
    *,
    keeps_place: bool = False,
) -> T:
    """Ask the models of `call` in order until one gives a result.

    Each model may use an equal share of the time that is left, so that a hanging one leaves room for the others.

    Raises:
        ProviderError: None of them did; usage that was paid for has been recorded.
    """
    if not backend.is_loaded():
        await runtime.offload(backend.load)
        call.started = time.monotonic()  # the import of litellm takes seconds, once; no provider is to blame for it
    fault = Fault("bad_request", "no model was named")
    for position, model in enumerate(call.models):
        now = time.monotonic()
        until = now + (call.deadline - now) / (len(call.models) - position)
        turn = Turn(runtime, call, model, until, send, functools.partial(read, model), keeps_place)
        try:
            return await turn.perform()
        except FaultError as error:
            fault = error.fault
        except BaseException:  # what was paid for is counted, also when somebody cancels
            call.settle()
            raise
    call.settle()
    raise final_error(call, fault)


async def bounded(runtime: Runtime, seconds: float, talk: Coroutine[Any, Any, T]) -> T:
    """Await an exchange with a provider for at most `seconds`: async it is cancelled, blocking its next read fails."""
    await_it = runtime.pick(_in_line, runtime.within)
    marks = inside_call(), ending_in(seconds)  # no context managers: they would cost more than what they do
    try:
        return await await_it(seconds, talk)
    finally:
        for mark in marks:
            mark.var.reset(mark)  # type: ignore[arg-type]  # each was set with a value of its own type


async def _in_line(_seconds: float, talk: Coroutine[Any, Any, T]) -> T:
    return await talk


def judged(error: Exception, call: Call) -> Fault:
    """The fault behind `error`. What no provider is to blame for is raised: the guard's refusal, and plain bugs.

    Called outside of the `except` block, so that nothing raised later drags litellm's exception along.
    """
    refusal = refused_call(error)
    if refusal is not None:
        call.sent -= 1
        raise refusal
    if not comes_from_provider(error):
        raise error
    fault = fault_of(error, call.api_key)
    call.sent -= fault.unsent
    return fault


def final_error(call: Call, fault: Fault) -> ProviderError:
    """What the caller gets to see of a call that failed for good."""
    tried = " and ".join(map(repr, call.models))
    spent = time.monotonic() - call.started
    calls = "1 HTTP call" if call.sent == 1 else f"{call.sent} HTTP calls"
    when = f"after {calls} in {spent:.1f} s" if call.sent else "before anything was sent"
    message = f"The call to {tried} failed {when}: {fault.reason}"
    error = ProviderError(redact(f"{message}{_remedy(call, fault)}", call.api_key), fault.kind, call.sent)
    error.status = fault.status
    error.log = tuple(call.log)
    return error


def _remedy(call: Call, fault: Fault) -> str:
    if time.monotonic() + 0.05 >= call.deadline:
        return (
            f". The deadline of {call.policy.deadline:g} s is over: raise RetryPolicy.deadline or name fallback_models."
        )
    remedies = {
        "auth": "check the API key and what it may do",
        "bad_request": "change the request or the model's name; the same again would fail again",
        "malformed": "raise max_tokens, simplify the response model, or name fallback_models",
    }
    return f": {remedies[fault.kind]}." if fault.kind in remedies else ". Wait, or name fallback_models."
