"""One gate a provider: how many calls at once, and none for a while after it kept failing.

Gates are shared by all threads and event loops of the process. What must not live here: retrying.
"""

from __future__ import annotations

import time
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, replace

from agentflow.errors import ActionTimeoutError
from agentflow.llm.faults import Fault, FaultError
from agentflow.runtime import Runtime, new_lock


@dataclass(frozen=True, slots=True)
class Limits:
    """What every gate enforces.

    Attributes:
        max_concurrency: Calls that may be under way at once, for each provider (and each `api_base`).
        breaker_failures: Transient failures in a row, without any success, that open the circuit; 0 for never. Being
            told to slow down (429) is no failure: the provider works.
        breaker_seconds: How long the circuit stays open; then one call may probe.
    """

    max_concurrency: int = 64
    breaker_failures: int = 20
    breaker_seconds: float = 10.0


class Gate:
    """Admits calls to one provider: every `admit` that returns is followed by one `leave`."""

    def __init__(self, provider: str) -> None:
        self._provider = provider
        self._lock = new_lock()
        self._busy = 0
        self._queue: deque[Future[None]] = deque()
        self._failures = 0
        self._open_until = 0.0
        self._probing = False

    async def admit(self, runtime: Runtime, seconds: float, *, started: bool) -> None:
        """Wait for room, at most `seconds`; raise `FaultError` when there is none or the circuit is open.

        Args:
            runtime: Waits, in the colour of the call.
            seconds: The longest wait for room.
            started: This call has been tried before, so an open circuit is something to wait for, not to fail on.
        """
        place: Future[None] | None = None
        with self._lock:
            self._check_circuit(started)
            if self._busy < _limits.max_concurrency:
                self._busy += 1
            else:
                place = Future()
                self._queue.append(place)
        if place is None:
            return
        try:
            await runtime.wait_for(place, seconds)
        except ActionTimeoutError:
            self._give_up(place)
            busy = f"{_limits.max_concurrency} calls to {self._provider} were under way all the time"
            raise FaultError(Fault("timeout", f"no room within {seconds:g} s: {busy}")) from None
        except BaseException:  # cancelled: the place may have been granted in the same instant
            self._give_up(place)
            raise

    def leave(self, fault: Fault | None) -> None:
        """A call is over; `fault` is what became of it, None for a success."""
        with self._lock:
            self._release()
            self._probing = False
            if fault is None or not fault.transient or fault.kind == "rate_limit":
                self._failures = 0
                self._open_until = 0.0
                return
            self._failures += 1
            if 0 < _limits.breaker_failures <= self._failures:
                self._open_until = time.monotonic() + _limits.breaker_seconds

    def abandon(self) -> None:
        """A call is over and nothing was learnt about the provider."""
        with self._lock:
            self._release()
            self._probing = False

    def _check_circuit(self, started: bool) -> None:
        left = self._open_until - time.monotonic()
        if self._open_until and left <= 0 and not self._probing:
            self._probing = True
            return
        if self._open_until:
            wait = max(left, 0.05)
            reason = f"{self._provider} failed {self._failures} times in a row; its circuit opens again in {wait:.1f} s"
            raise FaultError(Fault("circuit_open", reason, retry_after=wait, transient=started))

    def _release(self) -> None:
        """Hand the place to the call that has waited longest; the lock is held."""
        while self._queue:
            place = self._queue.popleft()
            if place.set_running_or_notify_cancel():
                place.set_result(None)
                return
        self._busy -= 1

    def _give_up(self, place: Future[None]) -> None:
        with self._lock:
            self._probing = False
            if place in self._queue:
                self._queue.remove(place)
            elif place.done() and not place.cancelled():  # granted in the very moment it was given up
                self._release()


_limits = Limits()
_gates: dict[str, Gate] = {}
_gates_lock = new_lock()


def gate_of(provider: str) -> Gate:
    """The one gate of this process for `provider`."""
    gate = _gates.get(provider)
    if gate is None:
        with _gates_lock:
            gate = _gates.setdefault(provider, Gate(provider))
    return gate


def configure(
    *,
    max_concurrency: int | None = None,
    breaker_failures: int | None = None,
    breaker_seconds: float | None = None,
) -> Limits:
    """Set what every provider's gate enforces, from now on and in the whole process; what is left out stays.

    Args:
        max_concurrency: Calls that may be under way at once for each provider, at least 1; 64 to begin with.
        breaker_failures: Transient failures in a row that open a provider's circuit, 0 for never; 20 to begin with.
        breaker_seconds: Seconds it stays open before one call may probe; 10 to begin with.

    Returns:
        The limits before the change: `configure(**dataclasses.asdict(before))` puts them back.

    Example:
        >>> import agentflow.llm
        >>> before = agentflow.llm.configure(max_concurrency=8)
        >>> agentflow.llm.configure(max_concurrency=before.max_concurrency).max_concurrency
        8
    """
    global _limits
    given = {"max_concurrency": max_concurrency, "breaker_failures": breaker_failures}
    changes: dict[str, float] = {name: value for name, value in given.items() if value is not None}
    if breaker_seconds is not None:
        changes["breaker_seconds"] = breaker_seconds
    if changes.get("max_concurrency", 1) < 1:
        raise ValueError(f"max_concurrency is {max_concurrency}, which admits no call at all: give at least 1.")
    before, _limits = _limits, replace(_limits, **changes)  # type: ignore[arg-type]
    return before


def forget_failures() -> None:
    """Close every circuit and forget every count, as tests want it between each other."""
    with _gates_lock:
        _gates.clear()
