"""assert_path: which actions an application has performed, and where that differs from what a test expects.

What must not live here: how an application remembers its decisions.
"""

from __future__ import annotations

from itertools import zip_longest
from typing import Any

from agentflow.application import Application
from agentflow.engine.machine import DECISIONS_KEPT
from agentflow.select.selector import Decision


def assert_path(app: Application[Any], *names: str) -> None:
    """Make sure that an application has performed exactly these actions, in this order, since it was built.

    A step that failed was not performed; an action it halted before was not either. Children are applications of their
    own.

    Args:
        app: The application, after it ran.
        *names: The names of the actions.

    Raises:
        AssertionError: It went another way; the message shows both, side by side, and why it turned off.

    Example:
        >>> app.run(halt_after=["answer"])
        >>> assert_path(app, "ask", "look_up", "answer")
    """
    __tracebackhide__ = True  # pytest shows the line of the test
    performed = path_of(app)
    if performed != names:
        raise AssertionError(_difference(app, names, performed))


def path_of(app: Application[Any]) -> tuple[str, ...]:
    """The names of the actions that an application has performed since it was built.

    Raises:
        AssertionError: It has made more decisions than are kept in memory.
    """
    last = app.sequence_id
    if last is None:
        return ()
    decided = _decided(app)
    if len(app.decisions) == DECISIONS_KEPT:
        raise AssertionError(
            f"the path is no longer known: an application keeps its last {DECISIONS_KEPT:,} decisions. "
            "Look at it earlier in the run."
        )
    entrypoint = app._machine.entrypoint
    first = _first_step(decided, entrypoint, last)
    # A step that nobody decided on is the entrypoint: the first one, or one after a reset.
    return tuple(decided[n].target if n in decided else entrypoint for n in range(first, last + 1))


def _decided(app: Application[Any]) -> dict[int, Decision]:
    """The decision that led to each step; a later one for the same step takes the place of an earlier one."""
    return {each.sequence_id: each for each in app.decisions if app.graph.has_action(each.target)}


def _first_step(decided: dict[int, Decision], entrypoint: str, last: int) -> int:
    if not decided:
        return last
    first = min(decided)
    return 0 if first <= 1 else first - 1 if decided[first].source == entrypoint else first


def _difference(app: Application[Any], expected: tuple[str, ...], performed: tuple[str, ...]) -> str:
    pairs = list(zip_longest(expected, performed))
    at = next(number for number, (wanted, ran) in enumerate(pairs) if wanted != ran)
    width = max(8, *(len(name) for name in expected), 0) if expected else 8
    lines = [f"the path differs at step {at}: {_fact(*pairs[at])}.", f"       {'expected':{width}}   performed"]
    for number, (wanted, ran) in enumerate(pairs):
        mark = " " if wanted == ran else "!"
        lines.append(f"  {mark} {number:>2}  {wanted or '-':{width}}   {ran or '-'}".rstrip())
    decision = app.why(at) if len(performed) > at else None
    lines += [f"  why: {decision}"] if decision is not None else []
    return "\n".join([*lines, f"  the application: {_standing(app)}"])


def _fact(wanted: str | None, ran: str | None) -> str:
    if ran is None:
        return f"'{wanted}' was expected, and nothing ran"
    return f"'{ran}' ran, and " + ("nothing was expected" if wanted is None else f"'{wanted}' was expected")


def _standing(app: Application[Any]) -> str:
    facts = [str(app.status), app.halted_by or "", f"{app.failure!r}" if app.failure is not None else ""]
    return ", ".join(filter(None, facts))
