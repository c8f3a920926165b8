"""What is loaded when, what it reaches for, and what is said when it is missing."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from agentflow.errors import MissingExtraError
from agentflow.llm import backend
from agentflow.llm.policy import retry_after

HEAVY = ("litellm", "openai", "instructor", "pydantic", "tenacity", "httpx", "respx")


def run(code: str) -> str:
    path = os.pathsep.join(map(os.path.abspath, sys.path))
    command = [sys.executable, "-c", code]
    environment = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120, env=environment)
    assert "" == done.stderr
    return done.stdout.strip()


def test_importing_the_layer_loads_no_third_party_library() -> None:
    code = f"import sys, agentflow.llm; print([name for name in {HEAVY!r} if name in sys.modules])"

    assert "[]" == run(code)


@pytest.mark.slow
def test_loading_litellm_reaches_for_no_network_and_reads_no_env_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("STRAY_SETTING=1\n")
    for name in (*backend.SWITCHES, "STRAY_SETTING"):
        monkeypatch.delenv(name, raising=False)
    code = """
import os, sys
seen = []
sys.addaudithook(lambda event, _: seen.append(event) if event in ("socket.connect", "socket.getaddrinfo") else None)
from agentflow.llm import backend
backend.load()
print(seen, os.environ.get("STRAY_SETTING"))
"""

    before = [os.path.abspath(entry) for entry in sys.path]
    monkeypatch.setattr(sys, "path", before)
    monkeypatch.chdir(tmp_path)

    assert "[] None" == run(code)


def test_a_missing_library_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "litellm", None)

    with pytest.raises(MissingExtraError, match="needs the 'llm' extra"):
        backend.required("litellm")


def test_an_import_error_inside_a_library_is_not_taken_for_a_missing_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_library.py").write_text("import something_else_entirely\n")
    monkeypatch.syspath_prepend(str(tmp_path))

    with pytest.raises(ModuleNotFoundError, match="something_else_entirely"):
        backend.required("broken_library")


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "2"}, 2.0),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "inf"}, None),
        ({}, None),
    ],
)
def test_retry_after_is_read_in_every_form(headers: dict[str, str], seconds: float | None) -> None:
    assert seconds == retry_after(headers)


def test_retry_after_as_a_date_is_the_time_until_then() -> None:
    moment = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)

    assert pytest.approx(retry_after({"retry-after": moment}), abs=1.0) == 29.5
