"""The pytest plugin: the fixture `agentflow_llm`, and no real calls to a provider unless a test asks for them.

It is loaded by every pytest run where agentflow is installed, so it imports nothing heavy before it is used. What must
not live here: how a scripted provider answers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from agentflow.testing.scripted import ScriptedProvider

REAL_CALLS = "agentflow_real_calls"


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker."""
    config.addinivalue_line("markers", f"{REAL_CALLS}: this test may call a provider for real.")


@pytest.fixture(autouse=True)
def _agentflow_real_calls(request: pytest.FixtureRequest) -> Iterator[None]:
    """Forbid real calls for the length of a test that is not marked."""
    if request.node.get_closest_marker(REAL_CALLS) is not None:
        yield
        return
    from agentflow.llm.guard import allow_real_calls, forbid_real_calls, real_calls_allowed

    were_allowed = real_calls_allowed()
    forbid_real_calls()
    yield
    if were_allowed:
        allow_real_calls()


@pytest.fixture
def agentflow_llm() -> Iterator[ScriptedProvider]:
    """A scripted provider for the length of a test; an unscripted request, or a reply left over, fails it."""
    from agentflow.testing.scripted import ScriptedProvider

    with ScriptedProvider() as llm:
        yield llm
