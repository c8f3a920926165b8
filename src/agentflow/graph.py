"""Graph and Transition: actions and what may follow each, as validated values without a run.

What must not live here: state, inputs, or anything that performs an action.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from agentflow import checks
from agentflow.actions import Action, Contract, FunctionAction
from agentflow.conditions import Condition, default, literal_when_unknown
from agentflow.errors import BuildError, DecideError, UnknownNameError, did_you_mean, raise_problems
from agentflow.facts import Fact
from agentflow.runtime import BLOCKING, run_blocking
from agentflow.select.choice import Choice, Edges, targets_named
from agentflow.select.selector import END, PendingChoice, Select, Selector, Target, as_selector, target_name
from agentflow.signatures import names
from agentflow.state import State

#: What a decider is told about the target that finishes the run.
END_DESCRIPTION = "Finish: nothing more is to be done."


class Transition(Fact):
    """One or more targets that may follow a source, and what says when.

    Attributes:
        source: The action, or named choice, that is left.
        targets: Names of actions or named choices, or `END`.
        selector: A condition for one target, a selector for several.
    """

    source: str
    targets: tuple[str, ...]
    selector: Condition | Selector = default

    @property
    def is_choice(self) -> bool:
        """Whether it is one choice among several targets."""
        return isinstance(self.selector, Selector)


class Graph:
    """Actions and transitions, checked and compiled; shared freely between applications and threads.

    Args:
        actions: The actions, each with a name of its own.
        transitions: What may follow what.

    Raises:
        BuildError: Everything that is wrong, in one error.
    """

    def __init__(self, actions: Iterable[Action], transitions: Iterable[Transition] = ()) -> None:
        self.actions: tuple[Action, ...] = tuple(actions)
        self.transitions: tuple[Transition, ...] = tuple(transitions)
        raise_problems("this graph", checks.problems_of(self.actions, self.transitions))
        self._by_name = {action.name: action for action in self.actions}
        self.contracts: Mapping[str, Contract] = {action.name: action.contract for action in self.actions}
        self.choices: Mapping[str, Choice] = self._compiled()
        self.input_names: frozenset[str] = frozenset(
            name for action in self.actions for name in action.contract.parameters.names
        )
        self._first_reads: dict[str, Mapping[str, str]] = {}

    @classmethod
    def of_one(cls, action: Action) -> Graph:
        """The graph of a single action, with nothing after it."""
        return cls([action])

    def __reduce__(self) -> tuple[Any, ...]:
        return Graph, (self.actions, self.transitions)

    def __repr__(self) -> str:
        return f"<graph of {len(self.actions)} actions>"

    def get_action(self, name: str) -> Action:
        """The action of that name.

        Raises:
            UnknownNameError: There is none.
        """
        try:
            return self._by_name[name]
        except KeyError:
            raise UnknownNameError(
                f"this graph has no action {name!r}: add it. {did_you_mean(name, self._by_name)}"
            ) from None

    def has_action(self, name: str) -> bool:
        """Whether there is an action of that name."""
        return name in self._by_name

    def get_actions_by_tag(self, tag: str) -> list[Action]:
        """The actions that carry a tag.

        Raises:
            UnknownNameError: None does.
        """
        found = [action for action in self.actions if tag in names(action.tags)]
        if not found:
            known = {tag for action in self.actions for tag in names(action.tags)}
            raise UnknownNameError(f"no action is tagged {tag!r}: tag one. {did_you_mean(tag, known)}")
        return found

    def get_next_node(self, prior_step: str | None, state: State[Any], entrypoint: str) -> Action | None:
        """The action that would follow `prior_step` in this state, None at the end.

        It evaluates the choice anew, so prefer `Application.get_next_action`, which keeps what was decided.

        Raises:
            DecideError: A person has to choose.
        """
        name = entrypoint if prior_step is None else prior_step
        at_choice = prior_step is not None or not self.has_action(name)
        while at_choice and name != END:
            choice = self.choices.get(name)
            made = run_blocking(choice.ask(BLOCKING, state)) if choice else None
            if isinstance(made, PendingChoice):
                raise DecideError(f"what follows '{name}' is for a person to choose: run an application, and choose().")
            name = END if made is None else made.target
            at_choice = name != END and not self.has_action(name)
        return None if name == END else self._by_name[name]

    def reachable_from(self, entrypoint: str) -> frozenset[str]:
        """The names of every action and named choice that a run from `entrypoint` may come to."""
        return checks.reachable(self.transitions, entrypoint)

    def first_reads(self, entrypoint: str) -> Mapping[str, str]:
        """The keys that a run from `entrypoint` reads before any path can have written them, each with its reader."""
        found = self._first_reads.get(entrypoint)
        if found is None:
            found = self._first_reads[entrypoint] = checks.first_reads(self._by_name, self.transitions, entrypoint)
        return found

    def visualize(
        self,
        output_file_path: str | None = None,
        include_conditions: bool = True,
        include_state: bool = False,
        view: bool = False,
        engine: str = "mermaid",
        write_dot: bool = False,
        depth: int = 0,
        **graphviz_attributes: str,
    ) -> str:
        """Draw the graph; a choice among several targets is a diamond.

        Args:
            output_file_path: Where to write the picture. Its ending says what: `.mmd` or `.md` for mermaid text, `.dot`
                for graphviz text, `.svg`, `.png` or `.pdf` for a picture (needs the `viz` extra and graphviz itself).
            include_conditions: Write the conditions on the arrows.
            include_state: Write what each action reads and writes into its box.
            view: Open the picture when it is written.
            engine: "mermaid" or "graphviz", for the text that is returned.
            write_dot: Write the graphviz text beside the picture.
            depth: How many levels of subgraphs are drawn out, each in a frame. What a map runs is known only when it
                runs, so a map stays a box.
            graphviz_attributes: Attributes of the whole graphviz graph, such as `rankdir="LR"`.

        Returns:
            The text of the drawing.

        Raises:
            MissingExtraError: A picture is asked for and graphviz is not installed.
        """
        from agentflow import drawing  # most runs draw nothing

        drawn = drawing.Drawing.of(self, include_conditions, include_state, depth)
        return drawing.render(drawn, engine, output_file_path, view=view, write_dot=write_dot, **graphviz_attributes)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/vnd.mermaid": self.visualize(), "text/plain": repr(self)}

    def _compiled(self) -> dict[str, Choice]:
        known = {key for action in self.actions for key in action.contract.scope.reads | action.contract.scope.writes}
        descriptions = {action.name: action.description for action in self.actions} | {END: END_DESCRIPTION}
        leaving: dict[str, list[Transition]] = {}
        for transition in self.transitions:
            leaving.setdefault(transition.source, []).append(transition)
        return {source: Choice(_edges(source, leaving[source], known, descriptions)) for source in leaving}


def _edges(source: str, leaving: list[Transition], known: set[str], descriptions: Mapping[str, str]) -> Edges:
    conditions: list[tuple[Condition, str]] = []
    selector: Selector | None = None
    chosen: tuple[Target, ...] = ()
    otherwise: str | None = None
    for transition in leaving:
        if isinstance(transition.selector, Selector):
            selector, chosen = transition.selector, targets_named(transition.targets, descriptions)
        elif transition.selector is default:
            otherwise = transition.targets[0]
        else:
            conditions.append((literal_when_unknown(transition.selector, known), transition.targets[0]))
    everything = targets_named((name for transition in leaving for name in transition.targets), descriptions)
    return Edges(source, everything, tuple(conditions), selector, chosen, otherwise)


def transitions_from(written: tuple[Any, ...]) -> list[Transition]:
    """The transitions that one tuple `(sources, targets[, selector])` stands for, one a source.

    Raises:
        BuildError: It is no such tuple.
    """
    if not isinstance(written, tuple | list) or not 2 <= len(written) <= 3:
        raise BuildError(f"{written!r} is no transition: write (source, target) or (source, target, condition).")
    sources, targets = _listed(written[0]), _listed(written[1])
    given = written[2] if len(written) == 3 else default
    selector = _selector(given, targets)
    return [Transition(source, targets, selector) for source in sources]


def _selector(given: object, targets: tuple[str, ...]) -> Condition | Selector:
    if isinstance(given, Condition):
        if len(targets) < 2 or given.recipe is not None:
            return given
        made = Select(given.resolver, given.reads, name=given.name)  # its function answers a name
        made.optional_reads = given.optional_reads
        return made
    selector = as_selector(given)
    if selector is None:
        hint = "wrap it: when(fn) for one target, Select(fn) for several" if callable(given) else "use when(...)"
        raise BuildError(f"{given!r} cannot say when to go to {', '.join(map(repr, targets))}: {hint}.")
    return selector


def _listed(given: object) -> tuple[str, ...]:
    several = given if isinstance(given, list | tuple | set | frozenset) else (given,)
    listed = []
    for item in several:
        name = target_name(item)
        if name is None:
            name = getattr(item, "__name__", None)
        if not isinstance(name, str):
            raise BuildError(f"{item!r} in a transition is no name: write the action's name.")
        listed.append(name)
    return tuple(listed)


def as_action(given: object, name: str | None = None) -> Action:
    """The action that was added, under the name it was added by.

    Raises:
        BuildError: It is no action.
    """
    if isinstance(given, Action):
        return given if name is None else given.with_name(name)
    what = getattr(given, "__name__", repr(given))
    if isinstance(given, type):
        raise BuildError(f"'{what}' is a class: add an instance of it, {what}().")
    if callable(given):
        raise BuildError(f"'{what}' is a plain function: decorate it with @action(reads=[...], writes=[...]).")
    raise BuildError(f"{what} is no action: pass one made by @action, or an instance of an Action class.")


def named_action(given: object) -> Action:
    """An action that was added without a name: it goes by its own."""
    made = as_action(given)
    own = isinstance(made, FunctionAction) or made._name is not None
    if not own:
        kind = type(made).__name__
        raise BuildError(f"an action of class '{kind}' was added without a name: write with_actions(name={kind}()).")
    return made
