"""litellm and instructor, loaded when first needed and switched to what agentflow wants of them.

Nothing is fetched from the network while loading, no `.env` file is read, and there is no retry below ours. This is
the only module that imports them. What must not live here: retries, results, prompts.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import logging
import os
import sys
import warnings
from collections.abc import Awaitable, Coroutine
from typing import Any, Final

from agentflow.errors import MissingExtraError, ProviderError
from agentflow.llm import deadline
from agentflow.redaction import redact
from agentflow.runtime import new_lock

#: litellm reads these when it is imported; a value the user has set wins.
SWITCHES: Final = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # else the price list is fetched from the network on import
    "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True",  # likewise a list of headers
    "LITELLM_MODE": "PRODUCTION",  # else a `.env` in the working directory is loaded into the environment
    "DISABLE_AIOHTTP_TRANSPORT": "True",  # else async calls bypass httpx, and with it every interception in tests
    "LITELLM_LOG": "ERROR",  # else a warning whenever a second event loop makes a call
}

_loading = new_lock()
_loaded: list[Any] = []


def is_loaded() -> bool:
    """Whether the first call has already paid for the import."""
    return bool(_loaded)


def load() -> Any:
    """The litellm module, imported at the first call.

    Raises:
        MissingExtraError: litellm is not installed.
    """
    if not _loaded:
        with _loading:
            if not _loaded:
                _loaded.append(_import_litellm())
    return _loaded[0]


def _import_litellm() -> Any:
    for name, value in SWITCHES.items():
        os.environ.setdefault(name, value)
    litellm = required("litellm")
    for message in ("Accessing the 'model_", r"Item .* is using the .ReadOnly. qualifier"):
        # litellm against newer pydantics; where warnings are errors, every stream would break
        warnings.filterwarnings("ignore", message, module=r"litellm\.|pydantic\.")
    litellm.suppress_debug_info = True
    litellm.disable_aiohttp_transport = True
    litellm.DEFAULT_MAX_RETRIES = 0  # what embeddings take instead of a `max_retries` of 0
    for name in ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy", "openai", "instructor"):
        logging.getLogger(name).addFilter(_without_keys)
    _send_only_once()
    _log_only_to_listeners(litellm)
    deadline.install()
    return litellm


def required(module: str) -> Any:
    """Import a module of the `llm` extra, or say what to install."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        if error.name and error.name.partition(".")[0] in (module.partition(".")[0], "openai", "httpx"):
            raise MissingExtraError("Calling a model", "llm") from error
        raise


@functools.lru_cache(maxsize=512)
def provider_of(model: str, api_base: str | None) -> str:
    """The name of the provider that serves `model`, such as "openai" or "anthropic".

    Raises:
        ProviderError: Nobody knows who serves it.
    """
    try:
        return str(load().get_llm_provider(model, api_base=api_base)[1])
    except Exception as error:
        if not type(error).__module__.startswith("litellm"):
            raise
    raise ProviderError(
        f"No provider is known for the model {model!r}: name it '<provider>/<model>', such as 'openai/{model}' "
        "for an OpenAI-style server at api_base.",
        "bad_request",
        0,
    )


def price_of(response: Any, model: str) -> float | None:
    """US dollars for a response, None when litellm's list has no price for it."""
    litellm = load()
    try:
        return float(litellm.completion_cost(response, model=model))
    except Exception as error:  # its types for "not in the list" differ between versions
        if not type(error).__module__.startswith("litellm") and type(error) is not Exception:
            raise
        return None


async def close_clients(loop: object) -> None:
    """Close the clients that `loop`, which runs here, was given; called by whoever is about to close it.

    litellm keeps a client for each loop, by the loop's address. Left where they are, they would keep their connections
    open, and the next loop at the same address would be given them.
    """
    kept = getattr(load().in_memory_llm_clients_cache, "cache_dict", {}) if is_loaded() else {}
    for name in [name for name in kept if name.endswith(f"-{id(loop)}")]:
        with contextlib.suppress(Exception):  # what was asked through it is worth more than how it ends
            closing = kept.pop(name).close()
            if isinstance(closing, Awaitable):
                await closing


def key_for(provider: str, api_key: str | None, api_base: str | None) -> str | None:
    """The key to send: a local server wants none, but the client libraries insist on one."""
    if api_key is None and api_base and not os.environ.get(f"{provider.upper()}_API_KEY"):
        return "no-key-needed"
    return api_key


def _send_only_once() -> None:
    """Take away the second try that litellm's own async client makes when a connection breaks: ours are enough."""
    handler = importlib.import_module("litellm.llms.custom_httpx.http_handler").AsyncHTTPHandler

    async def fail(self: object, *args: object, **kwargs: object) -> None:
        raise sys.exception() or ConnectionError("the connection broke")

    if hasattr(handler, "single_connection_post_request"):
        handler.single_connection_post_request = fail


def _log_only_to_listeners(litellm: Any) -> None:
    """Keep callbacks out of the way when there are none.

    litellm queues a coroutine for its callbacks after every async call all the same; whatever is still queued when the
    event loop ends is never awaited, and is warned about at some later moment.
    """
    worker = importlib.import_module("litellm.litellm_core_utils.logging_worker").GLOBAL_LOGGING_WORKER
    enqueue = getattr(worker, "ensure_initialized_and_enqueue", None)
    listeners = ("callbacks", "success_callback", "_async_success_callback")

    def enqueue_for_listeners(async_coroutine: Coroutine[Any, Any, object]) -> None:
        if enqueue is not None and any(getattr(litellm, name, None) for name in listeners):
            enqueue(async_coroutine)
        else:
            async_coroutine.close()

    worker.ensure_initialized_and_enqueue = enqueue_for_listeners


def _without_keys(record: logging.LogRecord) -> bool:
    """A logging filter that keeps every record and takes the keys out of it."""
    try:
        message = record.getMessage()
    except (TypeError, ValueError):  # its arguments do not fit its text, which is for the handler to complain about
        return True
    clean = redact(message)
    if clean != message:
        record.msg, record.args = clean, None
    return True
