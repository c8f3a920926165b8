"""Usage adds up, and reaches the step that is running."""

from __future__ import annotations

from agentflow.runtime import CURRENT_STEP
from agentflow.usage import NOTHING, Usage, record, total

ONE = Usage("a", "x", 10, 5, 0.25, 1.0, 1)
TWO = Usage("b", "x", 1, 2, None, 0.5, 3)


class Step:
    def __init__(self) -> None:
        self.usages: list[Usage] = []

    def record_usage(self, usage: Usage) -> None:
        self.usages.append(usage)


def test_usage_adds_up() -> None:
    assert Usage("a, b", "x", 11, 7, 0.25, 1.5, 4) == ONE + TWO


def test_a_sum_names_every_model_once() -> None:
    assert ("a, b", "x") == (total([ONE, TWO, ONE]).model, total([ONE, TWO, ONE]).provider)


def test_no_known_price_is_no_price_and_not_nothing() -> None:
    assert (None, 0.5) == (total([TWO, TWO]).cost, total([ONE, ONE]).cost)


def test_the_total_of_nothing_is_nothing() -> None:
    assert NOTHING == total([])
    assert ONE == total([ONE])


def test_the_running_step_is_told() -> None:
    step = Step()
    token = CURRENT_STEP.set(step)
    try:
        record(ONE)
    finally:
        CURRENT_STEP.reset(token)
    record(TWO)

    assert [ONE] == step.usages
    assert 15 == ONE.total_tokens
