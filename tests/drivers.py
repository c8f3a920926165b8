"""One body of tests for both colours: a driver has the running verbs under one name each.

A test takes the fixture `drive` and runs twice, blocking and async. Actions given to it may be plain functions; async
ones make sense only for the async colour (`drive.colour`).
"""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

import pytest

from agentflow import Application


class BlockingDriver:
    """The plain verbs."""

    colour = "blocking"

    def step(self, app: Application, **options: Any) -> Any:
        return app.step(**options)

    def run(self, app: Application, **options: Any) -> Any:
        return app.run(**options)

    def iterate(self, app: Application, **options: Any) -> list[Any]:
        return list(app.iterate(**options))

    def stream_result(self, app: Application, **options: Any) -> tuple[Any, list[Any], Any, Any]:
        """The action, its items, its result and the state."""
        action, container = app.stream_result(**options)
        return (action, list(container), *container.get())

    def stream_iterate(self, app: Application, **options: Any) -> list[tuple[str, list[Any]]]:
        """The name of each action and its items."""
        return [(action.name, list(container)) for action, container in app.stream_iterate(**options)]

    def next_action(self, app: Application) -> Any:
        return app.get_next_action()

    def has_next_action(self, app: Application) -> bool:
        return app.has_next_action()

    def build(self, builder: Any) -> Application:
        return builder.build()

    def wait(self, value: Any) -> Any:
        """A value that a verb gave, whatever its colour."""
        return value

    def do(self, app: Application, verb: str, *args: Any, **options: Any) -> Any:
        """Any other verb."""
        return getattr(app, verb)(*args, **options)


class AsyncDriver:
    """The async twins, each in an event loop of its own."""

    colour = "async"

    def do(self, app: Application, verb: str, *args: Any, **options: Any) -> Any:
        """Any other verb."""
        return asyncio.run(getattr(app, f"a{verb}")(*args, **options))

    def step(self, app: Application, **options: Any) -> Any:
        return asyncio.run(app.astep(**options))

    def run(self, app: Application, **options: Any) -> Any:
        return asyncio.run(app.arun(**options))

    def iterate(self, app: Application, **options: Any) -> list[Any]:
        async def collect() -> list[Any]:
            return [done async for done in app.aiterate(**options)]

        return asyncio.run(collect())

    def stream_result(self, app: Application, **options: Any) -> tuple[Any, list[Any], Any, Any]:
        """The action, its items, its result and the state."""

        async def collect() -> tuple[Any, list[Any], Any, Any]:
            action, container = await app.astream_result(**options)
            items = [item async for item in container]
            return (action, items, *await container.get())

        return asyncio.run(collect())

    def stream_iterate(self, app: Application, **options: Any) -> list[tuple[str, list[Any]]]:
        """The name of each action and its items."""

        async def collect() -> list[tuple[str, list[Any]]]:
            found = []
            async for action, container in app.astream_iterate(**options):
                found.append((action.name, [item async for item in container]))
            return found

        return asyncio.run(collect())

    def next_action(self, app: Application) -> Any:
        return asyncio.run(app.aget_next_action())

    def has_next_action(self, app: Application) -> bool:
        return asyncio.run(app.ahas_next_action())

    def build(self, builder: Any) -> Application:
        return asyncio.run(builder.abuild())

    def wait(self, value: Any) -> Any:
        """A value that a verb gave, whatever its colour."""

        async def waited() -> Any:
            return await value if inspect.isawaitable(value) else value

        return asyncio.run(waited())


Driver = BlockingDriver | AsyncDriver


@pytest.fixture(params=[BlockingDriver(), AsyncDriver()], ids=["blocking", "async"])
def drive(request: pytest.FixtureRequest) -> Driver:
    """Both colours, one after the other."""
    driver: Driver = request.param
    return driver
