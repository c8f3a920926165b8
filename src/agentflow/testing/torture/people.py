"""The row about people who answer twice, late and out of order: one answer is taken for each step.

What must not live here: HTTP (the server's own tests).
"""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from agentflow import ApplicationBuilder, State, action
from agentflow.errors import ConflictError
from agentflow.persistence import Persister, persister_from
from agentflow.persistence.owner import new_owner
from agentflow.testing.torture.rows import Found, Trial

ANSWERS_EACH = 4


def people(trial: Trial) -> Found:
    """`size` answers to a question, each given several times, shuffled, from threads with objects of their own."""
    found, persister = Found(), persister_from(trial.url)
    app_id = f"people-{new_owner()}".replace("/", "-")
    _asking(persister, app_id).build().save()
    posts = [number for number in range(trial.size) for _ in range(ANSWERS_EACH)]
    trial.chance.shuffle(posts)
    outcomes: Counter[str] = Counter()
    accepted: Counter[int] = Counter()

    def post(number: int) -> None:
        try:
            app = _asking(persister, app_id).build()
            if (-1 if app.sequence_id is None else app.sequence_id) + 1 != number:
                outcomes["late or early"] += 1
                return
            app.step(inputs={"answer": number})
            accepted[number] += 1
        except ConflictError:
            outcomes["conflict"] += 1

    with ThreadPoolExecutor(8) as pool:
        while len(accepted) < trial.size:
            list(pool.map(post, posts))
    state = persister.load(None, app_id)
    persister.close()
    found.facts |= dict(outcomes)
    found.expect("answers taken more than once", 0, sum(count > 1 for count in accepted.values()))
    found.expect("answers, in order", list(range(trial.size)), state and state["state"]["answers"])
    return found


def _asking(persister: Persister, app_id: str) -> ApplicationBuilder:
    @action(reads=[], writes=["answers"])
    def ask(state: State[Any], answer: int) -> State[Any]:
        return state.append(answers=answer)

    first: dict[str, Any] = {"answers": []}
    made = ApplicationBuilder().with_actions(ask).with_transitions(("ask", "ask")).with_identifiers(app_id=app_id)
    return made.with_state_persister(persister).initialize_from(
        persister, default_state=first, default_entrypoint="ask"
    )
