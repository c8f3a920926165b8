"""`embed` and `aembed`: texts as vectors.

What must not live here: comparing vectors.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

from agentflow.llm import backend, flow
from agentflow.llm.faults import Fault, FaultError
from agentflow.llm.requests import Options, Request, build
from agentflow.llm.responses import usage_of
from agentflow.llm.results import Embedding
from agentflow.runtime import ASYNC, BLOCKING, Runtime, run_blocking


def embed(model: str, texts: str | Sequence[str], **options: Unpack[Options]) -> Embedding:
    """Turn texts into vectors.

    Args:
        model: Any embedding model litellm knows, such as "text-embedding-3-small".
        texts: One text or several; they go out in one request.
        **options: See `Options`; those that concern chats mean nothing here.

    Raises:
        ProviderError: No model answered; `kind` says why and `log` holds every attempt.

    Example:
        >>> from agentflow.llm import embed
        >>> len(embed("text-embedding-3-small", ["cat", "dog"]).vectors)    # doctest: +SKIP
        2
    """
    return run_blocking(_embed(BLOCKING, build(model, (), options), _listed(texts)))


async def aembed(model: str, texts: str | Sequence[str], **options: Unpack[Options]) -> Embedding:
    """`embed` for async code: the same parameters, result and errors, without holding the event loop."""
    return await _embed(ASYNC, build(model, (), options), _listed(texts))


async def _embed(runtime: Runtime, request: Request, texts: list[str]) -> Embedding:
    call = request.call()

    async def send(model: str, seconds: float) -> Any:
        litellm = backend.load()
        ask = runtime.pick(litellm.embedding, litellm.aembedding)
        return await runtime.call(ask, input=texts, **request.arguments(model, seconds))

    def read(model: str, response: Any) -> tuple[tuple[float, ...], ...]:
        call.pay(usage_of(response, model, call.provider(model)))
        found = sorted(response.data or (), key=lambda each: each["index"])
        if len(found) != len(texts):
            problem = f"{len(texts)} texts were sent and {len(found)} vectors came back"
            raise FaultError(Fault("server", problem, 200, transient=True))
        return tuple(tuple(map(float, each["embedding"])) for each in found)

    vectors = await flow.perform(runtime, call, send, read)
    return Embedding(vectors, call.settle(), tuple(call.log))


def _listed(texts: str | Sequence[str]) -> list[str]:
    return [texts] if isinstance(texts, str) else list(texts)
