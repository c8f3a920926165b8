"""`agentflow serve module:name`: a web API for a graph, a factory of applications, or an ASGI application.

What must not live here: the API or the server (`agentflow.serving`).
"""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from typing import Any, Final

from agentflow.application import Application
from agentflow.builder import ApplicationBuilder
from agentflow.errors import InputError
from agentflow.graph import Graph

NAME: Final = "serve"
HELP: Final = "serve an application as a web API on this machine"

#: Where the token may be set, so that it stays the same when the server is started again.
TOKEN: Final = "AGENTFLOW_TOKEN"


def add_arguments(parser: ArgumentParser) -> None:
    """What to serve, where, and what from."""
    parser.add_argument(
        "what",
        metavar="module:name",
        help="a factory(app_id, partition_key), an application, a builder, or an API of your own",
    )
    parser.add_argument("--store", default="sqlite:///agentflow.db", help="where applications are saved")
    parser.add_argument("--host", default="127.0.0.1", help="where to listen")
    parser.add_argument("--port", type=int, default=8000, help="which port; 0 for any that is free")


def run(arguments: Namespace) -> int:
    """Serve until the process is told to stop.

    Raises:
        InputError: It is nothing that can be served.
    """
    from agentflow.cli._loading import load
    from agentflow.serving import serve

    serve(api_of(load(arguments.what), arguments), host=arguments.host, port=arguments.port, tell=_tell)
    return 0


def api_of(found: Any, arguments: Namespace) -> Any:
    """The API of what was named.

    Raises:
        InputError: It has none.
    """
    from fastapi import FastAPI

    from agentflow.serving import create_api

    if isinstance(found, FastAPI):
        return found
    factory = factory_of(found)
    if factory is None:
        raise InputError(
            f"'{arguments.what}' is {found!r:.80}, which cannot be served: name a factory(app_id, partition_key) that "
            "returns an ApplicationBuilder, an application, or a builder with an entrypoint."
        )
    title = str(arguments.what).rpartition(":")[2]
    return create_api(factory, persister=arguments.store, token=os.environ.get(TOKEN), title=title)


def factory_of(found: Any) -> Callable[[str, str | None], Any] | None:
    """What makes an application of an id and a partition; None when there is no way to."""
    if isinstance(found, Application | ApplicationBuilder):
        return lambda app_id, partition_key: found
    if callable(found) and not isinstance(found, Graph | type):
        factory: Callable[[str, str | None], Any] = found
        return factory
    return None


def _tell(address: str) -> None:
    print(f"Serving at {address}\nPress Ctrl+C to stop.", flush=True)
