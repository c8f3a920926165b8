"""The email assistant behind a web page: five endpoints of its own on top of the API that is made from its graph.

What a conversation is, is in `application.py`; the page is in `page/`. Start it with `make web`.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import os
import secrets
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

sys.path.insert(0, str(Path(__file__).parents[1]))  # the examples, however this one was started

from email_assistant import scripted
from email_assistant.application import Model, builder
from fastapi import APIRouter, FastAPI, Response
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel

from agentflow import ApplicationBuilder
from agentflow.persistence import Key, Persister
from agentflow.serving import Service, Write, create_api, serve
from agentflow.serving.asking import Asked, Expected, Once, Partition

PAGE = Path(__file__).parent / "page"
STORE = "email_assistant.db"


class EmailAssistantState(BaseModel):
    """A conversation as the page shows it."""

    app_id: str
    email_to_respond: str | None
    response_instructions: str | None
    questions: list[str] | None
    answers: list[str] | None
    drafts: list[str]
    feedback_history: list[str]
    final_draft: str | None
    # Tells the page which form to show: what comes next and waits for a person.
    next_step: Literal["process_input", "clarify_instructions", "process_feedback", None]

    @staticmethod
    def of(said: dict[str, Any]) -> EmailAssistantState:
        """A conversation, out of what the generated API says of it."""
        return EmailAssistantState(app_id=said["app_id"], next_step=said["next_step"], **_shown(said["state"]))


class EmailToAnswer(BaseModel):
    """An email, and how to respond to it."""

    email_to_respond: str
    response_instructions: str


class Answers(BaseModel):
    """One answer for each question."""

    answers: list[str]


class Feedback(BaseModel):
    """What to change; nothing at all means that the draft is fine."""

    feedback: str


class Paced:
    """A hook that gives a scripted draft the time a model takes, so that it can be watched."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    async def post_stream_item(self, **_: Any) -> None:
        await asyncio.sleep(self._seconds)


def factory(model: Model, hooks: tuple[object, ...] = ()) -> Callable[[str, str | None], ApplicationBuilder]:
    """What makes a conversation; who it belongs to makes no difference to it."""
    return lambda app_id, partition_key: builder(model, hooks)


def told(response: Response, said: dict[str, Any]) -> EmailAssistantState:
    """A conversation, with the step it is at as its ETag: what `If-Match` is compared with."""
    response.headers["etag"] = f'"{said["sequence_id"]}"'
    return EmailAssistantState.of(said)


def add_endpoints(router: APIRouter, service: Service) -> None:
    """The endpoints of the email assistant, each of which answers with the whole conversation."""

    @router.post("/create")
    async def create(response: Response, partition: Partition, once: Once = None) -> EmailAssistantState:
        """Begin a conversation; its id is in the answer."""
        _, said = await service.create(partition, None, once)
        return told(response, said)

    @router.get("/{app_id}/state", name="get_conversation")
    async def get_state(response: Response, key: Asked) -> EmailAssistantState:
        """The conversation as it stands, however long ago it was left."""
        return told(response, await service.look(key))

    add_answers(router, service)


def add_answers(router: APIRouter, service: Service) -> None:
    """The endpoints for what a person says."""

    async def perform(
        response: Response, key: Key, action: str, expected: int | None, once: str | None, **inputs: Any
    ) -> EmailAssistantState:
        _, said = await service.advance(Write(key, expected, once, action, inputs))
        return told(response, said)

    @router.put("/initialize_draft/{app_id}")
    @router.put("/initialize_draft/{app_id}/", include_in_schema=False)
    async def initialize_draft(
        response: Response, key: Asked, body: EmailToAnswer, expected: Expected = None, once: Once = None
    ) -> EmailAssistantState:
        """Give the email and the instructions."""
        return await perform(response, key, "process_input", expected, once, **body.model_dump())

    @router.put("/clarify_instructions/{app_id}")
    async def clarify_instructions(
        response: Response, key: Asked, body: Answers, expected: Expected = None, once: Once = None
    ) -> EmailAssistantState:
        """Answer the questions."""
        return await perform(response, key, "clarify_instructions", expected, once, clarification_inputs=body.answers)

    @router.put("/process_feedback/{app_id}")
    @router.post("/provide_feedback/{app_id}", name="provide_feedback")
    async def process_feedback(
        response: Response, key: Asked, body: Feedback, expected: Expected = None, once: Once = None
    ) -> EmailAssistantState:
        """Say what to change about the draft."""
        return await perform(response, key, "process_feedback", expected, once, feedback=body.feedback)


def web(
    persister: Persister | str = STORE, model: Model | None = None, token: str | None = None, pace: float = 0.0
) -> FastAPI:
    """The whole web application: the generated API, the endpoints above, and the page."""
    hooks = (Paced(pace),) if pace else ()
    api = create_api(
        factory(model or Model(), hooks),
        persister=persister,
        token=token,
        extend=add_endpoints,
        title="Email assistant",
    )

    async def page() -> FileResponse:
        return FileResponse(PAGE / "index.html")

    api.add_api_route("/", page, include_in_schema=False)
    api.mount("/page", StaticFiles(directory=PAGE))
    return api


def kept_token(path: Path) -> str:
    """The token of this machine's user, made at the first start and kept, so that a page may come back days later."""
    with contextlib.suppress(FileExistsError):
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with open(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(32))
    return path.read_text("ascii").strip()


def main(port: int = 8000, store: str = STORE) -> int:
    """Serve the page: with a model when a key is there, with a scripted provider otherwise."""
    from examples_common import provider

    chosen, lent = provider(None, None, scripted.answer)
    token = kept_token(Path(f"{store}.token"))
    api = web(store, Model(chosen), token, pace=0.0 if lent is None else 0.03)

    def tell(address: str) -> None:
        print(f"Model: {chosen if lent is None else 'scripted, because no key is set: nothing leaves this machine'}")
        print(f"Open   {address}\nThe conversations are kept in {store}. Press Ctrl+C to stop.", flush=True)

    threading.Thread(target=importlib.import_module, args=["litellm"], daemon=True).start()  # takes it a few seconds
    with lent.answering() if lent is not None else contextlib.nullcontext():
        serve(api, port=port, tell=tell)
    return 0


def _shown(state: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in state.items() if name in EmailAssistantState.model_fields}


if __name__ == "__main__":
    sys.exit(main(*(kind(given) for kind, given in zip((int, str), sys.argv[1:], strict=False))))
