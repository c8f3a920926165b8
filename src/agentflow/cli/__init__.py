"""The `agentflow` console script. What it can do stands in one small module a command."""

from agentflow.cli.main import main

__all__ = ["main"]
