"""Expressions over state: a small, checked part of Python, read once and then only called.

`source` reads text and words refusals, `checking` says what is allowed, `plain` says which values may take part,
`operations` is what the operators and functions do, `compiling` and `reading` turn a checked tree into closures,
`expression` is the result, and `template` fills in an action's name. What must not live here: anything
that runs text as code, and anything about graphs.
"""

from __future__ import annotations

from agentflow.expressions.expression import Expression, compile_expression
from agentflow.expressions.template import render_template

__all__ = ["Expression", "compile_expression", "render_template"]
