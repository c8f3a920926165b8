"""`structured` and `astructured`: a model's answer as a pydantic model, re-asked while it is malformed.

instructor turns the pydantic model into what a provider wants and the answer into the pydantic model; it sends
nothing and retries nothing. The schema is also shown in the prompt, because a server that enforces a schema does not
show it to the model. What must not live here: transport faults.
"""

from __future__ import annotations

import json
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Generic, Literal, TypeVar, Unpack

from agentflow.llm import backend, flow
from agentflow.llm.completing import chat
from agentflow.llm.faults import Fault, FaultError
from agentflow.llm.requests import Options, Request, build
from agentflow.llm.responses import choice_of, text_of, usage_of
from agentflow.llm.results import Message, Structured
from agentflow.runtime import ASYNC, BLOCKING, Runtime, run_blocking

T = TypeVar("T")

#: "json_schema": the provider enforces the schema where it can. "md_json": the schema is in the prompt only.
Mode = Literal["json_schema", "md_json"]

#: The words of a schema every provider with strict schemas knows.
_EXACT: Final = frozenset(
    {"$defs", "$ref", "anyOf", "const", "description", "enum", "items", "properties", "required", "title", "type"}
)

_PROMPT: Final = "Answer with one JSON object that is valid against this JSON schema, and with nothing else:\n{schema}"
_REASK: Final = "That answer cannot be used: {reason}. Answer again, with one valid JSON object and nothing else."
_TOO_LONG: Final = "Your last answer was cut off because it was too long. Answer again, and be brief."


def structured(
    response_model: type[T],
    model: str,
    messages: str | Sequence[Message],
    *,
    mode: Mode = "json_schema",
    **options: Unpack[Options],
) -> Structured[T]:
    """Ask a model and return its answer as an instance of `response_model`.

    An answer that is no JSON, or that the pydantic model refuses, is re-asked with what was wrong with it, on a budget
    of its own (`RetryPolicy.reasks`); one that was cut off is re-asked once, with twice the `max_tokens`.

    Args:
        response_model: A pydantic model class.
        model: Any litellm model name; see `complete`.
        messages: A prompt or a chat history.
        mode: How the schema is asked for: "json_schema" everywhere it works, "md_json" for servers that reject a
            response format.
        **options: See `Options`.

    Raises:
        ProviderError: No usable answer came; kind "malformed" when the last one could not be read.
        MissingExtraError: litellm or instructor is not installed.

    Example:
        >>> import pydantic
        >>> from agentflow.llm import structured
        >>> class Capital(pydantic.BaseModel):
        ...     city: str
        >>> structured(Capital, "gpt-4o-mini", "The capital of France?").value.city    # doctest: +SKIP
        'Paris'
    """
    return run_blocking(_structured(BLOCKING, response_model, mode, build(model, messages, options)))


async def astructured(
    response_model: type[T],
    model: str,
    messages: str | Sequence[Message],
    *,
    mode: Mode = "json_schema",
    **options: Unpack[Options],
) -> Structured[T]:
    """`structured` for async code: the same parameters, result and errors, without holding the event loop."""
    return await _structured(ASYNC, response_model, mode, build(model, messages, options))


async def _structured(runtime: Runtime, response_model: type[T], mode: Mode, request: Request) -> Structured[T]:
    call = request.call()
    dialogues: dict[str, _Dialogue[T]] = {}

    def with_model(model: str) -> _Dialogue[T]:
        if model not in dialogues:
            dialogues[model] = _Dialogue(response_model, mode, request)
        return dialogues[model]

    async def send(model: str, seconds: float) -> Any:
        dialogue = with_model(model)
        return await chat(runtime, request, dialogue.messages(), model, seconds, **dialogue.parameters())

    def read(model: str, response: Any) -> tuple[T, str]:
        call.pay(usage_of(response, model, call.provider(model)))
        return with_model(model).read(response)

    if response_model not in _shapes:
        await runtime.offload(_shape_of, response_model)  # instructor's import would hold the event loop, once
    value, raw = await flow.perform(runtime, call, send, read)
    return Structured(value, call.settle(), tuple(call.log), raw)


