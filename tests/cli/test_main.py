"""The console script: it finds its commands, and tells mistakes in one line."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from typing import Any

import pytest

import agentflow.cli.evaluate
from agentflow.cli import main
from agentflow.cli.main import commands
from agentflow.errors import InputError


def test_every_command_has_all_it_needs() -> None:
    found = list(commands())
    assert "eval" in [command.NAME for command in found]
    for command in found:
        parser = argparse.ArgumentParser()
        command.add_arguments(parser)
        assert callable(command.run)
        assert command.HELP


def test_help_names_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert (0, True) == (ended.value.code, "eval" in capsys.readouterr().out)


def test_it_can_be_run_as_a_module() -> None:
    done = subprocess.run([sys.executable, "-m", "agentflow", "--help"], capture_output=True, text=True, check=False)
    assert (0, True) == (done.returncode, done.stdout.startswith("usage: agentflow "))


def test_without_a_command_it_says_how_it_is_used(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([])
    assert (2, True) == (ended.value.code, "usage: agentflow" in capsys.readouterr().err)


@pytest.mark.parametrize(("error", "status"), [(InputError("that is wrong"), 2), (KeyboardInterrupt(), 130)])
def test_a_mistake_is_one_line_and_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: BaseException, status: int
) -> None:
    def fail(arguments: Any) -> int:
        raise error

    monkeypatch.setattr(agentflow.cli.evaluate, "run", fail)
    assert status == main(["eval", "a:b", "source", "cases.jsonl"])
    assert ("agentflow: that is wrong\n" if status == 2 else "") == capsys.readouterr().err


def test_a_reader_that_goes_away_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "agentflow", "runs", "list", "--store", "memory:", "--json"],
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writing)
    assert (141, "") == (done.returncode, done.stderr)


def test_it_runs_as_a_module_and_loads_no_provider_for_that() -> None:
    code = "import sys; from agentflow.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass\n"
    code += "print(sorted({'litellm', 'pydantic', 'rich'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "[]" == done.stdout.splitlines()[-1]
    done = subprocess.run([sys.executable, "-m", "agentflow.cli", "--help"], capture_output=True, text=True, check=True)
    assert "usage: agentflow" in done.stdout
