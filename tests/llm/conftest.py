"""One faulty server for all tests of the provider layer, and one body of tests for both colours."""

from __future__ import annotations

import dataclasses
import gc
from collections.abc import Iterator

import pytest

import agentflow.llm
from agentflow.llm import backend, limits
from tests.llm.driving import ANTHROPIC, OPENAI, Driver, warm_up
from tests.llm.faulty_server import FaultyServer


def pytest_itemcollected(item: pytest.Item) -> None:
    """Litellm's own warnings against newer pydantics, for where warnings are errors."""
    item.add_marker(pytest.mark.filterwarnings("ignore:Accessing the 'model_:DeprecationWarning"))
    item.add_marker(pytest.mark.filterwarnings("ignore:Item .* is using the .ReadOnly. qualifier:UserWarning"))


@pytest.fixture(scope="session")
def server() -> Iterator[FaultyServer]:
    with FaultyServer().serving() as server:
        warm_up(server)
        yield server
    backend.load().in_memory_llm_clients_cache.flush_cache()
    gc.collect()  # litellm keeps the clients of ended event loops: they go here, not in the middle of somebody's import


@pytest.fixture(params=["blocking", "waiting"])
def call(request: pytest.FixtureRequest) -> Driver:
    return Driver(request.param)


@pytest.fixture(params=[OPENAI, ANTHROPIC], ids=["openai", "anthropic"])
def model(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(autouse=True)
def fresh_limits() -> Iterator[None]:
    """No test sees the failures or the settings of another."""
    before = agentflow.llm.configure()
    limits.forget_failures()
    yield
    agentflow.llm.configure(**dataclasses.asdict(before))
