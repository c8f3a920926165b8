"""The pytest plugin, driven through real pytest runs, each in a process of its own: a client is loaded once in one."""

from __future__ import annotations

import pytest

pytest_plugins = ["pytester"]

QUIET = "[pytest]\nfilterwarnings = ignore\nasyncio_default_fixture_loop_scope = function\n"


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    pytester.makeini(QUIET)
    return pytester


def test_a_provider_is_lent_and_real_calls_are_refused(run: pytest.Pytester) -> None:
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
    result = run.runpytest_subprocess("--strict-markers")
    result.assert_outcomes(passed=5, errors=1)
    result.stdout.fnmatch_lines(["*1 scripted replies were never asked for*"])


def test_a_run_that_uses_no_fixture_loads_no_client(run: pytest.Pytester) -> None:
    run.makepyfile("""
        import sys
        def test_it():
            assert {"litellm", "instructor"}.isdisjoint(sys.modules)
    """)
    run.runpytest_subprocess().assert_outcomes(passed=1)
