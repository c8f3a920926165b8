"""Children that are saved: each under its own id, gone on with or taken as it is when its parent's step is tried again.

What must not live here: running children.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentflow.context import ApplicationContext, Identity
from agentflow.engine.machine import Machine
from agentflow.engine.rules import Halts
from agentflow.graph import Graph
from agentflow.runtime import BLOCKING, Runtime, run_blocking
from agentflow.select.selector import END
from agentflow.state import difference

if TYPE_CHECKING:
    from agentflow.parallel.outcomes import Outcome
    from agentflow.parallel.portable import Returned
    from agentflow.parallel.tasks import SubGraphTask


def saving_for(task: SubGraphTask, context: ApplicationContext) -> Any:
    """What saves a child and on which terms: its parent's, a persister of its own, or None for nobody."""
    if task.state_persister == "cascade":
        return context.saving
    if task.state_persister is None:
        return None
    from agentflow.persistence.starting import Saving, checked  # programs that save nothing do not load it
    from agentflow.persistence.terms import Terms

    terms = context.saving.terms if context.saving is not None else Terms()
    return Saving(checked(task.state_persister, "state_persister"), terms)


def journal_for(identity: Identity, task: SubGraphTask, graph: Graph) -> Any:
    """What writes a child's steps; a child that starts from other values than the one that is saved starts anew."""
    from agentflow.persistence.records import Key, Pointer
    from agentflow.persistence.starting import beginning_of, journal_of

    parent, partition = identity.spawning_parent_pointer, identity.partition_key or ""
    assert parent is not None
    at = -1 if parent.sequence_id is None else parent.sequence_id
    spawn = Pointer(Key(partition, parent.app_id), at)
    typing = task.state.typing_system
    key = Key(partition, identity.app_id)
    anew = task.state_initializer is None  # said so by name: then it starts anew, whatever is saved
    beginning = None if anew else beginning_of(identity.saving, task.state, task.inputs, typing)
    return journal_of(identity.saving, key, graph, typing, None, spawn, beginning or "anew")


async def was_finished(machine: Machine, runtime: Runtime, halts: Halts, initializer: Any = "cascade") -> bool:
    """Whether a child is found with nothing left to do; else it is claimed and goes on where it was.

    Args:
        machine: The child.
        runtime: How it is run.
        halts: Where it halts.
        initializer: What it is loaded from besides the store it is saved in; what is in that store counts for more.

    Raises:
        BuildError: The initializer cannot load.
    """
    if initializer is not None and initializer != "cascade":
        await _begin_at(machine, runtime, initializer)
    if machine.journal is not None:
        await machine.journal.open(machine, runtime)
    if machine.sequence_id < 0:
        return False
    finished = _is_over(machine, halts)
    if finished and machine.journal is not None:
        await machine.journal.close(machine, runtime, "halted")
    return finished


def came_back(machine: Machine, halts: Halts) -> bool:
    """Whether a child that runs in another process was saved when it came back from there; then it is as it was.

    It is looked up and not claimed, because nobody in this process runs it. What is saved of one that had not finished
    is deleted: one that was begun here starts anew elsewhere.
    """
    from agentflow.persistence.persister import Persister
    from agentflow.persistence.starting import Source, found, placed

    journal = machine.journal
    if journal is None or not isinstance(journal.persister, Persister):
        return False
    journal.clear()
    source = Source(journal.persister)
    resumed = run_blocking(found(BLOCKING, source, journal.key, machine.state.typing_system))
    if resumed is None:
        return False
    placed(resumed, machine, source, None)
    if not _is_over(machine, halts):
        journal.persister.delete(journal.key.app_id, journal.key.partition)
        return False
    return True


def taken_back(machine: Machine | None, returned: Returned) -> tuple[Outcome | None, BaseException | None]:
    """How a child ended that ran elsewhere, once it is saved here; one that cannot be saved has failed."""
    if machine is not None and machine.journal is not None:
        try:
            run_blocking(_save_returned(machine, returned))
        except Exception as error:
            return None, error
    return returned.outcome, None


async def _save_returned(machine: Machine, returned: Returned) -> None:
    """Save what came back of a child as one step, that of its last action."""
    outcome, journal = returned.outcome, machine.journal
    assert outcome.state is not None
    assert returned.prior is not None
    change = difference(machine.state, outcome.state)
    state = machine.state.update(**change.set).wipe(delete=change.delete)
    await journal.open(machine, BLOCKING)
    await journal.begin()
    usages = (outcome.usage,) if outcome.usage.attempts else ()
    await journal.commit(machine, BLOCKING, returned.prior, state, usages)
    machine.pending = returned.pending
    await journal.close(machine, BLOCKING, "halted")


async def _begin_at(machine: Machine, runtime: Runtime, initializer: Any) -> None:
    from agentflow.persistence.records import Key
    from agentflow.persistence.starting import Source, checked, found, placed

    source = Source(checked(initializer, "initialize_from"))
    if machine.journal is not None and machine.journal.persister is source.initializer:
        return  # it is what the journal goes on with anyway
    identity, typing = machine.identity, machine.state.typing_system
    resumed = await found(runtime, source, Key(identity.partition_key or "", identity.app_id), typing)
    if resumed is not None:
        placed(resumed, machine, source, None)


def _is_over(machine: Machine, halts: Halts) -> bool:
    leads_nowhere = machine.pending is None and machine.prior not in machine.graph.choices
    return machine.prior in halts.after or machine.pending == END or leads_nowhere
