"""Secrets are in nothing that a tracker keeps: not in the store, its log, or what is read from it."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from agentflow.tracking import LocalTracker, Runs
from tests.drivers import Driver
from tests.tracking.canaries import CANARIES, ENVIRONMENT, INPUTS, HttpError, leaked, leaking


def test_no_secret_of_a_run_can_be_read_anywhere(
    drive: Driver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(*ENVIRONMENT)
    tracker = LocalTracker(root=tmp_path)
    with caplog.at_level(logging.DEBUG), pytest.raises(HttpError) as caught:
        drive.run(drive.build(leaking().with_tracker(tracker)), halt_after=["fail"], inputs=INPUTS)
    assert tracker.flush(10)
    files = {path.name: path.read_bytes().decode("latin-1") for path in tmp_path.iterdir()}
    tracker.close(10)
    runs = Runs(tmp_path)
    read = repr([runs.steps("leaking"), runs.decisions("leaking"), runs.spans("leaking"), runs.state("leaking")])

    assert {} == {name: found for name, text in files.items() if (found := leaked(text))}
    assert [] == leaked(read)
    assert [] == leaked(caplog.text)
    assert [] == [name for name, secret in CANARIES.items() if runs.search(secret)]
    assert (0, None) == (tracker.dropped, tracker.problem)
    assert "401: sent" in str(caught.value)


def test_what_is_not_secret_is_kept(tmp_path: Path) -> None:
    tracker = LocalTracker(root=tmp_path)
    with pytest.raises(HttpError):
        leaking().with_tracker(tracker).build().run(halt_after=["fail"], inputs=INPUTS)
    tracker.close(10)

    used, failed = Runs(tmp_path).steps("leaking")

    assert {"user": "ada", "password": "[redacted]"} == used.set["login"]
    assert "my key is [redacted]" == used.inputs["text"]
    assert failed.error is not None
    assert "HttpError" == failed.error["kind"]
    assert "canaries.py" in failed.error["traceback"]


def test_a_name_of_ones_own_is_hidden(tmp_path: Path) -> None:
    tracker = LocalTracker(root=tmp_path, redact=["said"])
    with pytest.raises(HttpError):
        leaking().with_tracker(tracker).build().run(halt_after=["fail"], inputs=INPUTS)
    tracker.close(10)

    assert "[redacted]" == Runs(tmp_path).steps("leaking")[0].set["said"]


def test_what_went_wrong_is_told_without_secrets(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Leaking:
        @property
        def name(self) -> str:
            raise ValueError(f"no name for {CANARIES['openai']}")

    tracker = LocalTracker(root=tmp_path)
    tracker.pre_run_step(app_id="a", partition_key=None, sequence_id=0, action=Leaking(), inputs={})

    assert "no name for [redacted]" in str(tracker.problem)
    assert [] == leaked(caplog.text)
    tracker.close(10)
