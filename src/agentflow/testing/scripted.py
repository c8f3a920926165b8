"""ScriptedProvider: a provider that says what it is told, over the providers' own HTTP.

Every call goes through the real client library and is answered below it, by respx; nothing of ours is replaced. It
works without pytest. What must not live here: any provider's JSON (`dialects/`).
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Self

from agentflow.errors import MissingExtraError
from agentflow.runtime import new_lock
from agentflow.testing.answers import Said, Scripted, decision, faulty, reply_to, said_to
from agentflow.testing.clients import interceptable
from agentflow.testing.dialects import DIALECTS
from agentflow.testing.exchange import Fault, Reply, Request
from agentflow.testing.unscripted import UnscriptedRequestError, described

if TYPE_CHECKING:
    import httpx

#: Whether a script answers a request: a text its messages contain, a pattern they match, or a function that says so.
Matching = str | re.Pattern[str] | Callable[[Request], bool]


@dataclass(slots=True)
class _Rule:
    matches: Callable[[Request], bool]
    replies: deque[Scripted]


class ScriptedProvider:
    """A provider that says what it is told, to any client that speaks to OpenAI-style servers, Anthropic or Gemini.

    What answers a request: the first `when(...)` that matches and has a reply left, then the replies in the order they
    were scripted, then the function given to `answer`. A request that nothing answers raises in the client and again
    when the provider is left; so does, if `strict`, a scripted reply that was never asked for.

    Args:
        answer: A function from a `Request` to what is said; asked when nothing else answers.
        strict: Whether replies that are left over are an error.

    Raises:
        MissingExtraError: respx is not installed.

    Example:
        >>> with ScriptedProvider() as llm:
        ...     llm.reply("forty-two")
        ...     print(agentflow.llm.complete("gpt-4o-mini", "What is six times seven?").text)
        forty-two
    """

    def __init__(self, answer: Callable[[Request], Said] | None = None, *, strict: bool = True) -> None:
        self.requests: list[Request] = []
        self._answer = answer
        self._strict = strict
        self._in_order: deque[Scripted] = deque()
        self._rules: list[_Rule] = []
        self._unanswered: list[str] = []
        self._entered = ExitStack()
        self._lock = new_lock()

    # -- scripting

    def reply(self, *said: Said) -> Self:
        """Answer the next requests, in this order: a text, a mapping or pydantic model, a `Reply` or a `Fault`."""
        self._in_order.extend(said)
        return self

    def when(self, matching: Matching) -> When:
        """Answer requests that match: a text their messages contain, a pattern, or a function of the request."""
        rule = _Rule(_matcher(matching), deque())
        self._rules.append(rule)
        return When(rule)

    def answer(self, function: Callable[[Request], Said]) -> Self:
        """Ask a function for whatever nothing else answers; it sees the whole conversation."""
        self._answer = function
        return self

    def decide(self, target: str, reason: str = "scripted", confidence: float | None = None) -> Self:
        """Answer the next request with a decision for a target."""
        self._in_order.append(decision(target, reason, confidence))
        return self

    def stream(self, *pieces: str) -> Self:
        """Answer the next request with these pieces."""
        return self.reply(Reply("".join(pieces), pieces))

    def tool_call(self, name: str, **arguments: Any) -> Self:
        """Answer the next request with a call of a tool."""
        return self.reply(Reply(tool_calls=((name, arguments),)))

    def embed(self, *vectors: Sequence[float]) -> Self:
        """Answer the next request with embeddings."""
        return self.reply(Reply(vectors=vectors))

    def fail(self, status: int = 500, retry_after: float | None = None, message: str = "scripted fault") -> Self:
        """Answer the next request with an HTTP error."""
        return self.reply(Fault("status", status, retry_after, message))

    def hang(self) -> Self:
        """Let the next request wait until its client gives up."""
        return self.reply(Fault("hang"))

    def cut(self) -> Self:
        """Answer the next request with half a body."""
        return self.reply(Fault("cut"))

    def garbage(self) -> Self:
        """Answer the next request with something that is no JSON."""
        return self.reply(Fault("garbage"))

    # -- looking

    @property
    def calls(self) -> int:
        """How many requests have come."""
        return len(self.requests)

    def check(self) -> None:
        """Make sure that everything asked was scripted, and everything scripted was asked.

        Raises:
            UnscriptedRequestError: It was not.
        """
        if self._unanswered:
            raise UnscriptedRequestError("\n\n".join(self._unanswered))
        left = len(self._in_order) + sum(len(rule.replies) for rule in self._rules)
        if self._strict and left:
            raise UnscriptedRequestError(
                f"{left} scripted replies were never asked for ({self.calls} requests came): remove them, "
                "or say strict=False."
            )

    # -- being there

    @contextmanager
    def answering(self) -> Iterator[Self]:
        """Answer requests for a while, and do not `check` at the end."""
        try:
            import respx
        except ImportError:
            raise MissingExtraError("the scripted provider", "testing") from None
        with interceptable(), respx.mock(assert_all_called=False, assert_all_mocked=True) as router:
            router.route().mock(side_effect=self._respond)
            yield self

    def __enter__(self) -> Self:
        return self._entered.enter_context(self.answering())

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: object) -> None:
        self._entered.close()
        if error is None:
            self.check()

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: object) -> None:
        self.__exit__(kind, error, traceback)

    # -- answering

    def _respond(self, sent: httpx.Request) -> httpx.Response | httpx.Request:
        dialect = next((each for each in DIALECTS if each.reads(sent)), None)
        if dialect is None:
            if _is_loopback(sent.url.host):
                return sent  # respx lets it through: a server of the test's own
            raise self._nobody(f"{sent.method} {sent.url} is no request to a model that is known here.")
        request = dialect.parse(sent)
        self.requests.append(request)
        said = self._said(request)
        if isinstance(said, Fault):
            error = dialect.error(said.status, said.message)
            return faulty(said, dialect.render(Reply("scripted"), request), error, request, sent)
        answered: httpx.Response = dialect.render(reply_to(said, request), request)
        return answered

    def _said(self, request: Request) -> Said:
        with self._lock:  # requests may come from several threads at once
            scripted = self._next_for(request)
        if scripted is None:
            raise self._nobody(described(request))
        return said_to(scripted, request)

    def _next_for(self, request: Request) -> Scripted | None:
        for rule in self._rules:
            if rule.replies and rule.matches(request):
                return rule.replies.popleft()
        return self._in_order.popleft() if self._in_order else self._answer

    def _nobody(self, what: str) -> UnscriptedRequestError:
        self._unanswered.append(f"A request came that no script answers.\n{what}")
        return UnscriptedRequestError(self._unanswered[-1])


class When:
    """What answers the requests that match; made by `ScriptedProvider.when`."""

    def __init__(self, rule: _Rule) -> None:
        self._rule = rule

    def reply(self, *said: Said) -> Self:
        """Answer the matching requests, in this order."""
        self._rule.replies.extend(said)
        return self

    def decide(self, target: str, reason: str = "scripted", confidence: float | None = None) -> Self:
        """Answer the next matching request with a decision for a target."""
        self._rule.replies.append(decision(target, reason, confidence))
        return self


def _matcher(matching: Matching) -> Callable[[Request], bool]:
    if isinstance(matching, str):
        return lambda request: matching in request.text
    if isinstance(matching, re.Pattern):
        return lambda request: matching.search(request.text) is not None
    return matching


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
