"""Telling the hooks that an application was created.

What must not live here: creating one.
"""

from __future__ import annotations

from agentflow.engine.machine import Machine
from agentflow.hooks import fire
from agentflow.runtime import Runtime


async def tell_created(machine: Machine, runtime: Runtime) -> None:
    """Tell them which application it is, where it comes from, and what it starts from."""
    identity = machine.identity
    if not identity.hooks.post_application_create:
        return
    await fire(
        runtime,
        identity.hooks.post_application_create,
        app_id=identity.app_id,
        partition_key=identity.partition_key,
        state=machine.state,
        application_graph=machine.graph,
        parent_pointer=identity.parent_pointer,
        spawning_parent_pointer=identity.spawning_parent_pointer,
        state_persister=identity.saving and identity.saving.persister,
    )
