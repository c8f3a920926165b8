"""The pytest plugin, driven through real pytest runs; in a process of its own where it matters what is loaded."""

from __future__ import annotations

import httpx
import pytest

import agentflow.llm
from agentflow.testing import ScriptedProvider, branches, recording
from tests.llm.faulty_server import FaultyServer

#: What is first loaded inside of a run would be unloaded after it.
LOADED = (httpx, branches, recording)
pytest_plugins = ["pytester"]

QUIET = """
[pytest]
filterwarnings = ignore
asyncio_default_fixture_loop_scope = function
addopts = --disable-plugin-autoload -p pytest_asyncio.plugin -p agentflow.testing.plugin
"""


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    pytester.makeini(QUIET)
    return pytester


@pytest.fixture(scope="module")
def loaded_client() -> None:
    """It loads parts of itself at the first call, and must not be loaded twice in one process."""
    with ScriptedProvider() as llm:
        llm.reply("hello")
        agentflow.llm.complete("gpt-4o-mini", "hi")


@pytest.mark.agentflow_real_calls  # the run inside forbids them itself
def test_a_provider_is_lent_and_real_calls_are_refused(loaded_client: None, run: pytest.Pytester) -> None:
    run.makepyfile("""
        import socket
        import pytest
        from agentflow.errors import RealCallError
        from agentflow.llm import complete, real_calls_allowed

        def test_the_fixture_is_a_scripted_provider(agentflow_llm):
            agentflow_llm.reply("hello")
            assert complete("gpt-4o-mini", "hi").text == "hello"

        def test_a_real_call_is_refused_before_a_socket_opens(monkeypatch):
            monkeypatch.setattr(socket, "create_connection", lambda *a, **k: pytest.fail("a socket was opened"))
            with pytest.raises(RealCallError, match="A real call to 'api.openai.com'"):
                complete("gpt-4o-mini", "hi")

        @pytest.mark.agentflow_real_calls
        def test_marked():
            assert real_calls_allowed()

        def test_unmarked():
            assert not real_calls_allowed()

        def test_a_reply_left_over(agentflow_llm):
            agentflow_llm.reply("hello")
    """)
    result = run.runpytest_inprocess("--strict-markers")
    result.assert_outcomes(passed=5, errors=1)
    result.stdout.fnmatch_lines(["*1 scripted replies were never asked for*"])


@pytest.mark.slow
def test_a_run_that_uses_no_fixture_loads_no_client(run: pytest.Pytester) -> None:
    run.makeini("[pytest]")  # pytest finds the plugin by itself
    run.makepyfile("""
        import sys
        def test_it(request):
            assert request.config.pluginmanager.has_plugin("agentflow")
            assert {"litellm", "instructor"}.isdisjoint(sys.modules)
    """)
    run.runpytest_subprocess().assert_outcomes(passed=1)


RECORDED = """
    import os
    import httpx
    import pytest

    def ask(said):
        address = os.environ["PROVIDER"] + "/v1/chat/completions"
        body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": said}]}
        answer = httpx.post(address, json=body, headers={"authorization": "Bearer sk-canary-0123456789abcdef"})
        return answer.json()["choices"][0]["message"]["content"]

    @pytest.mark.parametrize("city", ["Bern", "Rome"])
    def test_ask(agentflow_recorded, city):
        assert "Paris" == ask(f"The capital of {city}?")
        assert 1 == agentflow_recorded.calls

    class TestMore:
        def test_it_fails(self, agentflow_recorded):
            ask("This is not to be kept")
            raise LookupError
"""


def test_a_recording_is_made_once_and_replayed_without_the_provider(
    run: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.makepyfile(test_it=RECORDED)
    with FaultyServer().serving() as server:
        scenario = server.scenario(text="Paris")
        monkeypatch.setenv("PROVIDER", scenario.base)

        missing = run.runpytest_inprocess("-k", "ask")
        missing.assert_outcomes(errors=2)
        missing.stdout.fnmatch_lines(["*test_ask[[]Bern].json does not exist: record it once*--agentflow-record.*"])
        assert 0 == scenario.calls

        run.runpytest_inprocess("--agentflow-record").assert_outcomes(passed=2, failed=1)
        assert 3 == scenario.calls
        run.runpytest_inprocess("--agentflow-record", "-k", "ask").assert_outcomes(passed=2)
        run.runpytest_inprocess("-k", "ask").assert_outcomes(passed=2)
        assert 3 == scenario.calls

    kept = sorted(run.path.glob("cassettes/**/*.json"))
    assert ["test_ask[Bern].json", "test_ask[Rome].json"] == [path.name for path in kept]
    assert "sk-canary" not in "".join(path.read_text() for path in kept)
    assert "The capital of Bern?" in kept[0].read_text()


def test_a_request_that_changed_fails_the_test_with_the_difference(
    run: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.makepyfile(test_it=RECORDED)
    with FaultyServer().serving() as server:
        monkeypatch.setenv("PROVIDER", server.scenario(text="Paris").base)
        run.runpytest_inprocess("--agentflow-record", "-k", "Bern").assert_outcomes(passed=1)
    run.makepyfile(test_it=RECORDED.replace("The capital of", "Where is"))
    result = run.runpytest_inprocess("-k", "Bern")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*-   *The capital of Bern?*", "*+   *Where is Bern?*", "*record it anew*"])


BRANCHES = """
    import pytest
    from agentflow import ApplicationBuilder, State, action, switch

    @action(reads=[], writes=[])
    def decide(state: State) -> State:
        return state

    @action(reads=[], writes=[])
    def draw(state: State) -> State:
        return state

    @action(reads=[], writes=[])
    def write(state: State) -> State:
        return state

    @pytest.mark.parametrize("mode", ["draw", "draw"])
    def test_it(mode):
        builder = ApplicationBuilder().with_actions(decide, draw, write).with_state(mode=mode)
        builder.with_transitions(("decide", ["draw", "write"], switch("mode"))).with_entrypoint("decide").build().run()
"""


def test_the_branches_that_were_never_taken_are_shown(run: pytest.Pytester) -> None:
    run.makepyfile(test_it=BRANCHES)
    result = run.runpytest_inprocess("--agentflow-branches")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(
        [
            "*= agentflow branches =*",
            "source    taken  never taken",
            "graph of decide, draw, write",
            "  decide    1/2  write",
            "in all      1/2",
        ]
    )
    assert "agentflow branches" not in run.runpytest_inprocess().stdout.str()


def test_a_session_without_a_choice_says_so(run: pytest.Pytester) -> None:
    run.makepyfile("def test_it(): pass")
    result = run.runpytest_inprocess("--agentflow-branches")
    result.stdout.fnmatch_lines(["no choice among several targets was built"])
