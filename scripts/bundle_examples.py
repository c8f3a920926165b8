"""Puts `examples/` into the wheel as `agentflow/_examples`, so that `agentflow demo` works wherever it is installed.

A build hook and not a plain `force-include`, because that would also copy the examples into the environment of an
editable install, where the copy would go stale while the originals are edited.
"""

from __future__ import annotations

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class BundleExamples(BuildHookInterface):  # type: ignore[misc]  # hatchling is there only while a wheel is built
    """Adds the examples to a wheel that is meant to be installed elsewhere."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before a wheel is put together; `version` is "editable" for an editable install."""
        if version == "standard":
            build_data["force_include"]["examples"] = "agentflow/_examples"
