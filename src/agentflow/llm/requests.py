"""What is asked: the parameters every verb takes, and the keyword arguments litellm gets for them.

What must not live here: sending anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypedDict

from agentflow.errors import AgentflowError, InputError, did_you_mean
from agentflow.llm import backend
from agentflow.llm.flow import Call
from agentflow.llm.policy import RetryPolicy
from agentflow.llm.results import Message

DEFAULT_POLICY: Final = RetryPolicy()


class Options(TypedDict, total=False):
    """What every verb takes besides the model and what to say to it.

    Other parameters, such as `seed` or `top_p`, go to litellm as given; one that is nearly a name of these is refused.

    Attributes:
        system: Said to the model before the messages.
        temperature: 0 for the likeliest answer; models that take none are not sent any.
        max_tokens: The most tokens the answer may have; the provider's own limit when left out.
        tools: Tools the model may call, in OpenAI's form.
        api_base: Address of an OpenAI-style server of your own; then the model is "openai/<its name there>".
        api_key: Otherwise the provider's environment variable is used, such as OPENAI_API_KEY.
        timeout: Seconds one attempt may take; otherwise the policy's.
        deadline: Seconds the whole call may take; otherwise the policy's.
        fallback_models: Asked in this order when the model before has failed for good.
        policy: Budgets and waits; `RetryPolicy()` when left out.
        extra: Further parameters for litellm and the provider, whatever they are called.
    """

    system: str | None
    temperature: float | None
    max_tokens: int | None
    tools: Sequence[Mapping[str, object]] | None
    api_base: str | None
    api_key: str | None
    timeout: float | None
    deadline: float | None
    fallback_models: Sequence[str]
    policy: RetryPolicy | None
    extra: Mapping[str, object]


#: Parameters that litellm's `completion` and `embedding` take, or hand to some provider: never taken for misspelt.
KNOWN_TO_LITELLM: Final = frozenset({
    "additional_drop_params", "allowed_openai_params", "api_type", "api_version", "audio", "base_model",
    "base_url", "bos_token", "cache", "cache_control_injection_points", "cache_key", "caching", "client",
    "context_management", "custom_llm_provider", "deployment_id", "dimensions", "drop_params",
    "encoding_format", "eos_token", "extra_body", "extra_headers", "fallbacks", "force_timeout",
    "frequency_penalty", "function_call", "functions", "guardrails", "guided_json", "headers",
    "input_cost_per_token", "input_type", "litellm_session_id", "logit_bias", "logprobs",
    "max_completion_tokens", "max_new_tokens", "max_output_tokens", "max_retries", "max_tokens_to_sample",
    "metadata", "min_p", "min_tokens", "mock_response", "mock_timeout", "modalities", "n", "num_ctx",
    "num_predict", "num_retries", "organization", "output_cost_per_token", "parallel_tool_calls", "plugins",
    "prediction", "presence_penalty", "project", "prompt_cache_key", "prompt_cache_retention", "provider",
    "provider_options", "reasoning", "reasoning_effort", "reasoning_format", "region_name",
    "repetition_penalty", "request_timeout", "response_format", "roles", "route", "safe_prompt",
    "safety_identifier", "safety_settings", "seed", "service_tier", "ssl_verify", "stop", "stop_sequences",
    "store", "stream_options", "stream_timeout", "tags", "task", "thinking", "tool_choice", "top_k",
    "top_logprobs", "top_p", "transforms", "truncation", "user", "verbosity", "web_search_options",
})  # fmt: skip
_PREFIXES: Final = ("aws_", "azure_", "input_cost_per_", "litellm_", "output_cost_per_", "vertex_", "watsonx_")


def check_options(
    options: Mapping[str, Any], error: type[AgentflowError] = InputError, also: Iterable[str] | None = None
) -> None:
    """Refuse an option that is misspelt, which would go to the provider and do nothing there.

    Raises:
        AgentflowError: There is one; of the type `error`, and `also` are names it may have been meant for.
    """
    for name in options:
        if name in Options.__annotations__ or name in KNOWN_TO_LITELLM or name.startswith(_PREFIXES):
            continue
        near = did_you_mean(name, {*Options.__annotations__, *(also or ())})
        if near.startswith("Did"):
            raise error(
                f"there is no option {name!r}: pass what only the provider knows as extra={{{name!r}: ...}}. {near}"
            )


@dataclass(frozen=True, slots=True)
class Request:
    """One question, ready to be put to any of its models."""

    models: tuple[str, ...]
    messages: tuple[Message, ...]
    policy: RetryPolicy
    api_base: str | None = None
    api_key: str | None = field(default=None, repr=False)
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def call(self) -> Call:
        """A new call that asks this; its clock starts now."""
        return Call(self.models, self.policy, self.api_base, self.api_key)

    def arguments(self, model: str, seconds: float) -> dict[str, Any]:
        """Keyword arguments for litellm, its own retries off.

        Parameters a model does not know are left out, tools excepted: an answer without the tools that were asked for
        would be an answer to another question.
        """
        provider = backend.provider_of(model, self.api_base)
        arguments = {
            "model": model,
            "timeout": seconds,
            "max_retries": 0,
            "api_base": self.api_base,
            "api_key": backend.key_for(provider, self.api_key, self.api_base),
            "drop_params": "tools" not in self.parameters,
            **self.parameters,
        }
        return {name: value for name, value in arguments.items() if value is not None}


def build(model: str, messages: str | Sequence[Message], options: Mapping[str, Any]) -> Request:
    """Check and normalise what a verb was given; names that are not in `Options` are parameters for litellm."""
    check_options(options)
    given = dict(options)
    policy = given.pop("policy", None) or DEFAULT_POLICY
    limits = {name: given.pop(name, None) for name in ("timeout", "deadline")}
    changed = {name: seconds for name, seconds in limits.items() if seconds is not None}
    if not model:
        raise InputError("No model was named: give a litellm model name, such as 'gpt-4o-mini'.")
    return Request(
        models=(model, *given.pop("fallback_models", ())),
        messages=_messages(messages, given.pop("system", None)),
        policy=replace(policy, **changed) if changed else policy,
        api_base=given.pop("api_base", None),
        api_key=given.pop("api_key", None),
        parameters={name: value for name, value in {**given.pop("extra", {}), **given}.items() if value is not None},
    )


def _messages(messages: str | Sequence[Message], system: str | None) -> tuple[Message, ...]:
    said: Sequence[Message] = [{"role": "user", "content": messages}] if isinstance(messages, str) else messages
    return ({"role": "system", "content": system}, *said) if system else tuple(said)
