"""What can be known to be wrong with a graph before it runs; each check returns problems, none raises.

What must not live here: anything that needs a state or runs user code.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from agentflow.actions import Action, verify_problems
from agentflow.conditions import Condition, default, literal_when_unknown, same
from agentflow.errors import BuildError, DuplicateNameError, UnknownNameError, UnknownTargetError, did_you_mean
from agentflow.select.selector import END, Selector, Target
from agentflow.signatures import names

if TYPE_CHECKING:

    class Edge(Protocol):
        """A transition, as the checks see it."""

        @property
        def source(self) -> str: ...
        @property
        def targets(self) -> tuple[str, ...]: ...
        @property
        def selector(self) -> Condition | Selector: ...


def problems_of(actions: Sequence[Action], transitions: Sequence[Edge]) -> list[BuildError]:
    """Everything that is wrong with these actions and transitions."""
    if not actions:
        return [BuildError("there are no actions: add some with .with_actions(...).")]
    found = [*_bad_names(actions), *(problem for action in actions for problem in action.problems())]
    found += [] if found else [problem for action in actions for problem in verify_problems(action)]
    found += _unknown_names({action.name for action in actions}, transitions)
    for source, leaving in _by_source(transitions).items():
        found += [*_ambiguous(source, leaving), *_shadowed(source, leaving)]
        for transition in leaving:
            found += _badly_aimed(transition)
    if not found:
        found += [*_endless_choices({action.name for action in actions}, transitions)]
        found += _selector_problems(actions, transitions)
    return found


def entry_problems(
    actions: Mapping[str, Action], transitions: Sequence[Edge], entrypoint: str, known_keys: Iterable[str]
) -> list[BuildError]:
    """What is wrong with starting at `entrypoint` with values for `known_keys`: reads that nothing can have written."""
    given = frozenset(known_keys)
    missing = {key: reader for key, reader in first_reads(actions, transitions, entrypoint).items() if key not in given}
    return [missing_key(key, reader, given) for key, reader in missing.items()]


def missing_key(key: str, reader: str, given: Iterable[str]) -> BuildError:
    """The problem that `reader` reads a key nobody can have written."""
    near = did_you_mean(key, {*given} - {key})  # a typed state may know the key without having a value
    hint = f" {near}" if near.startswith("Did") else ""
    return BuildError(
        f"{reader} reads {key!r} before anything can have written it: "
        f"give it a first value with .with_state({key}=...).{hint}"
    )


def unreachable(actions: Iterable[Action], transitions: Sequence[Edge], entrypoint: str) -> list[BuildError]:
    """The actions that no run from `entrypoint` can come to."""
    arrived = reachable(transitions, entrypoint)
    return [
        BuildError(
            f"action '{action.name}' cannot be reached from '{entrypoint}': add a transition to it or leave it out."
        )
        for action in actions
        if action.name not in arrived
    ]


def reachable(transitions: Sequence[Edge], entrypoint: str) -> frozenset[str]:
    """Every name that a run from `entrypoint` may come to."""
    leaving = _by_source(transitions)
    arrived, ahead = {entrypoint}, [entrypoint]
    while ahead:
        for transition in leaving.get(ahead.pop(), ()):
            new = set(transition.targets) - arrived
            arrived |= new
            ahead += new
    return frozenset(arrived - {END})


def first_reads(actions: Mapping[str, Action], transitions: Sequence[Edge], entrypoint: str) -> Mapping[str, str]:
    """The keys read, on a run from `entrypoint`, where no path can have written them; each with who reads it.

    A forward analysis: what may have been written on arrival at a name is the union over all ways to get there.
    """
    leaving = _by_source(transitions)
    written: dict[str, frozenset[str]] = {entrypoint: frozenset()}
    ahead = [entrypoint]
    while ahead:
        name = ahead.pop()
        after = written[name] | (actions[name].contract.scope.writes if name in actions else frozenset())
        for target in {target for transition in leaving.get(name, ()) for target in transition.targets} - {END}:
            before = written.get(target)
            if before is None or not after <= before:
                written[target] = after | (before or frozenset())
                ahead.append(target)
    found: dict[str, str] = {}
    for reader, keys, available in _readers(actions, leaving, written):
        for key in sorted(keys - available):
            found.setdefault(key, reader)
    return found


def _readers(
    actions: Mapping[str, Action], leaving: Mapping[str, Sequence[Edge]], arrived: Mapping[str, frozenset[str]]
) -> Iterator[tuple[str, frozenset[str], frozenset[str]]]:
    """Who reads the state on the way: its name, the keys it reads, and those that may have been written by then."""
    known = {key for action in actions.values() for key in action.contract.scope.reads | action.contract.scope.writes}
    for name, before in arrived.items():
        after = before
        if name in actions:
            scope = actions[name].contract.scope
            yield scope.owner, scope.reads, before
            after = before | scope.writes
        for transition in leaving.get(name, ()):
            selector = transition.selector
            if isinstance(selector, Condition):
                selector = literal_when_unknown(selector, known)
            keys = frozenset(names(selector.reads or ()))
            yield f"the choice leaving '{name}' ({selector.name})", keys, after


def _by_source(transitions: Iterable[Edge]) -> dict[str, list[Edge]]:
    leaving: dict[str, list[Edge]] = {}
    for transition in transitions:
        leaving.setdefault(transition.source, []).append(transition)
    return leaving


def _bad_names(actions: Sequence[Action]) -> Iterator[BuildError]:
    for name, times in Counter(action.name for action in actions).items():
        if times > 1:
            yield DuplicateNameError(f"{times} actions are named {name!r}: give each its own with .with_name(...).")
        if not name or name.startswith(("__", "@")):
            yield BuildError(f"{name!r} cannot be an action's name: it is empty, or starts with '__' or '@'.")


def _unknown_names(known: set[str], transitions: Sequence[Edge]) -> Iterator[BuildError]:
    sources = {transition.source for transition in transitions}
    aimed_at = {target for transition in transitions for target in transition.targets}
    for source in sorted(sources - known):
        if source == END:
            yield BuildError("END is the source of a transition: nothing follows the end of a run.")
        elif source not in aimed_at:
            yield UnknownNameError(
                f"transition source {source!r} is neither an action nor the target of anything. "
                f"{did_you_mean(source, known)}"
            )
    for transition in transitions:
        for target in transition.targets:
            if target not in known and target not in sources and target != END:
                yield UnknownTargetError(
                    f"transition '{transition.source}' -> '{target}' names an action that was not added. "
                    f"{did_you_mean(target, known)}"
                )


def _ambiguous(source: str, leaving: Sequence[Edge]) -> Iterator[BuildError]:
    defaults = [transition for transition in leaving if transition.selector is default]
    selectors = [transition for transition in leaving if isinstance(transition.selector, Selector)]
    if len(defaults) > 1:
        aims = ", ".join(repr(target) for transition in defaults for target in transition.targets)
        yield BuildError(
            f"'{source}' has {len(defaults)} defaults, to {aims}: keep one, or put a condition on the others."
        )
    if len(selectors) > 1:
        used = ", ".join(selector.selector.name for selector in selectors)
        yield BuildError(f"'{source}' has {len(selectors)} selectors, {used}: list all targets in one transition.")


def _shadowed(source: str, leaving: Sequence[Edge]) -> Iterator[BuildError]:
    seen: dict[str, list[tuple[Condition, str]]] = {}  # by name, so that each is compared with few
    for transition in leaving:
        condition = transition.selector
        if not isinstance(condition, Condition) or condition is default or len(transition.targets) != 1:
            continue
        equality = condition.equality
        said = f"{equality[0]} == {equality[1]!r}" if equality else condition.name
        earlier = seen.setdefault(said, [])
        for first, target in earlier:
            if same(first, condition):
                yield BuildError(
                    f"'{source}' -> '{transition.targets[0]}' can never be taken: "
                    f"{said} already leads to '{target}'. Remove one of the two."
                )
                break
        earlier.append((condition, transition.targets[0]))


def _badly_aimed(transition: Edge) -> Iterator[BuildError]:
    arrow = f"'{transition.source}' -> [{', '.join(map(repr, transition.targets))}]"
    if not transition.targets:
        yield BuildError(f"the transition from '{transition.source}' has no target: name one.")
    elif len(transition.targets) > 1 and not isinstance(transition.selector, Selector):
        what = "nothing to choose by" if transition.selector is default else f"only {transition.selector.name}"
        yield BuildError(f"{arrow} has several targets and {what}: add switch(...), Select(...) or an LLMDecider().")
    if len(set(transition.targets)) < len(transition.targets):
        yield DuplicateNameError(f"{arrow} names a target twice: name each once.")
    fallback = transition.selector.fallback if isinstance(transition.selector, Selector) else None
    if fallback is not None and fallback not in transition.targets:
        yield UnknownTargetError(
            f"the fallback {fallback!r} of {arrow} is no target of it. {did_you_mean(fallback, transition.targets)}"
        )


def _endless_choices(known: set[str], transitions: Sequence[Edge]) -> Iterator[BuildError]:
    leaving = _by_source(transition for transition in transitions if transition.source not in known)
    for name in leaving:
        through = [transition for transitions in leaving.values() for transition in transitions]
        ahead = {target for transition in leaving[name] for target in transition.targets if target in leaving}
        if name in ahead or any(name in reachable(through, target) for target in ahead):
            yield BuildError(f"the named choice '{name}' can lead back to itself without an action: break the circle.")


def _selector_problems(actions: Sequence[Action], transitions: Sequence[Edge]) -> Iterator[BuildError]:
    descriptions = {action.name: action.description for action in actions} | {END: "the end"}
    for transition in transitions:
        if isinstance(transition.selector, Selector):
            targets = [Target(name, descriptions.get(name, "")) for name in sorted(set(transition.targets))]
            yield from transition.selector.problems(transition.source, targets)
