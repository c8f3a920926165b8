"""What holds for every test: litellm at its quietest, no network but loopback, one body for both colours."""

from __future__ import annotations

import gc
import os
import socket
import sys
from collections.abc import Generator, Iterator
from typing import Any

import hypothesis
import pytest

os.environ.update(  # before anything imports litellm, which reads these once
    LITELLM_LOCAL_MODEL_COST_MAP="True",  # else it fetches a table of prices
    LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS="True",
    LITELLM_MODE="PRODUCTION",  # else it loads a .env from the working directory
    DISABLE_AIOHTTP_TRANSPORT="True",  # else its async calls go past respx
    OPENAI_API_KEY="sk-test",
    ANTHROPIC_API_KEY="sk-test",
    GEMINI_API_KEY="sk-test",
)

from tests import measuring
from tests.drivers import drive
from tests.effort import THOROUGH

__all__ = ["drive"]

Hook = Generator[None, object, object]

# No deadlines: they fail on a busy machine. Where a failure blocks somebody else's change, it can be repeated.
hypothesis.settings.register_profile(
    "agentflow", deadline=None, derandomize="CI" in os.environ, max_examples=100 if THOROUGH else 20
)
hypothesis.settings.load_profile("agentflow")


def pytest_configure(config: pytest.Config) -> None:
    """Measure the coverage of the tests' own process only, which is a worker of pytest-xdist when there are any.

    What a test starts is to be as its user starts it: without modules that coverage loaded, and not at half the speed.
    """
    if config.getoption("numprocesses", None):
        measuring.stop()
        return
    os.environ.pop("COVERAGE_PROCESS_CONFIG", None)
    measuring.start()


# Measured is what fixtures and tests do, and not what pytest does for them.


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Hook:
    with measuring.measured(False):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Hook:
    with measuring.measured(False):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(request: pytest.FixtureRequest) -> Hook:
    with measuring.measured(measuring.is_measured(request.node.nodeid)):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Hook:
    with measuring.measured(measuring.is_measured(pyfuncitem.nodeid)):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Hook:
    with measuring.measured(measuring.is_measured(item.nodeid)):
        return (yield)


gc.disable()  # nothing that is loaded is garbage


def pytest_collection_finish() -> None:
    """What is there now stays: no collection has to look through it again, which takes half a second of each."""
    gc.freeze()
    gc.enable()


LOOPBACK = ("127.0.0.1", "localhost", "::1", "", None)

#: Calls of a socket that name the other side. What `sendto` is given last is its address.
CONNECTING = ("connect", "connect_ex", "sendto")


def forbid_network() -> None:
    """From now on whoever tries to reach another machine fails, however it tries. Unix sockets stay allowed.

    Done once and for all, and not in a fixture: a thread, or a fixture of the session, outlives what a test undoes.
    """
    for name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex"):
        setattr(socket, name, _guarded_lookup(getattr(socket, name)))
    for name in CONNECTING:
        setattr(socket.socket, name, _guarded_connection(getattr(socket.socket, name)))


def _guarded_lookup(real: Any) -> Any:
    def lookup(host: Any, *args: Any, **options: Any) -> Any:
        _refuse_others(host)
        return real(host, *args, **options)

    return lookup


def _guarded_connection(real: Any) -> Any:
    def connect(self: socket.socket, *args: Any) -> Any:
        if isinstance(args[-1], tuple):  # (host, port, ...): a unix socket has a path
            _refuse_others(args[-1][0])
        return real(self, *args)

    return connect


def _refuse_others(host: Any) -> None:
    name = host.decode() if isinstance(host, bytes) else host
    if name not in LOOPBACK:
        raise OSError(f"a test tried to reach {name!r}: only loopback may be reached")


forbid_network()


@pytest.fixture(autouse=True)
def no_keys_of_the_person_who_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine may have real keys, or a base that is not loopback, in its environment."""
    for name in ("OPENAI_API_BASE", "OPENAI_BASE_URL", "ANTHROPIC_API_BASE", "ANTHROPIC_BASE_URL", "GOOGLE_API_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def no_provider_is_in_disgrace() -> Iterator[None]:
    """What failed in one test, and opened a provider's circuit, must not fail the next one."""
    yield
    limits = sys.modules.get("agentflow.llm.limits")
    if limits is not None:
        limits.forget_failures()
