"""Recording: real exchanges with a provider, written down once and replayed for ever.

It stands in front of httpx's own transports, where every client's requests pass, and under whatever the client does
with them. What must not live here: what a cassette looks like, and what is secret.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Self
from unittest import mock

from agentflow.runtime import new_lock
from agentflow.testing import cassette
from agentflow.testing.cassette import Exchange
from agentflow.testing.clients import interceptable
from agentflow.testing.dialects import DIALECTS
from agentflow.testing.exchange import Request
from agentflow.testing.scrubbing import address_of, headers_of, scrubbed, secrets_of
from agentflow.testing.unscripted import UnscriptedRequestError

if TYPE_CHECKING:
    import httpx

_LOOPBACK = ("127.0.0.1", "localhost", "::1", "testserver")


class Recording:
    """Exchanges with providers, replayed from a file; or made for real, to be written to it.

    While it is used, a request to another machine, or to a model's endpoint anywhere, is answered from the file with
    what the provider said when it was recorded. Equal requests are answered in the order they were recorded in. Keys,
    cookies, headers and names of accounts are never written; a stream is written whole.

    Args:
        path: The file.
        record: Make real calls, and write them down when it is left without an error; an existing file is replaced.

    Raises:
        UnscriptedRequestError: There is no file to replay; a request is not in it; or, when it is left, a recorded
            request was never made.

    Example:
        >>> with Recording("tests/cassettes/capital.json"):
        ...     assert "Paris" in complete("gpt-4o-mini", "The capital of France?").text
    """

    def __init__(self, path: str | Path, *, record: bool = False) -> None:
        self.path: Path = Path(path)
        self.record = record
        self.requests: list[Request] = []
        self.exchanges: list[Exchange] = []
        self._left: list[Exchange] = []
        self._lost: list[str] = []
        self._entered = ExitStack()
        self._lock = new_lock()

    @property
    def calls(self) -> int:
        """How many requests were answered."""
        return len(self.requests)

    @contextmanager
    def answering(self) -> Iterator[Self]:
        """Answer requests for a while, and do not `finish` at the end."""
        if not self.record:
            self._load()
        with interceptable(), _real_calls() if self.record else nullcontext(), self._intercepted():
            yield self

    def __enter__(self) -> Self:
        return self._entered.enter_context(self.answering())

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: object) -> None:
        self._entered.close()
        if error is None:
            self.finish()

    def finish(self) -> None:
        """Write what was recorded; or make sure that all of it was asked for, and nothing else.

        Raises:
            UnscriptedRequestError: It was not.
        """
        if self.record:
            cassette.save(self.path, self.exchanges)
            return
        if self._lost:
            raise UnscriptedRequestError("\n\n".join(self._lost))
        if self._left:
            raise UnscriptedRequestError(
                f"{len(self._left)} of {len(self.exchanges)} requests in {self.path} were never made, the first to "
                f"{self._left[0].address}: if that is right, delete the file and record it anew."
            )

    def _load(self) -> None:
        if not self.path.exists():
            raise UnscriptedRequestError(
                f"{self.path} does not exist: record it once, with a real key, by running the test with "
                "--agentflow-record."
            )
        self.exchanges = cassette.load(self.path)
        self._left = list(self.exchanges)

    # -- in front of the transports

    @contextmanager
    def _intercepted(self) -> Iterator[None]:
        import httpx

        send, asend = httpx.HTTPTransport.handle_request, httpx.AsyncHTTPTransport.handle_async_request

        def handle(transport: httpx.HTTPTransport, request: httpx.Request) -> httpx.Response:
            if not _is_ours(request):
                return send(transport, request)
            request.read()
            if not self.record:
                return self._replayed(request)
            response = send(transport, request)
            response.read()
            return self._recorded(request, response)

        async def ahandle(transport: httpx.AsyncHTTPTransport, request: httpx.Request) -> httpx.Response:
            if not _is_ours(request):
                return await asend(transport, request)
            await request.aread()
            if not self.record:
                return self._replayed(request)
            response = await asend(transport, request)
            await response.aread()
            return self._recorded(request, response)

        with (
            mock.patch.object(httpx.HTTPTransport, "handle_request", handle),
            mock.patch.object(httpx.AsyncHTTPTransport, "handle_async_request", ahandle),
        ):
            yield

    # -- answering

    def _recorded(self, request: httpx.Request, response: httpx.Response) -> httpx.Response:
        secrets = secrets_of(request)
        exchange = Exchange(
            address_of(request),
            scrubbed(_text_of(request), secrets),
            response.status_code,
            headers_of(response),
            scrubbed(response.text, secrets),
        )
        self._note(request)
        self.exchanges.append(exchange)
        return _response(exchange)  # what a replay will give, so that a test sees the same both times

    def _replayed(self, request: httpx.Request) -> httpx.Response:
        asked = Exchange(address_of(request), scrubbed(_text_of(request), secrets_of(request)))
        self._note(request)
        with self._lock:
            found = next((each for each in self._left if each.answers(asked)), None)
            if found is not None:
                self._left.remove(found)
                return _response(found)
        self._lost.append(self._explained(asked))
        raise UnscriptedRequestError(self._lost[-1])

    def _note(self, request: httpx.Request) -> None:
        dialect = next((each for each in DIALECTS if each.reads(request)), None)
        self.requests.append(
            Request("unknown", "", raw={"url": address_of(request)}) if dialect is None else dialect.parse(request)
        )

    def _explained(self, asked: Exchange) -> str:
        again = sum(each.answers(asked) for each in self.exchanges)
        if again:
            fact = f"{self.path} holds this request {again} times, and it was made once more:\n  {asked.address}"
        else:
            fact = (
                f"{self.path} does not hold this request:\n  {asked.address}\n"
                f"{cassette.difference(asked, self.exchanges)}"
            )
        return f"{fact}\nIf it has changed on purpose, delete the file and record it anew with --agentflow-record."


def _text_of(request: httpx.Request) -> str:
    return request.content.decode(
        errors="replace"
    )  # a picture or a sound that is sent is compared, and never sent again


def _is_ours(request: httpx.Request) -> bool:
    return request.url.host not in _LOOPBACK or any(dialect.reads(request) for dialect in DIALECTS)


def _response(exchange: Exchange) -> httpx.Response:
    import httpx

    return httpx.Response(exchange.status, headers=dict(exchange.headers or {}), content=exchange.body.encode())


@contextmanager
def _real_calls() -> Iterator[None]:
    """Allow real calls for a while, where they are forbidden."""
    from agentflow.llm.guard import allow_real_calls, forbid_real_calls, real_calls_allowed

    if real_calls_allowed():
        yield
        return
    allow_real_calls()
    try:
        yield
    finally:
        forbid_real_calls()
