"""The suite for selectors: what agentflow ships passes it, and each way to break the promise is caught by name."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from agentflow import Select, State, Target, switch
from agentflow.errors import AgentflowError, BuildError
from agentflow.select import (
    Abstention,
    Cascade,
    Decision,
    EmbeddingDecider,
    HashingEmbedder,
    HumanDecider,
    LLMDecider,
    RuleDecider,
    Selector,
)
from agentflow.testing import Request, ScriptedProvider
from agentflow.testing.conformance import SelectorSuite, selector_suite

TARGETS = {"draw": "Draw a picture, paint a cat.", "write": "Write a text, a poem."}
STATES = [{"query": "draw a picture", "n": 1}, {"query": "write a poem", "n": 2}]


async def choose_slowly(state: State) -> str:
    return str(state["query"]).partition(" ")[0]


def rules() -> RuleDecider:
    return RuleDecider({"draw": ["picture"], "write": ["poem"]}, reads=["query"])


class TestRules(selector_suite(rules, targets=TARGETS, states=STATES)):  # type: ignore[misc]
    """A user's class, as pytest collects it."""


class TestSwitch(SelectorSuite):
    """The other way to say it."""

    targets = (Target("1"), Target("2"))
    states = ({"mode": "1"}, {"mode": "2"})

    @staticmethod
    def make() -> Selector:
        return switch("mode", default="1")


class TestEmbeddings(
    selector_suite(  # type: ignore[misc]
        lambda: EmbeddingDecider(embedder=HashingEmbedder(), thresholds=0.01), targets=TARGETS, states=STATES
    )
):
    """With an embedder that needs no network."""


class TestCascade(
    selector_suite(  # type: ignore[misc]
        lambda: Cascade(RuleDecider({"draw": ["picture"]}), EmbeddingDecider(embedder=HashingEmbedder())),
        targets=TARGETS,
        states=STATES,
    )
):
    """One that abstains, then another."""


class TestPerson(selector_suite(HumanDecider, targets=TARGETS, states=STATES)):  # type: ignore[misc]
    """Somebody else decides."""


class TestAsyncFunction(
    selector_suite(  # type: ignore[misc]
        lambda: Select(choose_slowly, reads=["query"], fallback="draw"), targets=TARGETS, states=STATES
    )
):
    """A user's coroutine."""


class TestModel(
    selector_suite(lambda: LLMDecider(reads=["query"]), targets=TARGETS, states=STATES)  # type: ignore[misc]
):
    """With a model that answers alike when it is asked alike."""

    @pytest.fixture(autouse=True)
    def scripted(self) -> Iterator[None]:
        def answered(request: Request) -> str:
            wanted = "draw" if "draw a picture" in request.prompt else "write"
            chosen = wanted if wanted in request.choices else request.choices[0]
            return json.dumps({"next_action": chosen, "reason": "it says so"})

        with ScriptedProvider(answered):
            yield


class Broken(Selector):
    """Chooses by the first word; what is wrong with it is up to whoever makes it."""

    def __init__(self, choose: Callable[[State, Sequence[Target]], Any], reads: Sequence[str] | None = None) -> None:
        self.choose = choose
        self.reads = None if reads is None else tuple(reads)

    def select(self, state: State, targets: Sequence[Target]) -> Any:
        return self.choose(state, targets)


def word(state: State, targets: Sequence[Target]) -> str | None:
    return next((target.name for target in targets if target.name in state["query"]), None)


def told(**facts: Any) -> Callable[[State, Sequence[Target]], Any]:
    def choose(state: State, targets: Sequence[Target]) -> Any:
        name = word(state, targets)
        return None if name is None else Decision(target=name, **facts)

    return choose


def complaining() -> Selector:
    class Complains(Broken):
        def problems(self, source: str, targets: Sequence[Target]) -> list[BuildError]:
            return [BuildError("nothing is right")]

    return Complains(word)


def remembering() -> Selector:
    seen: list[Sequence[Target]] = []

    def choose(state: State, targets: Sequence[Target]) -> Any:
        seen.append(targets)
        return word(state, seen[0])

    return Broken(choose)


def remembering_fewer() -> Selector:
    fewest: list[Sequence[Target]] = []

    def choose(state: State, targets: Sequence[Target]) -> Any:
        fewest[:] = [min([*fewest, targets], key=len)]
        return word(state, fewest[0])

    return Broken(choose)


