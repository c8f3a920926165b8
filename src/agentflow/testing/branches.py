"""BranchCoverage: which targets of which choices were ever taken while it was watching.

While anybody watches, it stands behind the two places that every application comes by. What must not live here: pytest.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, Self
from weakref import WeakKeyDictionary

from agentflow.engine.machine import Machine
from agentflow.graph import Graph
from agentflow.runtime import new_lock
from agentflow.select.selector import END, Decision

#: Actions and, for each source with several targets, those targets: graphs that agree in these are counted as one.
Shape = tuple[tuple[str, ...], tuple[tuple[str, tuple[str, ...]], ...]]
#: What one process tells another: for each graph its actions, and how often each target of each source was taken.
Counts = list[tuple[list[str], dict[str, dict[str, int]]]]


@dataclass(frozen=True, slots=True)
class SourceCoverage:
    """How often each target of one source was taken."""

    actions: tuple[str, ...]
    source: str
    taken: dict[str, int]

    @property
    def never(self) -> tuple[str, ...]:
        """The targets that were never taken."""
        return tuple(target for target, times in self.taken.items() if not times)


class BranchCoverage:
    """Counts the targets taken, in every application of this process, between `start` and `stop`.

    A graph counts from the moment an application of it is built; graphs with the same actions and choices are one.
    Sources with a single target are no choices and are left out. Children in other processes are not seen.

    Example:
        >>> with BranchCoverage() as coverage:
        ...     app.run(halt_after=["answer"])
        >>> [(each.source, each.never) for each in coverage.sources]
        [('decide', ('generate_image',))]
    """

    def __init__(self) -> None:
        self._graphs: dict[Shape, dict[str, dict[str, int]]] = {}
        self._shapes: WeakKeyDictionary[Graph, Shape] = WeakKeyDictionary()
        self._lock = new_lock()

    @property
    def sources(self) -> list[SourceCoverage]:
        """What was counted, graph by graph."""
        return [
            SourceCoverage(shape[0], source, dict(taken))
            for shape, sources in self._graphs.items()
            for source, taken in sources.items()
        ]

    def start(self) -> None:
        """Begin to watch."""
        with _changing:
            if not _watching:
                _follow("__init__", lambda machine, *_, **__: _tell(machine.graph))
                _follow("settle_on", lambda machine, decision: _tell(machine.graph, decision))
            _watching[id(self)] = self

    def stop(self) -> None:
        """Watch no longer; what was counted stays."""
        with _changing:
            _watching.pop(id(self), None)
            if not _watching:
                for name, real in _REAL.items():
                    setattr(Machine, name, real)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def counts(self) -> Counts:
        """What was counted, as plain data."""
        return [(list(shape[0]), sources) for shape, sources in self._graphs.items()]

    def add(self, counts: Iterable[Any]) -> None:
        """Add what was counted elsewhere."""
        for actions, sources in counts:
            mine = self._sources(_shape(actions, sources))
            for source, taken in sources.items():
                for target, times in taken.items():
                    mine[source][target] += times

    def table(self) -> list[str]:
        """What was counted, for a terminal: a line a source, and the targets that were never taken."""
        rows: list[tuple[str, str, str]] = [("source", "taken", "never taken")]
        graph: tuple[str, ...] = ()
        for each in self.sources:
            if each.actions != graph:
                graph = each.actions
                rows.append((f"graph of {', '.join(graph[:4])}{', ...' if len(graph) > 4 else ''}", "", ""))
            never = ", ".join("the end" if name == END else name for name in each.never)
            rows.append((f"  {each.source}", f"{len(each.taken) - len(each.never)}/{len(each.taken)}", never))
        targets = sum(len(each.taken) for each in self.sources)
        taken = targets - sum(len(each.never) for each in self.sources)
        rows.append(("in all", f"{taken}/{targets}", ""))
        # A heading stands alone in its row, so it makes no column wider.
        width = max(len(row[0]) for row in rows if row[1])
        return [f"{row[0]:{width}}  {row[1]:>5}  {row[2]}".rstrip() for row in rows]

    def _meet(self, graph: Graph, decision: Decision | None) -> None:
        with self._lock:
            shape = self._shapes.get(graph)
            if shape is None:
                several = {source: choice.names for source, choice in graph.choices.items() if len(choice.names) > 1}
                shape = self._shapes[graph] = _shape([action.name for action in graph.actions], several)
            sources = self._sources(shape)
            taken = {} if decision is None else sources.get(decision.source, {})
            if decision is not None and decision.target in taken:  # the end for want of a match is not declared
                taken[decision.target] += 1

    def _sources(self, shape: Shape) -> dict[str, dict[str, int]]:
        if not shape[1]:
            return {}
        return self._graphs.setdefault(shape, {source: dict.fromkeys(names, 0) for source, names in shape[1]})


#: Who is watching. A session and a test in it may watch at once, and stop in any order.
_watching: dict[int, BranchCoverage] = {}
_changing: Final = new_lock()
_REAL: Final[dict[str, Any]] = {name: vars(Machine)[name] for name in ("__init__", "settle_on")}


def _follow(name: str, then: Callable[..., None]) -> None:
    real = _REAL[name]

    @functools.wraps(real)
    def followed(machine: Machine, *args: Any, **kwargs: Any) -> None:
        real(machine, *args, **kwargs)
        then(machine, *args, **kwargs)

    setattr(Machine, name, followed)


def _tell(graph: Graph, decision: Decision | None = None) -> None:
    for coverage in list(_watching.values()):
        coverage._meet(graph, decision)


def _shape(actions: Iterable[str], sources: Any) -> Shape:
    choices = tuple(sorted((source, tuple(sorted(targets))) for source, targets in sources.items()))
    return tuple(sorted(actions)), choices
