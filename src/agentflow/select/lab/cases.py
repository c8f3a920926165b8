"""Labelled cases from a file.

What must not live here: measuring.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from agentflow.errors import InputError
from agentflow.select.examples import Example


def read_cases(path: str | os.PathLike[str]) -> tuple[Example, ...]:
    """The cases of a JSONL file: one object a line, blank lines left out.

    An object has `target`, the name of the right target (null where it is right to abstain), and either `input`, a
    text, or `state`, the values of a state. `reason` may say why.

    Raises:
        InputError: The file cannot be read, holds no case, or a line is none; the message names the line.

    Example:
        >>> from agentflow.select.lab import read_cases
        >>> cases = read_cases("cases.jsonl")                               # doctest: +SKIP
        >>> # {"input": "paint a cat", "target": "draw"}
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the cases in '{path}' cannot be read: {error}.") from None
    found = tuple(_case(line, f"{path}:{number}") for number, line in enumerate(lines, 1) if line.strip())
    if not found:
        raise InputError(f"'{path}' holds no case: write one JSON object a line.")
    return found


def _case(line: str, where: str) -> Example:
    try:
        given: Any = json.loads(line)
    except ValueError as error:
        raise InputError(f"{where} is no JSON, {error}: write one object a line.") from None
    if not isinstance(given, dict):
        raise InputError(f'{where} is no object: write {{"input": "a text", "target": "a name"}}.')
    situation = given.get("input", given.get("state"))
    target = given.get("target")
    if not isinstance(situation, str | dict) or "target" not in given or not isinstance(target, str | None):
        raise InputError(
            f'{where} is no case: write {{"input": "a text", "target": "a name"}}, or "state" with an object.'
        )
    return Example(situation, target, str(given.get("reason", "")))
