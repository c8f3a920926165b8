"""HumanDecider: a choice that is left to a person, while the application waits.

What must not live here: how the person is shown the choice, or how the answer comes back (`Application.choose`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from agentflow.runtime import Runtime
from agentflow.select import prompt
from agentflow.select.decider import Decider
from agentflow.select.selector import Answer, PendingChoice, Target
from agentflow.state import State


class HumanDecider(Decider):
    """A choice that is left to a person.

    When it is asked, the run halts: `app.status` is `halted`, and `app.pending_choice` says what there is to choose
    from. The person's pick is given with `app.choose("write")`, and the next run goes on there.

    Args:
        question: What the person is asked; `{key}` stands for the value of a state key.
        name: How decisions and drawings show it.

    Raises:
        BuildError: A placeholder of the question is anything but the name of a state key.

    Example:
        >>> from agentflow.select import HumanDecider
        >>> transition = ("review", ["send", "rewrite"], HumanDecider("Is this draft good? {draft}"))
    """

    question: prompt.Template
    reads: tuple[str, ...] | None
    never_blocks: bool = True

    def __init__(self, question: str = "What comes next?", *, name: str | None = None) -> None:
        self.question = prompt.Template(question)
        self.reads = self.question.keys
        self._name = name

    async def decide(self, runtime: Runtime, state: State[Any], targets: Sequence[Target]) -> Answer:
        return PendingChoice(
            targets=tuple(sorted(targets, key=lambda target: target.name)),
            question=self.question.filled(prompt.readable(state, self.reads)),
            asked_by=self.name,
        )
