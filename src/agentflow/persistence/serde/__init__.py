"""Serde: how single values become text and come back as they were.

`Serde` encodes and decodes within the types it was given, `register_type` and `register_field_serde` add to those of
the whole process, and `types_of` finds the types that a declared state is made of. What must not live here: states,
rows, or when anything is saved.
"""

from __future__ import annotations

from agentflow.persistence.serde.collecting import types_of
from agentflow.persistence.serde.registry import register_field_serde, register_type
from agentflow.persistence.serde.serde import Serde

__all__ = ["Serde", "register_field_serde", "register_type", "types_of"]
