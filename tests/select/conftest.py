"""A scripted provider for every test of the deciders, and both colours from one body."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import respx

from agentflow.llm import limits
from tests.select.providers import Colour, Provider


@pytest.fixture
def http() -> Iterator[respx.MockRouter]:
    limits.forget_failures()
    with respx.mock(assert_all_mocked=True, assert_all_called=False) as router:
        yield router


@pytest.fixture
def provider(http: respx.MockRouter) -> Provider:
    return Provider(http)


@pytest.fixture(params=["blocking", "async"])
def colour(request: pytest.FixtureRequest) -> Colour:
    return Colour(request.param)
