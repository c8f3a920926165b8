"""Numbers of steps that make no sense are refused by every store, in the same words, and nothing is done."""

from __future__ import annotations

import pytest

from agentflow import when
from agentflow.errors import BuildError, ConflictError, CorruptRecord
from agentflow.persistence import Persister
from tests.persistence.test_saved_runs import builder


def numbers(persister: Persister, limit: int | None = None) -> list[int]:
    return [step.sequence_id for step in persister.history("a", "p", limit=limit)]


@pytest.fixture
def steps(persister: Persister) -> list[int]:
    """The steps of an application `a` in the store."""
    builder(persister).build().run(halt_when=when(n=3))
    found = numbers(persister)
    assert len(found) > 4
    return found


@pytest.mark.parametrize("keep", [0, -5, True])
def test_keeping_no_step_is_refused_and_deletes_nothing(persister: Persister, steps: list[int], keep: int) -> None:
    with pytest.raises(BuildError, match=f"keep={keep!r} is not usable, and nothing was done: give a whole number, 1"):
        persister.prune("a", "p", keep=keep)
    assert steps == numbers(persister)


def test_a_step_that_was_pruned_is_told_from_a_damaged_one(persister: Persister, steps: list[int]) -> None:
    last = steps[-1]
    for number in (-5, -2):
        with pytest.raises(ConflictError, match=f"'a' has no step {number} .*: steps -1 to {last} are kept, so load"):
            persister.load("p", "a", number)
    persister.fork("a", "b", 2, partition_key="p")
    persister.prune("a", "p", keep=1)
    for number in (-5, -1, 1, last - 2):
        with pytest.raises(ConflictError, match=rf"no step {number} \(any more\): steps {last - 1} to {last} are kept"):
            persister.load("p", "a", number)
    with pytest.raises(ConflictError, match="'b' has no step 1 .*: steps 2 to 2 are kept"):
        persister.load("p", "b", 1)
    assert None is persister.load("p", "a", last + 1)


def test_what_was_lost_from_among_the_steps_is_damaged(
    persister: Persister, steps: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(persister, "trail", lambda key, upto: [])
    with pytest.raises(CorruptRecord, match=f"step {steps[2]} of application 'a' is damaged"):
        persister.load("p", "a", steps[2])


def test_a_limit_is_how_many_there_are_at_most(persister: Persister, steps: list[int]) -> None:
    persister.fork("a", "b", partition_key="p")
    assert (steps, steps[:2], []) == tuple(numbers(persister, limit) for limit in (None, 2, 0))
    found = [[head.app_id for head in persister.applications("p", limit=limit)] for limit in (None, 1, 0)]
    assert [["a", "b"], ["a"], []] == found
    for ask in (lambda: persister.history("a", "p", limit=-1), lambda: persister.applications("p", limit=-1)):
        with pytest.raises(BuildError, match="limit=-1 is not usable, and nothing was done: give a whole number, 0"):
            ask()


def test_a_step_that_is_no_number_is_refused(persister: Persister, steps: list[int]) -> None:
    asked = [
        lambda: persister.fork("a", "b", "0", partition_key="p"),  # type: ignore[arg-type]
        lambda: persister.load("p", "a", "0"),  # type: ignore[arg-type]
        lambda: persister.history("a", "p", after="0"),  # type: ignore[arg-type]
    ]
    for ask in asked:
        with pytest.raises(BuildError, match="(sequence_id|after)='0' is not usable"):
            ask()
    assert ["a"] == persister.list_app_ids("p")
