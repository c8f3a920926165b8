"""evaluate: put every case to a selector, many at once, and note what comes of it.

What must not live here: figures (`report.py`) and how they look (`rendering.py`).
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, overload

from agentflow.errors import BuildError, DecideError, InputError, ProviderError, RealCallError, did_you_mean
from agentflow.llm.backend import close_clients
from agentflow.runtime import ASYNC, BLOCKING, CURRENT_STEP, Runtime, run_blocking
from agentflow.select import prompt
from agentflow.select.decision_model import Offered, described
from agentflow.select.examples import Example, Labelled, examples_of
from agentflow.select.gathering import gather
from agentflow.select.lab.progress import Progress, shown
from agentflow.select.lab.report import Comparison, Outcome, Report
from agentflow.select.selector import Answer, Decision, Selector, Target, as_selector, scoped, target_name
from agentflow.state import State
from agentflow.usage import Usage, total

Measured = Selector | Mapping[str, Selector]


class _Bill:
    """Stands where an application's step would, and adds up what models use."""

    def __init__(self) -> None:
        self.usages: list[Usage] = []

    def record_usage(self, usage: Usage) -> None:
        self.usages.append(usage)


@overload
def evaluate(
    decider: Selector,
    targets: Iterable[Offered],
    cases: Iterable[Labelled],
    *,
    key: str | None = None,
    concurrency: int = 16,
    progress: Progress = False,
) -> Report: ...


@overload
def evaluate(
    decider: Mapping[str, Selector],
    targets: Iterable[Offered],
    cases: Iterable[Labelled],
    *,
    key: str | None = None,
    concurrency: int = 16,
    progress: Progress = False,
) -> Comparison: ...


def evaluate(
    decider: Measured,
    targets: Iterable[Offered],
    cases: Iterable[Labelled],
    *,
    key: str | None = None,
    concurrency: int = 16,
    progress: Progress = False,
) -> Report | Comparison:
    """Measure how well a selector chooses, or several side by side.

    Args:
        decider: Any selector, or several by name; those are measured one after the other.
        targets: What there is to choose from: targets, actions or documented functions.
        cases: `Example`s, or (text or state values, name of the right target, None where it is right to abstain).
        key: The state key that a case's text is the value of; by default the only key the selector reads, or "query".
        concurrency: How many cases are put to it at once: in an event loop of this call's own where the selector
            `never_blocks`, as deciders that ask models do, and else in threads.
        progress: True for a progress bar (needs the `cli` extra), or a function that is told (done, total).

    Raises:
        InputError: There are no cases, or one names a target there is not.
        BuildError: The selector cannot choose among these targets.

    Example:
        >>> from agentflow.select import RuleDecider, Target
        >>> from agentflow.select.lab import evaluate
        >>> targets = [Target("draw"), Target("write")]
        >>> report = evaluate(RuleDecider({"draw": ["picture"]}), targets, [("a picture", "draw"), ("a poem", "write")])
        >>> report.accuracy, report.misses[0].given
        (0.5, 'a poem')
    """
    return run_blocking(_evaluate(BLOCKING, decider, targets, cases, key, concurrency, progress))


@overload
async def aevaluate(
    decider: Selector,
    targets: Iterable[Offered],
    cases: Iterable[Labelled],
    *,
    key: str | None = None,
    concurrency: int = 16,
    progress: Progress = False,
) -> Report: ...


@overload
async def aevaluate(
    decider: Mapping[str, Selector],
    targets: Iterable[Offered],
    cases: Iterable[Labelled],
    *,
    key: str | None = None,
    concurrency: int = 16,
    progress: Progress = False,
) -> Comparison: ...


async def aevaluate(
    decider: Measured,
    targets: Iterable[Offered],
    cases: Iterable[Labelled],
    *,
    key: str | None = None,
    concurrency: int = 16,
    progress: Progress = False,
) -> Report | Comparison:
    """The async twin of `evaluate`."""
    return await _evaluate(ASYNC, decider, targets, cases, key, concurrency, progress)


