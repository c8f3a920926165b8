"""The routes of a service: one for each verb, and one for each action that takes input.

What must not live here: what a verb does (`service.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Annotated, Any, Final

from fastapi import APIRouter, Body, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response, StreamingResponse
from fastapi.routing import APIRoute
from pydantic import BaseModel
from pydantic_core import to_json
from starlette.exceptions import HTTPException

from agentflow.actions import Action
from agentflow.serving import events
from agentflow.serving.asking import Asked, Expected, Once, Partition
from agentflow.serving.picture import picture
from agentflow.serving.problems import answer
from agentflow.serving.service import Service, Write
from agentflow.serving.shapes import Choose, Create, Fork, History, Id, Page, Problem, values_of

STREAM: Final = "text/event-stream"
_EVENTS: Final = {"content": {STREAM: {"schema": {"type": "string"}}}}
Responses = dict[int | str, dict[str, Any]]
_SAID: Final[Responses] = {
    status: {"model": Problem, "description": what}
    for status, what in {
        401: "No token, or a wrong one.",
        404: "There is no such application.",
        409: "It is not at that step, something else comes next, or somebody else runs it.",
        413: "The body is too long.",
        415: "The body is not JSON.",
        422: "The request does not fit its model.",
        500: "An action failed; nothing of its step was kept.",
        502: "A model could not be asked, or chose nothing that there was.",
        503: "The store could not be reached.",
    }.items()
}
_LOOK: Final[Responses] = {status: _SAID[status] for status in (401, 404, 422, 500, 503)}


class _Careful(APIRoute):
    """A route that answers whatever is raised, so that a server neither shows nor repeats it."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """What FastAPI calls for each request."""
        handle = super().get_route_handler()

        async def answered(request: Request) -> Response:
            try:
                return await handle(request)
            except (HTTPException, RequestValidationError):
                raise
            except Exception as error:
                return answer(error)

        return answered


def router_of(service: Service) -> APIRouter:
    """Every route."""
    router = APIRouter(route_class=_Careful)
    for (
        name,
        model,
    ) in service.shapes.inputs.items():  # first, because a request is held against one route after another
        _add_action(router, service, service.graph.get_action(name), model)
    _add_lists(router, service)
    _add_looks(router, service)
    _add_changes(router, service)
    return router


def sent(said: Any, status: int = 200) -> Response:
    """An answer about an application, with the step it is at as its ETag."""
    headers = {"etag": f'"{said["sequence_id"]}"'} if "sequence_id" in said else None
    return Response(to_json(said), status, headers, "application/json")


async def _performed(service: Service, write: Write, request: Request) -> Response:
    if STREAM in request.headers.get("accept", ""):
        return StreamingResponse(events.performing(service, write), media_type=STREAM)
    status, said = await service.advance(write)
    return sent(said, status)


def _add_lists(router: APIRouter, service: Service) -> None:
    view = service.shapes.view

    async def create_application(
        partition: Partition, once: Once = None, body: Annotated[Create | None, Body()] = None
    ) -> Response:
        """Make an application. It is at its beginning: what comes next is in `next_step`."""
        status, said = await service.create(partition, body.app_id if body else None, once)
        return sent(said, status)

    async def list_applications(
        partition: Partition,
        after: Annotated[Id | None, Query(description="The last id of the page before.")] = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 50,
    ) -> Response:
        """The caller's applications, by id."""
        return Response(to_json(await service.listed(partition, after, limit)), media_type="application/json")

    async def get_graph() -> Response:
        """The graph, laid out to be drawn."""
        return Response(to_json(picture(service.graph, service.entrypoint)), media_type="application/json")

    created: Responses = {
        201: {"model": view},
        **{status: _SAID[status] for status in (401, 409, 413, 415, 422, 500, 503)},
    }
    listed: Responses = {200: {"model": Page}, **{status: _SAID[status] for status in (401, 422, 503)}}
    add = router.add_api_route
    add("/applications", create_application, methods=["POST"], status_code=201, responses=created)
    add("/applications", list_applications, methods=["GET"], responses=listed)
    add("/graph", get_graph, methods=["GET"], responses={401: _SAID[401]})


