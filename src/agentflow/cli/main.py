"""Finding the commands and running the one that was asked for.

Every module of this package with a `NAME` is a command: `NAME` and `HELP` are what `agentflow --help` shows,
`add_arguments(parser)` declares what it takes, `run(arguments)` does it and returns the exit status. A module loads
what it needs inside `run`, so that one command does not pay for the others. What must not live here: any command.
"""

from __future__ import annotations

import argparse
import os
import pkgutil
import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from types import ModuleType

import agentflow.cli
from agentflow.errors import AgentflowError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status: 0, what the command says, 2 for a mistake of the caller's.

    Args:
        arguments: What follows the program's name; by default what it was started with.
    """
    parser = argparse.ArgumentParser(prog="agentflow", description="LLM agents as explicit state machines.")
    known = parser.add_subparsers(metavar="command", required=True)
    for command in commands():
        added = known.add_parser(command.NAME, help=command.HELP, description=command.HELP)
        command.add_arguments(added)
        added.set_defaults(run=command.run)
    given = parser.parse_args(arguments)
    try:
        status = int(given.run(given))
        sys.stdout.flush()
        return status
    except AgentflowError as error:
        print(f"agentflow: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # whoever read what is printed has gone, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what Python prints when it ends
        return 141


def commands() -> Iterator[ModuleType]:
    """The modules that are commands, sorted by file name."""
    for found in pkgutil.iter_modules(agentflow.cli.__path__):
        module = import_module(f"agentflow.cli.{found.name}")
        if hasattr(module, "NAME"):
            yield module
