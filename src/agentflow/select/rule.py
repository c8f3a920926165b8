"""RuleDecider: a choice by words and patterns in the text; free, instant, and the same every time.

What must not live here: anything that learns or asks.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from agentflow.errors import BuildError
from agentflow.runtime import Runtime
from agentflow.select import prompt
from agentflow.select.decider import Decider, fallback_name, undeclared
from agentflow.select.selector import Abstention, Answer, Decision, Target
from agentflow.signatures import names
from agentflow.state import State

Rule = str | re.Pattern[str]


class RuleDecider(Decider):
    """A choice by what stands in the text: the target with the most rules that match.

    A keyword matches as a whole word, in any case; one of several words matches across any white space. A compiled
    pattern is searched for as it is. When no rule matches, or two targets have equally many that do, it abstains.

    Args:
        rules: For each target its keywords and patterns; targets without rules are never chosen.
        reads: The state keys that hold the text; by default every plain value.
        fallback: The target to take when it abstains.
        name: How decisions and drawings show it.

    Raises:
        BuildError: There are no rules, or a keyword is empty.

    Example:
        >>> import re
        >>> from agentflow.select import RuleDecider, Target
        >>> decider = RuleDecider({"draw": ["picture", re.compile("paint(ing)?")], "write": ["poem"]})
        >>> decider.select({"query": "Paint me a PICTURE"}, [Target("draw"), Target("write")]).reason
        "matched 'picture'"
    """

    rules: dict[str, tuple[tuple[str, re.Pattern[str]], ...]]
    reads: tuple[str, ...] | None
    fallback: str | None
    never_blocks: bool = True

    def __init__(
        self,
        rules: Mapping[str, Rule | Iterable[Rule]],
        *,
        reads: str | Iterable[str] | None = None,
        fallback: object = None,
        name: str | None = None,
    ) -> None:
        self.rules = {target: tuple(map(_pattern, _listed(given))) for target, given in rules.items()}
        if not any(self.rules.values()):
            raise BuildError("RuleDecider has no rules: give some, such as {'draw': ['picture', 'sketch']}.")
        self.reads = None if reads is None else names(reads)
        self.fallback = fallback_name(fallback)
        self._name = name

    def problems(self, source: str, targets: Sequence[Target]) -> list[BuildError]:
        return undeclared(f"the {self.name} leaving '{source}'", "rules", self.rules, targets)

    async def decide(self, runtime: Runtime, state: State[Any], targets: Sequence[Target]) -> Answer:
        text = "\n".join(map(prompt.shown, prompt.readable(state, self.reads).values()))
        found = {target.name: self._matches(target.name, text) for target in targets}
        most = max(map(len, found.values()), default=0)
        leaders = [name for name, matches in found.items() if len(matches) == most]
        if most == 0:
            return Abstention("no rule matches")
        if len(leaders) > 1:
            return Abstention(f"as many rules match for {' as for '.join(map(repr, sorted(leaders)))}")
        return Decision(
            target=leaders[0], decided_by=self.name, reason=f"matched {', '.join(map(repr, found[leaders[0]]))}"
        )

    def _matches(self, target: str, text: str) -> list[str]:
        return [told for told, pattern in self.rules.get(target, ()) if pattern.search(text)]


def _listed(given: Rule | Iterable[Rule]) -> Iterable[Rule]:
    return (given,) if isinstance(given, str | re.Pattern) else given


def _pattern(rule: Rule) -> tuple[str, re.Pattern[str]]:
    """How a rule is told, and what is searched for."""
    if isinstance(rule, re.Pattern):
        return rule.pattern, rule
    words = rule.split()
    if not words:
        raise BuildError("RuleDecider has an empty keyword, which every text would match: remove it.")
    phrase = r"\s+".join(map(re.escape, words))
    return rule, re.compile(rf"(?<!\w){phrase}(?!\w)", re.IGNORECASE)
