"""Actions: named functions with declared `reads`, `writes` and `inputs`.

Two styles: `@action` on a function that returns the next state, and a class with `run` (what it computes) and
`update` (how that changes the state). What must not live here: streaming, or anything about transitions.
"""

from __future__ import annotations

from agentflow.actions.base import (
    AT_MOST_ONCE,
    IDEMPOTENT,
    PLAIN,
    PURE,
    Action,
    Contract,
    Options,
    make_options,
    verify_problems,
)
from agentflow.actions.decorator import action
from agentflow.actions.function import FunctionAction, bind
from agentflow.actions.model import ModelAction, annotated_model
from agentflow.actions.passing import Input, Result

__all__ = [
    "AT_MOST_ONCE",
    "IDEMPOTENT",
    "PLAIN",
    "PURE",
    "Action",
    "Contract",
    "FunctionAction",
    "Input",
    "ModelAction",
    "Options",
    "Result",
    "action",
    "annotated_model",
    "bind",
    "make_options",
    "verify_problems",
]
