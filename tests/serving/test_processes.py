"""`agentflow serve` as a process: it is killed in the middle of a step, started again, watched and stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from agentflow.cli.main import main
from tests.serving.clients import TOKEN, events_in

ROOT = Path(__file__).parents[2]


class Process:
    """A server, started from a command line as a person would."""

    def __init__(self, folder: Path) -> None:
        self.go_on = folder / "go-on"
        self._folder = folder
        self._port = 0
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> httpx.Client:
        """A client for it."""
        command = [sys.executable, "-m", "agentflow.cli", "serve", "tests.serving.slow:story"]
        options = ["--store", f"sqlite:///{self._folder}/runs.db", "--port", str(self._port)]
        environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}", "AGENTFLOW_TOKEN": TOKEN}
        environment["SLOW_GO_ON"] = str(self.go_on)
        self._process = subprocess.Popen(
            [*command, *options], cwd=self._folder, env=environment, text=True, stdout=subprocess.PIPE
        )
        assert self._process.stdout is not None
        address = self._process.stdout.readline().split()[-1]
        base, _, token = address.partition("#token=")
        assert TOKEN == token
        self._port = int(base.rsplit(":", 1)[1].strip("/"))
        return httpx.Client(base_url=base, headers={"authorization": f"Bearer {token}"}, timeout=30)

    def end(self, how: int = signal.SIGKILL) -> int:
        """Its exit status."""
        if self._process is None:
            return 0
        process, self._process = self._process, None
        process.send_signal(how)
        status = process.wait(20)
        assert process.stdout is not None
        process.stdout.close()
        return status


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    process = Process(tmp_path)
    yield process
    process.end()


def begun(client: httpx.Client, what: str = "a fox", **headers: str) -> tuple[str, Reading]:
    """An application, and the open stream of its first run."""
    app_id = client.post("/applications").json()["app_id"]
    path = f"/applications/{app_id}/actions/say"
    request = client.build_request("PUT", path, json={"what": what}, headers={"accept": "text/event-stream", **headers})
    answer = client.send(request, stream=True)
    return app_id, Reading(answer)


class Reading:
    """A stream that is read bit by bit."""

    def __init__(self, answer: httpx.Response) -> None:
        self._answer = answer
        self._pieces = answer.iter_text()

    def until(self, word: str) -> str:
        """What came, up to a word."""
        text = ""
        for piece in self._pieces:
            text += piece
            if word in text:
                return text
        raise AssertionError(f"{word!r} never came: {text}")

    def close(self) -> None:
        """As when a browser is closed."""
        self._pieces.close()  # type: ignore[attr-defined]  # it is a generator
        self._answer.close()


@pytest.mark.slow
def test_killed_in_the_middle_of_a_step_it_goes_on_where_it_was_and_the_request_counts_once(process: Process) -> None:
    with process.start() as client:
        app_id, answer = begun(client, **{"idempotency-key": "k"})
        answer.until("Once")
        process.end()
        with pytest.raises(httpx.HTTPError):
            answer.until("never")
        answer.close()
    process.go_on.touch()
    with process.start() as client:
        said = client.get(f"/applications/{app_id}/state").json()
        assert (0, ["a fox"], [], True) == (
            said["sequence_id"],
            said["state"]["said"],
            said["state"]["told"],
            said["can_run"],
        )
        path, key = f"/applications/{app_id}/actions/say", {"idempotency-key": "k"}
        again = [client.put(path, json={"what": "a fox"}, headers=key) for _ in range(2)]
        assert [200, 200] == [each.status_code for each in again]
        assert again[0].json() == again[1].json()
        assert {"said": ["a fox"], "told": ["a story about a fox"]} == again[0].json()["state"]


@pytest.mark.slow
def test_a_run_outlives_the_request_that_began_it_and_can_be_watched_and_cancelled(process: Process) -> None:
    with process.start() as client:
        app_id, answer = begun(client)
        answer.until("event: token\ndata: {")
        answer.close()  # whoever began it has gone away
        with client.stream("GET", f"/applications/{app_id}/events") as streamed:
            watched = Reading(streamed)
            text = watched.until('"."')
            kinds = [kind for kind, _ in events_in(text.rpartition("\n\n")[0])]
            assert ["state", "decision", "begin", "token"] == kinds[:4]
            assert "Once" in text, "what has come so far is told to whoever comes late"
            assert "running" == events_in(text.partition("\n\n")[0])[0][1]["status"]
            assert 409 == client.delete(f"/applications/{app_id}").status_code
            said = client.post(f"/applications/{app_id}/cancel").json()
            assert ("cancelled", 0, True) == (said["status"], said["sequence_id"], said["can_run"])
            assert '"cancelled"' in watched.until("event: state")
        process.go_on.touch()
        said = client.post(f"/applications/{app_id}/run").json()
        assert (["a story about a fox"], "say") == (said["state"]["told"], said["next_step"])


@pytest.mark.slow
def test_it_stops_when_it_is_told_to_though_somebody_watches(process: Process) -> None:
    with process.start() as client:
        app_id, answer = begun(client)
        answer.until("event: token\ndata: {")
        with client.stream("GET", f"/applications/{app_id}/events") as streamed:
            watched = Reading(streamed)
            watched.until("event: token")
            assert process.end(signal.SIGTERM) in (0, -signal.SIGTERM)
        answer.close()


@pytest.mark.slow
def test_a_browser_that_waits_on_one_application_holds_up_no_other(process: Process) -> None:
    with process.start() as client:
        _, answer = begun(client)
        answer.until("event: token\ndata: {")
        done = threading.Event()

        def others() -> None:
            for _ in range(20):
                assert 201 == client.post("/applications").status_code
            done.set()

        thread = threading.Thread(target=others)
        thread.start()
        thread.join(20)
        assert done.is_set()
        answer.close()


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("tests.serving.slow:GRAPH", "cannot be served"),
        ("tests.serving.slow:nothing", "has no 'nothing'"),
        ("nowhere:x", "no module 'nowhere'"),
    ],
)
def test_what_cannot_be_served_is_said_and_how_to_put_it_right(what: str, said: str, capsys: Any) -> None:
    assert 2 == main(["serve", what, "--store", "memory:"])
    assert said in capsys.readouterr().err


def test_a_token_alone_never_listens_for_other_machines(capsys: Any) -> None:
    assert 2 == main(["serve", "tests.serving.slow:story", "--store", "memory:", "--host", "0.0.0.0"])
    assert "lets other machines in" in capsys.readouterr().err


@pytest.mark.parametrize("port", ["80000", "-1"])
def test_a_port_that_there_is_not_is_a_mistake(port: str, capsys: Any) -> None:
    assert 2 == main(["serve", "tests.serving.slow:story", "--store", "memory:", "--port", port])
    said = f"agentflow: there is no port {port}: give one from 1 to 65535, or 0 for any that is free.\n"
    assert said == capsys.readouterr().err
