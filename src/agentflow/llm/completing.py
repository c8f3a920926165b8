"""`complete` and `acomplete`: a model's answer as text.

What must not live here: retries, streams, parsing of the text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

from agentflow.llm import backend, flow
from agentflow.llm.requests import Options, Request, build
from agentflow.llm.responses import choice_of, text_of, tool_calls_of, usage_of
from agentflow.llm.results import Completion, Message
from agentflow.runtime import ASYNC, BLOCKING, Runtime, run_blocking


def complete(model: str, messages: str | Sequence[Message], **options: Unpack[Options]) -> Completion:
    """Ask a model and return its answer as text.

    Transient faults are retried with back-off, Retry-After honoured, within one deadline; see `RetryPolicy`. What the
    call used is attached to the running step.

    Args:
        model: Any litellm model name, such as "gpt-4o-mini" or "anthropic/claude-sonnet-4-5"; "openai/<name>" together
            with `api_base` for a server of your own.
        messages: A prompt, or a chat history as a list of {"role": ..., "content": ...}.
        **options: See `Options`.

    Raises:
        ProviderError: No model answered; `kind` says why and `log` holds every attempt.
        MissingExtraError: litellm is not installed.

    Example:
        >>> from agentflow.llm import complete
        >>> answer = complete("gpt-4o-mini", "Say hello.", max_tokens=20)   # doctest: +SKIP
        >>> answer.text, answer.usage.cost                                  # doctest: +SKIP
    """
    return run_blocking(_complete(BLOCKING, build(model, messages, options)))


async def acomplete(model: str, messages: str | Sequence[Message], **options: Unpack[Options]) -> Completion:
    """`complete` for async code: the same parameters, result and errors, without holding the event loop."""
    return await _complete(ASYNC, build(model, messages, options))


async def _complete(runtime: Runtime, request: Request) -> Completion:
    call = request.call()

    async def send(model: str, seconds: float) -> Any:
        return await chat(runtime, request, request.messages, model, seconds)

    def read(model: str, response: Any) -> tuple[Any, str]:
        call.pay(usage_of(response, model, call.provider(model)))
        choice = choice_of(response)
        return choice, text_of(choice)

    choice, text = await flow.perform(runtime, call, send, read)
    finish = choice.finish_reason or "stop"
    return Completion(text, call.settle(), tuple(call.log), finish, tool_calls_of(choice))


async def chat(
    runtime: Runtime, request: Request, messages: Sequence[Message], model: str, seconds: float, **more: object
) -> Any:
    """Put `messages` to `model` through litellm, once; the response as litellm gives it."""
    litellm = backend.load()
    ask = runtime.pick(litellm.completion, litellm.acompletion)
    return await runtime.call(ask, messages=list(messages), **{**request.arguments(model, seconds), **more})
