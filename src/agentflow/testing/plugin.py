"""The pytest plugin: scripted and recorded providers, branch coverage, and no real calls unless a test asks for them.

It is loaded by every pytest run where agentflow is installed, so it imports nothing heavy before it is used. What must
not live here: how a provider answers, and how branches are counted.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

if TYPE_CHECKING:
    from agentflow.testing.branches import BranchCoverage
    from agentflow.testing.recording import Recording
    from agentflow.testing.scripted import ScriptedProvider

REAL_CALLS = "agentflow_real_calls"
_RECORD, _BRANCHES = "--agentflow-record", "--agentflow-branches"
_coverage: pytest.StashKey[BranchCoverage] = pytest.StashKey()
_passed: pytest.StashKey[bool] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options."""
    group = parser.getgroup("agentflow")
    group.addoption(
        _RECORD,
        action="store_true",
        help="make real calls in tests that use agentflow_recorded and have no recording yet, and record them",
    )
    group.addoption(
        _BRANCHES, action="store_true", help="show which targets of which choices were never taken in this session"
    )
    parser.addini(REAL_CALLS, "whether every test may call a provider for real", type="bool", default=False)


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker, and begin to watch choices if that is asked for."""
    config.addinivalue_line("markers", f"{REAL_CALLS}: this test may call a provider for real.")
    if config.getoption(_BRANCHES):
        from agentflow.testing.branches import BranchCoverage

        config.stash[_coverage] = coverage = BranchCoverage()
        coverage.start()
        config.add_cleanup(coverage.stop)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """Remember how the test itself ended, for the fixtures that are torn down after it."""
    report = yield
    if report.when == "call":
        item.stash[_passed] = report.passed
    return report


@pytest.fixture(autouse=True)
def _agentflow_real_calls(request: pytest.FixtureRequest) -> Iterator[None]:
    """Forbid real calls for the length of a test that is not marked."""
    if request.node.get_closest_marker(REAL_CALLS) is not None or request.config.getini(REAL_CALLS):
        yield
        return
    from agentflow.llm.guard import allow_real_calls, forbid_real_calls, real_calls_allowed

    were_allowed = real_calls_allowed()
    forbid_real_calls()
    yield
    if were_allowed:
        allow_real_calls()


@pytest.fixture
def agentflow_llm(request: pytest.FixtureRequest) -> Iterator[ScriptedProvider]:
    """A scripted provider for the length of a test; an unscripted request, or a reply left over, fails it."""
    from agentflow.testing.scripted import ScriptedProvider

    llm = ScriptedProvider()
    with llm.answering():
        yield llm
    if _has_passed(request):  # a test that failed has left replies over for that reason
        llm.check()


@pytest.fixture
def agentflow_recorded(request: pytest.FixtureRequest, _agentflow_real_calls: None) -> Iterator[Recording]:
    """What providers said when the test was recorded; see `Recording`.

    The file is `cassettes/<test module>/<test>.json` beside the test. It is written by a run with --agentflow-record,
    if there is none and the test passes; to record anew, delete it.
    """
    from agentflow.testing.recording import Recording

    path = _cassette_of(request)
    recording = Recording(path, record=request.config.getoption(_RECORD) and not path.exists())
    with recording.answering():
        yield recording
    if _has_passed(request):
        recording.finish()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Show which targets were never taken."""
    coverage = config.stash.get(_coverage, None)
    if coverage is not None:
        terminalreporter.section("agentflow branches")
        for line in coverage.table() if coverage.sources else ["no choice among several targets was built"]:
            terminalreporter.line(line)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Add what a worker of pytest-xdist counted."""
    coverage = node.config.stash.get(_coverage, None)
    if coverage is not None:
        coverage.add(getattr(node, "workeroutput", {}).get(_BRANCHES, ()))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """As a worker of pytest-xdist, tell what was counted here."""
    coverage = session.config.stash.get(_coverage, None)
    told: dict[str, Any] | None = getattr(session.config, "workeroutput", None)
    if coverage is not None and told is not None:
        told[_BRANCHES] = coverage.counts()


def _has_passed(request: pytest.FixtureRequest) -> bool:
    return bool(request.node.stash.get(_passed, False))


def _cassette_of(request: pytest.FixtureRequest) -> Path:
    test = request.node.nodeid.partition("::")[2].replace("::", ".")
    return request.path.parent / "cassettes" / request.path.stem / f"{quote(test, safe='[]')}.json"