def _add_looks(router: APIRouter, service: Service) -> None:
    async def get_state(key: Asked) -> Response:
        """An application as it stands, and what comes next. Looking costs nothing: no choice is paid for."""
        return sent(await service.look(key))

    async def get_history(
        key: Asked,
        after: Annotated[int | None, Query(ge=-2, lt=2**53, description="The last step of the page before.")] = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
    ) -> Response:
        """The steps of an application with the choices that led to them, oldest first."""
        return Response(to_json(await service.history(key, after, limit)), media_type="application/json")

    async def watch(key: Asked) -> StreamingResponse:
        """What happens: `state`, `begin`, `token`, `decision`, `step`, `failed` and `deleted` events."""
        await service.head(key)
        return StreamingResponse(events.watching(service, key), media_type=STREAM)

    add, place = router.add_api_route, "/applications/{app_id}"
    add(f"{place}/state", get_state, methods=["GET"], responses={200: {"model": service.shapes.view}, **_LOOK})
    add(f"{place}/history", get_history, methods=["GET"], responses={200: {"model": History}, **_LOOK})
    add(f"{place}/events", watch, methods=["GET"], response_class=StreamingResponse, responses={200: _EVENTS, **_LOOK})


def _add_changes(router: APIRouter, service: Service) -> None:
    async def run(key: Asked, request: Request, expected: Expected = None, once: Once = None) -> Response:
        """Go on to where input is needed, or to the end; also after a step that failed."""
        return await _performed(service, Write(key, expected, once), request)

    async def choose(
        key: Asked, request: Request, body: Choose, expected: Expected = None, once: Once = None
    ) -> Response:
        """Say what comes next, where that is left to a person, and go on."""
        write = Write(key, expected, once, target=body.target, reason=body.reason)
        return await _performed(service, write, request)

    async def cancel(key: Asked, expected: Expected = None) -> Response:
        """Cancel the step that is under way: it leaves nothing behind, and is performed again by `run`."""
        return sent(await service.cancel(key, expected))

    async def fork(
        key: Asked, expected: Expected = None, once: Once = None, body: Annotated[Fork | None, Body()] = None
    ) -> Response:
        """Make a new application that goes on from a step of this one, and leave this one as it is."""
        wish = body or Fork(app_id=None, sequence_id=None)
        status, said = await service.fork(key, wish.app_id, wish.sequence_id, once, expected)
        return sent(said, status)

    async def delete_application(key: Asked, expected: Expected = None) -> Response:
        """Delete an application, its history, and the applications it spawned."""
        await service.delete(key, expected)
        return Response(status_code=204)

    add, place, view = router.add_api_route, "/applications/{app_id}", service.shapes.view
    gone_on: Responses = {200: {"model": view, **_EVENTS}, **_SAID}
    add(f"{place}/run", run, methods=["POST"], responses=gone_on)
    add(f"{place}/choice", choose, methods=["PUT"], responses=gone_on)
    add(f"{place}/cancel", cancel, methods=["POST"], responses={200: {"model": view}, **_LOOK, 409: _SAID[409]})
    add(f"{place}/fork", fork, methods=["POST"], status_code=201, responses={201: {"model": view}, **_SAID})
    add(place, delete_application, methods=["DELETE"], status_code=204, responses={**_LOOK, 409: _SAID[409]})


def _add_action(router: APIRouter, service: Service, action: Action, model: type[BaseModel]) -> None:
    router.add_api_route(
        f"/applications/{{app_id}}/actions/{action.name}",
        performing(service, action.name, model),
        methods=["PUT"],
        name=f"perform_{action.name}",
        summary=f"Perform {action.name}",
        description=action.description,
        responses={200: {"model": service.shapes.view, **_EVENTS}, **_SAID},
    )


def performing(service: Service, name: str, model: type[BaseModel]) -> Callable[..., Any]:
    """What performs an action with a body that fits its inputs."""

    async def perform(
        key: Asked, request: Request, body: Any, expected: Expected = None, once: Once = None
    ) -> Response:
        return await _performed(service, Write(key, expected, once, name, values_of(body)), request)

    perform.__annotations__["body"] = model
    return perform
