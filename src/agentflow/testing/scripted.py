"""ScriptedProvider: a provider that says what it is told, over the providers' own HTTP.

Every call goes through the real client library and is answered below it, by respx; nothing of ours is replaced. It
works without pytest. What must not live here: any provider's JSON (`dialects/`).
"""

from __future__ import annotations

import json
import os
import re
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from agentflow.errors import MissingExtraError
from agentflow.testing.dialects import DIALECTS
from agentflow.testing.exchange import Fault, Reply, Request

if TYPE_CHECKING:
    import httpx

#: What a script may answer with.
Said = str | Mapping[str, Any] | Reply | Fault
#: Whether a script answers a request: a text it contains, a pattern it matches, or a function that says so.
Matching = str | re.Pattern[str] | Callable[[Request], bool]

#: Any key does, since nothing leaves the machine.
KEYS = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY")


class UnscriptedRequestError(BaseException):
    """A request came that no script answers, or a scripted reply was never asked for.

    No `Exception`, so that no client takes it for a fault of the network and tries again.
    """


@dataclass(slots=True)
class _Rule:
    matches: Callable[[Request], bool]
    replies: deque[Said | Callable[[Request], Said]]


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
        self._in_order: deque[Said | Callable[[Request], Said]] = deque()
        self._rules: list[_Rule] = []
        self._unanswered: list[str] = []
        self._router: Any = None
        self._borrowed: list[str] = []

    # -- scripting

    def reply(self, *said: Said) -> Self:
        """Answer the next requests, in this order: a text, a mapping (as JSON), a `Reply` or a `Fault`."""
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

    def __enter__(self) -> Self:
        try:
            import respx
        except ImportError:
            raise MissingExtraError("the scripted provider", "testing") from None
        os.environ["DISABLE_AIOHTTP_TRANSPORT"] = "True"  # respx cannot see litellm's other transport
        self._borrowed = [key for key in KEYS if not os.environ.get(key)]
        os.environ.update(dict.fromkeys(self._borrowed, "sk-scripted"))
        self._router = respx.mock(assert_all_called=False, assert_all_mocked=True)
        self._router.start()
        self._router.route().mock(side_effect=self._respond)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: object) -> None:
        self._router.stop()
        for key in self._borrowed:
            os.environ.pop(key, None)
        if error is None:
            self.check()

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: object) -> None:
        self.__exit__(kind, error, traceback)

    # -- answering

    def _respond(self, sent: httpx.Request) -> httpx.Response:
        dialect = next((each for each in DIALECTS if each.reads(sent)), None)
        if dialect is None:
            raise self._nobody(f"{sent.method} {sent.url} is no request to a model that is known here.")
        request = dialect.parse(sent)
        self.requests.append(request)
        said = self._said(request)
        if isinstance(said, Fault):
            return _faulty(said, dialect.render(Reply("scripted"), request), sent)
        response: httpx.Response = dialect.render(_reply(said, request), request)
        return response

    def _said(self, request: Request) -> Said:
        for rule in self._rules:
            if rule.replies and rule.matches(request):
                return _called(rule.replies.popleft(), request)
        if self._in_order:
            return _called(self._in_order.popleft(), request)
        if self._answer is not None:
            return self._answer(request)
        raise self._nobody(described(request))

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


def decision(target: str, reason: str, confidence: float | None) -> Callable[[Request], Said]:
    """What answers a request for a decision; a schema without a field for the reason gets none."""

    def said(request: Request) -> Said:
        schema = request.response_schema or next(iter(request.tools.values()), {})
        fields = schema.get("properties", {"next_action": {}, "reason": {}})
        given = {"next_action": target, "reason": reason, "confidence": confidence}
        return {name: value for name, value in given.items() if name in fields}

    return said


def described(request: Request) -> str:
    """A request as a person reads it, and the line that would script it."""
    said = "\n".join(f"  {message['role']}: {message['content'][-600:]}" for message in request.messages)
    asked = f"  texts to embed: {list(request.texts)}" if request.texts else said
    wanted = f"\n  it chooses among: {', '.join(request.choices)}" if request.choices else ""
    line = f'llm.decide("{request.choices[0]}")' if request.choices else 'llm.reply("...")'
    line = "llm.embed([0.1, 0.2])" if request.texts else line
    return f"{request.provider} model {request.model!r}:\n{asked}{wanted}\nTo script it, write: {line}"


def _called(said: Said | Callable[[Request], Said], request: Request) -> Said:
    return said(request) if callable(said) else said


def _reply(said: str | Mapping[str, Any] | Reply, request: Request) -> Reply:
    if isinstance(said, Reply):
        return said
    text = said if isinstance(said, str) else json.dumps(dict(said))
    forced = request.tools if not isinstance(said, str) and request.raw.get("tool_choice") else {}
    if forced and isinstance(said, Mapping):
        return Reply(tool_calls=((next(iter(forced)), said),))
    return Reply(text)


def _matcher(matching: Matching) -> Callable[[Request], bool]:
    if isinstance(matching, str):
        return lambda request: matching in request.text
    if isinstance(matching, re.Pattern):
        return lambda request: matching.search(request.text) is not None
    return matching


def _faulty(fault: Fault, whole: httpx.Response, sent: httpx.Request) -> httpx.Response:
    import httpx

    if fault.kind == "hang":
        raise httpx.ReadTimeout("scripted: no answer came", request=sent)
    if fault.kind == "cut":
        return httpx.Response(
            200, headers={"content-type": "application/json"}, content=whole.content[: len(whole.content) // 2]
        )
    if fault.kind == "garbage":
        return httpx.Response(
            200, headers={"content-type": "application/json"}, text="<html>not what you asked for</html>"
        )
    headers = {} if fault.retry_after is None else {"retry-after": f"{fault.retry_after:g}"}
    return httpx.Response(fault.status, headers=headers, json={"error": {"message": fault.message, "type": "scripted"}})
