"""create_api: a web API made from a graph, safe as it comes.

What must not live here: routes, verbs, or a server that listens.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import AsyncIterator, Callable, Collection, Iterable
from typing import Any, Final

from fastapi import APIRouter, Depends, FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from agentflow.errors import BuildError
from agentflow.persistence.persister import Persister
from agentflow.persistence.starting import checked
from agentflow.serving import problems
from agentflow.serving.asking import remembering, with_token
from agentflow.serving.desk import Desk, Factory
from agentflow.serving.guarding import LOOPBACK, Guard, Limits
from agentflow.serving.routes import router_of
from agentflow.serving.service import Service
from agentflow.serving.shapes import Shapes

#: A token that is shorter can be guessed.
SHORTEST_TOKEN: Final = 16


def create_api(
    application_factory: Factory,
    *,
    persister: Persister | str,
    partition_key: Callable[..., Any] | None = None,
    token: str | None = None,
    allowed_hosts: Collection[str] = LOOPBACK,
    allowed_origins: Collection[str] = (),
    max_body_bytes: int = 1_000_000,
    pause_before: Iterable[str] = (),
    max_steps: int = 1_000,
    extend: Callable[[APIRouter, Service], None] | None = None,
    title: str = "agentflow",
    version: str = "1",
) -> FastAPI:
    """A FastAPI application that serves the applications of one graph; run it with any ASGI server, or mount it.

    Every request loads its application from the store: nothing is cached that another process may have moved on.
    `Idempotency-Key` has a request count once, and `If-Match: "<sequence id>"` refuses one (409) that comes too late.

    Args:
        application_factory: `factory(app_id, partition_key)` returns an `ApplicationBuilder`, which is given its
            identifiers and its persister here (an `Application` stands for its builder). It is called once for each
            request, so build the graph outside of it. It may be async; it is called once more when the API is made, in
            an event loop of its own then.
        persister: Where applications are saved, or the URL of it.
        partition_key: A FastAPI dependency that says whose applications a request is about: it authenticates the
            caller, and raises `HTTPException(401)` for a stranger. Nobody sees another partition. By default whoever
            bears the token may do everything in one partition.
        token: The token that is asked for then; by default a random one, which `api.state.token` tells.
        allowed_hosts: The names that the server is reached by, without ports; `*.example.com` for all below one.
        allowed_origins: Pages of other hosts that may ask, such as `https://app.example.com`.
        max_body_bytes: The longest request.
        pause_before: Actions to stop before, besides those that cannot run without input.
        max_steps: The most steps that one request performs.
        extend: `extend(router, service)` adds routes of your own beside those that are made, behind the same
            authentication, answering errors the same way.
        title: What the OpenAPI document is called.
        version: And its version.

    Raises:
        BuildError: The factory makes no builder, the graph is wrong, or an input of it has no form in JSON.

    Example:
        >>> def assistant(app_id: str, partition_key: str | None) -> ApplicationBuilder:
        ...     return ApplicationBuilder().with_graph(graph).with_entrypoint("ask").with_state(history=[])
        >>> api = create_api(assistant, persister="sqlite:///agents.db")
        >>> uvicorn.run(api)
    """
    desk = Desk(application_factory, _store_of(persister))
    graph, entrypoint, typing_system = desk.about()
    service = Service(desk, graph, entrypoint, Shapes.of(graph, typing_system, pause_before), max_steps)
    api = FastAPI(
        title=title,
        version=version,
        docs_url=None,  # they are pages that load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,  # strangers would be told which addresses there are, and not in our own words
        lifespan=_closing(service),
        generate_unique_id_function=_named,
    )
    if partition_key is None:
        token = _checked(token or secrets.token_urlsafe(32))
        known: Callable[..., Any] = with_token(token)
    else:
        known = remembering(partition_key)
    api.state.token, api.state.service = token, service
    _handle(api)
    router = router_of(service)
    if extend is not None:
        extend(router, service)
    api.include_router(router, dependencies=[Depends(known)])
    api.add_middleware(Guard, limits=Limits(allowed_hosts, allowed_origins, max_body_bytes))
    return api


def _store_of(persister: Persister | str) -> Persister:
    store = checked(persister, "create_api")
    if not isinstance(store, Persister):
        raise BuildError(f"create_api(persister=...) takes a Persister or its URL, not {persister!r}.")
    return store


def _checked(token: str) -> str:
    if len(token) < SHORTEST_TOKEN:
        raise BuildError(f"the token has {len(token)} letters and can be guessed: use {SHORTEST_TOKEN} or more.")
    return token


def _handle(api: FastAPI) -> None:
    api.add_exception_handler(RequestValidationError, problems.on_invalid)
    api.add_exception_handler(HTTPException, problems.on_http)


def _closing(service: Service) -> Callable[[FastAPI], contextlib.AbstractAsyncContextManager[None]]:
    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await service.rooms.close()

    return lifespan


def _named(route: APIRoute) -> str:
    return route.name
