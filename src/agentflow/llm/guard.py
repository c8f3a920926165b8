"""One switch that forbids real calls to a provider, for tests.

While it is on, a request that nothing intercepts (respx answers above the socket, so its requests never come here) and
that does not go to this machine is refused before a name is looked up or a socket opens. It covers every call made
through `agentflow.llm`, and calls anybody makes to a provider's known host. What must not live here: faking replies.
"""

from __future__ import annotations

import contextvars
import ipaddress
import socket
from collections.abc import Callable
from typing import Any, Final

from agentflow.errors import RealCallError

#: True in the thread or task that is inside a call made through `agentflow.llm`.
_in_call: contextvars.ContextVar[bool] = contextvars.ContextVar("agentflow_llm_in_call", default=False)

#: Hosts that cost money, whoever calls them.
PROVIDER_HOSTS: Final = (
    "openai.com", "openai.azure.com", "anthropic.com", "generativelanguage.googleapis.com",
    "aiplatform.googleapis.com", "mistral.ai", "cohere.ai", "cohere.com", "groq.com", "deepseek.com",
    "together.xyz", "fireworks.ai", "openrouter.ai", "x.ai", "perplexity.ai",
)  # fmt: skip

_undo: list[Callable[[], None]] = []


def forbid_real_calls() -> None:
    """From now on, a provider call that is neither intercepted nor to this machine raises `RealCallError`.

    Example:
        >>> from agentflow.llm.guard import allow_real_calls, forbid_real_calls, real_calls_allowed
        >>> forbid_real_calls(); real_calls_allowed()
        False
        >>> allow_real_calls(); real_calls_allowed()
        True
    """
    if not _undo:
        _wrap(socket, "getaddrinfo", _watched_lookup)
        _watch_httpcore()


def allow_real_calls() -> None:
    """Calls go through again, as they do when nobody forbade them."""
    while _undo:
        _undo.pop()()


def real_calls_allowed() -> bool:
    """Whether a call may leave this machine."""
    return not _undo


def inside_call() -> contextvars.Token[bool]:
    """What happens from now on is part of a call made through `agentflow.llm`, until the token is reset."""
    return _in_call.set(True)


def refuse_real_call(host: str) -> None:
    """Raise `RealCallError` when calls are forbidden and `host` is not this machine."""
    if _undo and not _is_loopback(host) and (_in_call.get() or _is_provider(host)):
        raise RealCallError(
            f"A real call to {host!r} was about to be made while real calls are forbidden: script the reply "
            "(agentflow.testing), or allow it with agentflow.llm.guard.allow_real_calls()."
        )


def _watch_httpcore() -> None:
    """Check where httpx connects to. Every httpx client ends in these classes, and respx answers before them."""
    try:
        import httpcore
    except ImportError:  # no httpx, so no provider client either; the look-up above is still watched
        return

    def blocking(real: Callable[..., Any]) -> Callable[..., Any]:
        def connect_tcp(self: object, host: str, *args: object, **kwargs: object) -> Any:
            refuse_real_call(host)
            return real(self, host, *args, **kwargs)

        return connect_tcp

    def waiting(real: Callable[..., Any]) -> Callable[..., Any]:
        async def connect_tcp(self: object, host: str, *args: object, **kwargs: object) -> Any:
            refuse_real_call(host)
            return await real(self, host, *args, **kwargs)

        return connect_tcp

    _wrap(httpcore.SyncBackend, "connect_tcp", blocking)
    _wrap(httpcore.AnyIOBackend, "connect_tcp", waiting)
    if hasattr(httpcore.TrioBackend, "connect_tcp"):  # else trio is not installed, and this is a stand-in
        _wrap(httpcore.TrioBackend, "connect_tcp", waiting)


def _wrap(owner: Any, name: str, wrapper: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    real = getattr(owner, name)
    ours = wrapper(real)
    setattr(owner, name, ours)

    def undo() -> None:
        if getattr(owner, name) is ours:  # somebody may have patched over it, and will put ours back later
            setattr(owner, name, real)

    _undo.append(undo)


def _watched_lookup(real: Callable[..., Any]) -> Callable[..., Any]:
    def getaddrinfo(host: bytes | str | None, *args: Any, **kwargs: Any) -> Any:
        if host is not None:
            refuse_real_call(host.decode() if isinstance(host, bytes) else host)
        return real(host, *args, **kwargs)

    return getaddrinfo


def _is_provider(host: str) -> bool:
    return any(host == known or host.endswith(f".{known}") for known in PROVIDER_HOSTS)


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