def coloured() -> Selector:
    class Coloured(Broken):
        async def decide(self, runtime: Any, state: State, targets: Sequence[Target]) -> Any:
            return runtime.pick("draw", "write")

    return Coloured(word)


def bound_to_a_thread() -> Selector:
    known = threading.local()
    known.words = TARGETS
    return Broken(
        lambda state, targets: next((each for each in getattr(known, "words", ()) if each in state["query"]), None)
    )


def nameless() -> Selector:
    class Nameless(Broken):
        name = ""

    return Nameless(word)


def changing(state: State, targets: Sequence[Target]) -> str | None:
    history = state["history"]
    history.append("chosen")
    return word(state, targets)


PROMISES = {
    "has nothing against": complaining,
    "chooses a declared target or abstains": lambda: Broken(lambda state, targets: "fly"),
    "makes do with fewer targets": remembering_fewer,
    "the order of the targets": lambda: Broken(lambda state, targets: targets[0].name),
    "both colours": coloured,
    "reads only what it declares": lambda: Broken(
        lambda state, targets: "draw" if state.get("n", 2) == 1 else "write", reads=["query"]
    ),
    "leaves the state alone": lambda: Broken(changing),
    "a decision says what it is": lambda: Broken(told(confidence=7.0)),
    "hostile values": lambda: Broken(lambda state, targets: str(state["query"]).split()[0]),
    "many may ask at once": bound_to_a_thread,
}
OTHER_WAYS = [
    ("chooses a declared target or abstains", lambda: Broken(lambda state, targets: None)),
    ("chooses a declared target or abstains", lambda: Broken(lambda state, targets: Abstention("never"))),
    ("makes do with fewer targets", remembering),
    ("a decision says what it is", lambda: Broken(told(reason=7))),
    ("a decision says what it is", lambda: Broken(told(tokens=-1))),
    ("a decision says what it is", lambda: Broken(told(cost=-0.5))),
    ("a decision says what it is", lambda: Broken(told(confidence=float("nan")))),
    ("a decision says what it is", nameless),
    ("reads only what it declares", lambda: Broken(lambda state, targets: str(state["n"]), reads=["query"])),
]


def failures(make: Callable[[], Selector], states: Sequence[dict[str, Any]]) -> dict[str, str]:
    """What the suite finds in a selector: the name of each test that fails, in words, and its message."""
    suite = selector_suite(make, targets=TARGETS, states=states)
    found = {}
    for name in [each for each in vars(SelectorSuite) if each.startswith("test_")]:
        try:
            getattr(suite(), name)()
        except (AssertionError, AgentflowError, LookupError) as error:
            found[name.removeprefix("test_").replace("_", " ")] = str(error)
    return found


def states() -> list[dict[str, Any]]:
    return [{**values, "history": []} for values in STATES]


def test_a_selector_that_keeps_its_promise_fails_nothing() -> None:
    assert {} == failures(lambda: Broken(word), states())


@pytest.mark.parametrize(
    ("promise", "make"), [*PROMISES.items(), *OTHER_WAYS], ids=lambda given: given if isinstance(given, str) else ""
)
def test_a_broken_promise_is_caught(promise: str, make: Callable[[], Selector]) -> None:
    found = failures(make, states())
    assert [promise] == [each for name in found for each in [promise] if promise in name][:1], found


def test_every_test_of_the_suite_is_shown_to_fail() -> None:
    tests = [name.removeprefix("test_").replace("_", " ") for name in vars(SelectorSuite) if name.startswith("test_")]
    assert [] == [test for test in tests if not any(promise in test for promise in PROMISES)]


def test_the_message_names_the_state_and_the_answer() -> None:
    found = failures(PROMISES["chooses a declared target or abstains"], states())
    message = found["it chooses a declared target or abstains"]
    assert "'query': 'draw a picture'" in message
    assert "answered 'fly', which names none of ['draw', 'write']" in message


@pytest.mark.parametrize(("targets", "given"), [({"draw": "Draw."}, STATES), (TARGETS, [])])
def test_too_little_to_test_with_is_said_at_once(targets: dict[str, str], given: list[dict[str, Any]]) -> None:
    with pytest.raises(BuildError, match="at least two targets and one state"):
        selector_suite(rules, targets=targets, states=given)


def test_a_suite_without_a_selector_says_how_to_get_one() -> None:
    with pytest.raises(BuildError, match="this suite has no selector"):
        SelectorSuite.make()