@dataclass(slots=True)
class _Dialogue(Generic[T]):
    """What is said to one model, growing by a correction for every malformed answer."""

    response_model: type[T]
    mode: Mode
    request: Request
    corrections: list[Message] = field(default_factory=list)
    room: int = 1

    def messages(self) -> list[Message]:
        prompt = _PROMPT.format(schema=_shape_of(self.response_model).text)
        return [*_with_system(self.request.messages, prompt), *self.corrections]

    def parameters(self) -> dict[str, Any]:
        parameters: dict[str, Any] = {}
        if self.mode == "json_schema":
            parameters["response_format"] = _shape_of(self.response_model).response_format
        limit = self.request.parameters.get("max_tokens")
        if limit is not None:
            parameters["max_tokens"] = limit * self.room
        return parameters

    def read(self, response: Any) -> tuple[T, str]:
        choice = choice_of(response)
        text = text_of(choice)
        if choice.finish_reason == "length":
            self.room *= 2
            self.corrections.append({"role": "user", "content": _TOO_LONG})
            raise FaultError(Fault("malformed", "the answer was cut off by max_tokens", 200, cut=True))
        try:
            return _parse(response, text, self.response_model, self.mode), text
        except ValueError as error:  # pydantic's ValidationError is one
            reason = _explain(error)
        self.corrections.append({"role": "assistant", "content": text or "(nothing)"})
        self.corrections.append({"role": "user", "content": _REASK.format(reason=reason)})
        raise FaultError(Fault("malformed", f"the answer cannot be read as {self._name}: {reason}", 200))

    @property
    def _name(self) -> str:
        return getattr(self.response_model, "__name__", str(self.response_model))


@dataclass(frozen=True, slots=True)
class _Shape:
    """What a response model looks like from outside; computed once a class.

    Attributes:
        response_format: What a provider gets, to enforce it.
        text: The schema as the model gets to read it.
        prepared: What instructor reads answers into: the pydantic model, or one around a plain type.
    """

    response_format: dict[str, Any]
    text: str
    prepared: Any


_shapes: weakref.WeakKeyDictionary[Any, _Shape] = weakref.WeakKeyDictionary()


def _shape_of(response_model: type[Any]) -> _Shape:
    shape = _shapes.get(response_model)
    if shape is None:
        instructor = backend.required("instructor")
        prepare = backend.required("instructor.processing.response").handle_response_model
        prepared, request = prepare(response_model, mode=instructor.Mode.JSON_SCHEMA, messages=[])
        wanted = request["response_format"]["json_schema"]
        text = json.dumps(wanted["schema"], ensure_ascii=False)
        if _is_exact(wanted["schema"]):
            wanted = {**wanted, "schema": _closed(wanted["schema"]), "strict": True}
        shape = _Shape({"type": "json_schema", "json_schema": wanted}, text, prepared)
        _shapes[response_model] = shape
    return shape


def _is_exact(schema: Any) -> bool:
    """Whether a provider can be held to the schema to the letter: it uses nothing else, and leaves nothing open.

    instructor never asks for that, so an answer could name a choice that does not exist; but a provider that is asked
    to be strict refuses schemas it cannot be strict about. Source: OpenAI's guide to structured outputs, "Supported
    schemas".
    """
    if isinstance(schema, list):
        return all(map(_is_exact, schema))
    if not isinstance(schema, dict):
        return True
    properties = schema.get("properties", {})
    if not schema.keys() <= _EXACT or set(properties) != set(schema.get("required", ())):
        return False
    if schema.get("type") == "object" and not properties:
        return False
    inner = [schema.get("items"), schema.get("anyOf"), *properties.values(), *schema.get("$defs", {}).values()]
    return all(map(_is_exact, inner))


def _closed(schema: Any) -> Any:
    """The schema with `additionalProperties: false` in every object of it."""
    if isinstance(schema, list):
        return [_closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {word: _closed(value) for word, value in schema.items()}
    return {**closed, "additionalProperties": False} if schema.get("type") == "object" else closed


def _parse(response: Any, text: str, response_model: type[T], mode: Mode) -> T:
    """Read an answer.

    A clean one is read by the pydantic model itself, which is all instructor would do, in a tenth of the time.
    instructor reads everything else: fenced answers, and types that are no pydantic models.
    """
    fenced = mode == "md_json" or text.lstrip().startswith("```")
    read_json = getattr(response_model, "model_validate_json", None)
    value: T
    if read_json is not None and not fenced:
        value = read_json(text)
        return value
    modes = backend.required("instructor").Mode
    read = backend.required("instructor.processing.response").process_response
    chosen = modes.MD_JSON if fenced else modes.JSON_SCHEMA
    value = read(response, response_model=_shape_of(response_model).prepared, stream=False, mode=chosen)
    return value


def _with_system(messages: Sequence[Message], text: str) -> list[Message]:
    """`text` appended to the system message, or as one: some providers take a single system message only."""
    first = messages[0] if messages else {}
    if first.get("role") == "system" and isinstance(first.get("content"), str):
        return [{**first, "content": f"{first['content']}\n\n{text}"}, *messages[1:]]
    return [{"role": "system", "content": text}, *messages]


def _explain(error: ValueError) -> str:
    """What the pydantic model refuses, short enough to be said to a model."""
    list_errors = getattr(error, "errors", None)
    if list_errors is None:
        return str(error)[:500]
    parts = []
    for each in list_errors()[:5]:
        place = ".".join(map(str, each["loc"]))
        parts.append(f"{place}: {each['msg']}" if place else each["msg"])
    return "; ".join(parts)[:500]
