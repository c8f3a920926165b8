"""`agentflow demo NAME`: run a bundled example.

What must not live here: the examples themselves, which are programs of their own.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from importlib import import_module
from pathlib import Path
from typing import Final

import agentflow
from agentflow.errors import AgentflowError, InputError
from agentflow.signatures import positional_count

NAME: Final = "demo"
HELP: Final = "run a bundled example, offline unless a key is set"

#: From the name of a demo to the module that has its `main(model, api_base)`.
DEMOS: Final = {
    "email-assistant": "email_assistant.terminal",
    "chat-agent": "chat_agent.terminal",
    "multi-model": "multi_model.run",
}


def add_arguments(parser: ArgumentParser) -> None:
    """Which example, and with which model."""
    parser.add_argument("name", choices=DEMOS, help="which example")
    parser.add_argument("--model", help="any litellm model name, such as anthropic/claude-sonnet-4-5")
    parser.add_argument("--api-base", help="an OpenAI-style server of your own; then --model openai/<name>")


def run(arguments: Namespace) -> int:
    """Run the example.

    Raises:
        InputError: A model is named for a demo that has its own.
        AgentflowError: The examples are neither bundled nor beside the sources.
    """
    sys.path.insert(0, str(examples_folder()))
    main = import_module(DEMOS[arguments.name]).main
    if positional_count(main):
        return int(main(arguments.model, arguments.api_base))
    if arguments.model or arguments.api_base:
        raise InputError(f"the demo {arguments.name!r} asks models of its own: leave --model and --api-base out.")
    main()
    return 0


def examples_folder() -> Path:
    """Where the examples are: bundled in an installed wheel, or in the checkout the package is run from."""
    package = Path(agentflow.__file__).parent
    for folder in (package / "_examples", package.parents[1] / "examples"):
        if folder.is_dir():
            return folder
    raise AgentflowError("the examples are not installed with this package: install it from a wheel or a checkout.")