async def _evaluate(
    runtime: Runtime,
    decider: Measured,
    targets: Iterable[Offered],
    cases: Iterable[Labelled],
    key: str | None,
    concurrency: int,
    progress: Progress,
) -> Report | Comparison:
    offered = described(targets, {})
    labelled = examples_of(cases)
    several = decider if isinstance(decider, Mapping) else {getattr(decider, "name", ""): decider}
    selectors = {name: _checked(given, offered) for name, given in several.items()}
    _check(labelled, offered, concurrency)
    reports = []
    with shown(progress, len(labelled) * len(selectors)) as advance:
        for name, selector in selectors.items():
            reports.append(await _measured(runtime, name, selector, offered, labelled, key, concurrency, advance))
    return Comparison(tuple(reports)) if isinstance(decider, Mapping) else reports[0]


async def _measured(
    runtime: Runtime,
    name: str,
    selector: Selector,
    targets: tuple[Target, ...],
    cases: Sequence[Example],
    key: str | None,
    concurrency: int,
    advance: Callable[[], None],
) -> Report:
    text_key = key or (selector.reads[0] if selector.reads is not None and len(selector.reads) == 1 else "query")
    started = time.perf_counter()
    apart = runtime is BLOCKING and selector.never_blocks  # an event loop has less to do for each case than threads
    flows = [functools.partial(_put, ASYNC if apart else runtime, selector, targets, case, text_key) for case in cases]
    if apart:
        from agentflow.nursery.loops import run_in_loop  # many a blocking program never needs one

        outcomes = run_in_loop(gather(ASYNC, flows, concurrency, advance), close_clients)
    else:
        outcomes = await gather(runtime, flows, concurrency, advance)
    return Report(name or selector.name, targets, tuple(outcomes), time.perf_counter() - started)


async def _put(runtime: Runtime, selector: Selector, targets: tuple[Target, ...], case: Example, key: str) -> Outcome:
    """Put one case to a selector."""
    bill = _Bill()
    token = CURRENT_STEP.set(bill)
    started = time.perf_counter()
    error, answer = "", None
    state: State[Any] = State(case.values(key))
    try:
        answer = await selector.decide(runtime, scoped(state, selector), targets)
    except RealCallError:
        raise
    except (DecideError, ProviderError) as failure:
        error = str(failure)
    except Exception as failure:
        failure.add_note(f"while evaluating {selector.name} on the case {case.given!r:.200}")
        raise
    finally:
        CURRENT_STEP.reset(token)
    return _outcome(selector, targets, case, answer, error, time.perf_counter() - started, total(bill.usages))


def _outcome(
    selector: Selector,
    targets: tuple[Target, ...],
    case: Example,
    answer: Answer,
    error: str,
    seconds: float,
    usage: Usage,
) -> Outcome:
    names = {target.name for target in targets}
    chosen = target_name(answer)
    if chosen is not None and chosen not in names:
        error, chosen = f"it answered {chosen!r}, which is no target", None
    fell_back = chosen is None and selector.fallback is not None
    made = answer if isinstance(answer, Decision) else None
    return Outcome(
        given=prompt.situation(case.values("")),
        expected=case.target,
        chosen=selector.fallback if fell_back else chosen,
        decided_by=(made.decided_by if made else "") or selector.name,
        reason=getattr(answer, "reason", None) or error or None,
        confidence=made.confidence if made else None,
        fallback=fell_back,
        error="" if fell_back else error,
        seconds=seconds,
        usage=usage,
    )


def _checked(given: object, targets: tuple[Target, ...]) -> Selector:
    selector = as_selector(given)
    if selector is None:
        raise BuildError(f"evaluate() measures selectors, not {given!r}: wrap a function in Select(...).")
    problems = selector.problems("the lab", targets)
    if problems:
        raise problems[0]
    return selector


def _check(cases: Sequence[Example], targets: tuple[Target, ...], concurrency: int) -> None:
    if not cases:
        raise InputError("there are no cases to evaluate: give some, such as ('paint a cat', 'draw').")
    if concurrency < 1:
        raise InputError(f"concurrency={concurrency} would put no case at all: give a positive number.")
    names = {target.name for target in targets}
    for case in cases:
        if case.target is not None and case.target not in names:
            raise InputError(
                f"the case {case.given!r:.80} expects {case.target!r}, which is no target. "
                f"{did_you_mean(case.target, names)}"
            )
