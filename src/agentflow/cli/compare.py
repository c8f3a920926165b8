"""`agentflow compare`: the prompts of a file put to several models, their answers side by side.

What must not live here: asking the models and laying out the answers, which `agentflow.parallel` does; the table that
fills while they come (`live.py`).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from agentflow.cli._files import check_place, write
from agentflow.errors import InputError

if TYPE_CHECKING:
    from agentflow.parallel import Comparison

NAME = "compare"
HELP = "Ask several models the prompts of a file, and show their answers side by side."


#: From an option to the method of a comparison that gives what is written to its file.
FORMS: Mapping[str, str] = {"markdown": "to_markdown", "json": "to_json", "html": "to_html"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument("prompts", help="a file with one prompt a line (# starts a comment), or - for standard input")
    parser.add_argument(
        "-m",
        "--model",
        action="append",
        default=[],
        dest="models",
        metavar="MODEL",
        help="a model to ask; say -m for each",
    )
    parser.add_argument("--judge", help="a model that ranks the answers, without knowing whose they are")
    parser.add_argument("--system", help="what is said to every model before the prompt")
    parser.add_argument("--api-base", help="address of an OpenAI-style server of your own")
    parser.add_argument("--max-tokens", type=int, help="the most tokens an answer may have")
    parser.add_argument("--concurrency", type=int, default=16, help="how many calls are made at once (%(default)s)")
    for form in FORMS:
        parser.add_argument(f"--{form}", metavar="FILE", type=Path, help=f"also write the comparison as {form}")


def run(arguments: argparse.Namespace) -> int:
    """Ask, show and write; 1 when not one answer came.

    Raises:
        AgentflowError: What was asked for makes no sense; nobody was asked anything.
    """
    prompts = _prompts(arguments.prompts)
    if not arguments.models:
        raise InputError("no model was named: say which with -m, such as -m gpt-4o-mini.")
    _check_numbers({"--max-tokens": arguments.max_tokens, "--concurrency": arguments.concurrency})
    files = {form: given for form in FORMS if (given := getattr(arguments, form)) is not None}
    for form, path in files.items():  # before anybody is asked: an answer that was paid for must have a place to go
        check_place(f"--{form}", path)
    done = _compared(prompts, arguments)
    for form, path in files.items():
        write(path, getattr(done, FORMS[form])(), "the answers stand above")
    return 1 if len(done.failures) == len(done.cells) else 0


def _compared(prompts: list[str], arguments: argparse.Namespace) -> Comparison:
    from agentflow.cli.live import shown
    from agentflow.parallel import compare

    options = {name: getattr(arguments, name) for name in ("system", "api_base", "max_tokens")}
    with shown(prompts, arguments.models) as screen:
        done = compare(
            prompts,
            arguments.models,
            judge=arguments.judge,
            max_concurrency=arguments.concurrency,
            on_cell=screen.show,
            **{name: value for name, value in options.items() if value is not None},
        )
    screen.finish(done)
    return done


def _prompts(path: str) -> list[str]:
    """The lines of the file that are prompts."""
    name = "standard input" if path == "-" else path
    found: dict[str, int] = {}
    for number, line in enumerate(_text(path, name).splitlines(), 1):
        prompt = line.strip()
        if not prompt or prompt.startswith("#"):
            continue
        if prompt in found:
            raise InputError(f"{name} has the same prompt in lines {found[prompt]} and {number}: keep one of them.")
        found[prompt] = number
    if not found:
        raise InputError(f"{name} has no prompts: write one a line.")
    return list(found)


def _text(path: str, name: str) -> str:
    try:
        return sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"cannot read {name}: {error.strerror}; give a file with one prompt a line.") from None
    except UnicodeDecodeError:
        raise InputError(f"{name} is not UTF-8 text: save it as UTF-8, one prompt a line.") from None


def _check_numbers(given: Mapping[str, int | None]) -> None:
    for name, number in given.items():
        if number is not None and number < 1:
            raise InputError(f"{name} {number} lets nothing through: give at least 1.")
