"""Whatever anybody writes is shown as they wrote it, and does nothing: a person, a model, a provider, an address."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import uvicorn
from playwright.sync_api import Browser, Page, Request, Route

from agentflow.testing import Fault, Reply, ScriptedProvider
from agentflow.testing import Request as Asked
from tests.browser.conftest import ROOT, picture
from tests.browser.hostile_texts import TEXTS

TOKEN = "a-token-for-hostile-texts"
HARMLESS = "A text that means no harm"

pytestmark = pytest.mark.slow


#: So many texts are said in one conversation, to save time. It hides nothing: a page that took one of them for more
#: than text would have more in it than texts, whatever the others are.
TOGETHER = 5


class Echo:
    """A model, and its provider, that say the same texts whatever they are asked; once each time the provider fails."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.fails = False

    def say(self, texts: list[str]) -> None:
        self.texts, self.fails = texts, True

    def answer(self, asked: Asked) -> str | Reply | Fault | dict[str, Any]:
        if asked.choices:
            # A choice that is not about the instructions is about the feedback.
            target = next((each for each in asked.choices if each == "determine_clarifications"), "formulate_draft")
            return {"next_action": target, "reason": "\n".join(self.texts), "confidence": 1}
        if asked.response_schema is None:
            return Reply("\n".join(self.texts))
        if self.fails:
            self.fails = False
            return Fault(status=400, message=" ".join(self.texts))
        return {"questions": self.texts}


@pytest.fixture(scope="module")
def echo() -> Echo:
    return Echo()


@pytest.fixture(scope="module")
def address(echo: Echo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the assistant is served, in a thread: its model has to be told from here what to say."""
    with pytest.MonkeyPatch.context() as patch, ScriptedProvider(echo.answer).answering():
        patch.syspath_prepend(str(ROOT / "examples"))
        from email_assistant.server import web

        store = tmp_path_factory.mktemp("hostile") / "conversations.db"
        api = web(f"sqlite:///{store}", token=TOKEN)
        server = uvicorn.Server(uvicorn.Config(api, port=0, log_level="warning", timeout_graceful_shutdown=1))
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            while not server.started:
                thread.join(0.01)
                assert thread.is_alive()
            yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


class Window:
    """A page with a witness in it."""

    def __init__(self, page: Page, address: str) -> None:
        self.page = page
        self.ran: list[str] = []
        self.requested: set[str] = set()
        page.expose_function("ran", lambda *_: self.ran.append("ran() was called"))
        page.on("dialog", lambda dialog: (self.ran.append("a dialog was opened"), dialog.dismiss()))
        page.on("pageerror", lambda error: self.ran.append(f"an error: {error}"))
        page.on("console", lambda said: self.ran.append(said.text) if "Content Security" in said.text else None)
        page.context.on("request", self._request)
        page.context.on("page", lambda other: self.ran.append(f"a window was opened: {other.url}"))
        page.add_init_script(path=Path(__file__).parent / "hostile.js")
        page.goto(f"{address}/#token={TOKEN}")

    def _request(self, request: Request) -> None:
        self.requested.add(re.sub(r"[0-9a-f]{32}", "ID", request.url))

    def call(self, verb: str, *given: Any) -> dict[str, Any]:
        found: dict[str, Any] = self.page.evaluate(f"given => hostile.{verb}(...given)", given)
        return found


@pytest.fixture
def window(browser: Browser, address: str) -> Iterator[Window]:
    context = browser.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    yield Window(context.new_page(), address)
    context.close()


def show_error(route: Route, text: str) -> None:
    """An answer of a server that says what it likes."""
    route.fulfill(status=404, json={"error": "not_found", "message": text})


def shown(texts: list[str]) -> dict[str, list[str]]:
    """What is to be seen of a conversation in which everybody says the same texts."""
    text = "\n".join(texts)
    reasons = [text, "len(questions) > 0", text, "feedback == ''"]
    return {
        "typed": [text] * 2,
        "coming": reasons,
        "labels": texts,
        "unfinished": [text] * 2,
        "email": [text],
        "yours": [text] * 2,
        "questions": texts,
        "answers": texts,
        "drafts": [text],
        "final": [text],
        "reasons": reasons,
    }


def test_hostile_texts_of_people_models_and_providers_are_shown_as_they_are_and_do_nothing(
    window: Window, echo: Echo, address: str
) -> None:
    echo.say([HARMLESS] * TOGETHER)
    plain = window.call("converse", [HARMLESS] * TOGETHER)
    made = set(window.call("seen")["made"])
    for first in range(0, len(TEXTS), TOGETHER):
        texts = list(TEXTS[first : first + TOGETHER])
        echo.say(texts)
        seen = window.call("converse", texts)
        assert shown(texts) == {name: seen[name] for name in shown(texts)}
        assert "\n".join(texts) in seen["streamed"]
        for told in (*seen["refusal"], *seen["failure"]):
            assert f"HTTP 400: {texts[0]}".split()[2] in told
        assert [1, 1] == [len(seen["refusal"]), len(seen["failure"])]
        # Not one element more, nor another attribute, than where nobody meant any harm.
        assert plain["bones"] == seen["bones"], texts
        assert [] == window.ran, texts
    after = window.call("seen")
    assert made == set(after["made"])
    assert [] == after["violations"]
    assert {address} == {request[: len(address)] for request in window.requested}
    picture(window.page, "9-hostile")


def test_hostile_addresses_and_answers_of_a_server_do_nothing(window: Window, address: str) -> None:
    window.page.wait_for_selector("#form button")
    plain = window.call("visit", "id=nobody")
    assert "There is no application 'nobody'." == plain["notice"]
    made = set(window.call("seen")["made"])
    said = [HARMLESS]
    window.page.route("**/applications/said-by-*/events", lambda route: show_error(route, said[0]))
    for number, text in enumerate(TEXTS):
        said[0] = text
        for place in (f"{number}&id={quote(text)}", f"{number}&as-it-is&id={text}", f"id=said-by-{number}"):
            seen = window.call("visit", place)
            assert plain["bones"] == seen["bones"], place
        assert text == seen["notice"]
        assert [] == window.ran, text
    after = window.call("seen")
    assert made == set(after["made"])
    assert [] == after["violations"]
    assert {address} == {request[: len(address)] for request in window.requested}
