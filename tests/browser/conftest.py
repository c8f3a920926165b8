"""A real browser, and the email assistant's server in a process of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Error, Page, expect, sync_playwright

ROOT = Path(__file__).parents[2]
#: Pictures of the page as each test left it, to be looked at.
PICTURES = ROOT / ".artefacts" / "browser"
CHROMIUMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
OFFLINE = {key: value for key, value in os.environ.items() if not key.endswith("_API_KEY")}


class Server:
    """The email assistant's server; it may be killed and started again."""

    def __init__(self, store: Path) -> None:
        self.store = store
        self.port = 0
        self.address = ""
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> str:
        """The address to open."""
        command = [
            sys.executable,
            str(ROOT / "examples" / "email_assistant" / "server.py"),
            str(self.port),
            str(self.store),
        ]
        environment = {**OFFLINE, "PYTHONPATH": str(ROOT / "src"), "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("Open"):
                self.address = line.split()[1]
                self.port = int(self.address.split(":")[2].split("/")[0])
                return self.address
        raise AssertionError("the server ended before it said where it listens")

    def kill(self) -> None:
        """As a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._process = None


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One for all tests that leave it alone."""
    server = Server(tmp_path_factory.mktemp("server") / "conversations.db")
    server.start()
    yield server
    server.kill()


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[Server]:
    """One of the test's own, to be killed."""
    server = Server(tmp_path / "conversations.db")
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium of this machine; without one the tests fail, because nobody would notice that they do nothing.

    Closed with its module: while it is there, its event loop is the running one, and other tests could start none.
    """
    found = next((path for name in CHROMIUMS if (path := shutil.which(name))), None)
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        except Error as error:
            pytest.fail(f"there is no browser for the tests of pages: run .ci/install-browser. ({error.message[:200]})")
        expect.set_options(timeout=60_000)
        yield browser
        browser.close()


@pytest.fixture
def opened(browser: Browser, server: Server) -> Iterator[Callable[..., Page]]:
    """Opens the page in a window of its own; what goes wrong in its scripts fails the test."""
    problems: list[str] = []
    windows: list[Any] = []

    def open_page(address: str | None = None, **options: Any) -> Page:
        context = browser.new_context(viewport={"width": 1280, "height": 900}, **options)
        windows.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda said: problems.append(said.text) if "Content Security" in said.text else None)
        page.on("dialog", lambda dialog: (problems.append(f"a dialog: {dialog.message}"), dialog.dismiss()))
        page.goto(address or server.address)
        return page

    yield open_page
    for context in windows:
        context.close()
    assert [] == problems


def picture(page: Page, name: str) -> None:
    """Keep a picture of the page."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.evaluate("window.scrollTo(0, 0)")  # else what sticks to the top is in the middle of the picture
    page.screenshot(path=PICTURES / f"{name}.png", full_page=True)
