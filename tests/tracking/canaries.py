"""A run that is full of secrets, for whoever must not show them."""

from __future__ import annotations

import dataclasses
from typing import Any

from agentflow import ApplicationBuilder, Decision, Secret, Select, State, action
from agentflow.tracing import TracerFactory

#: Secrets of every kind: by shape, by name, by type, from the environment, in headers and addresses.
CANARIES = {
    "openai": "sk-proj-canary00000000000001",
    "github": "ghp_canary0000000000000000000002",
    "aws": "AKIACANARY0000000003",
    "bearer": "canary-bearer-0000004",
    "named": "canary-named-00000005",
    "typed": "canary-typed-00000006",
    "environment": "canary-environment-07",
    "address": "canary-address-000008",
    "jwt": "eyJjYW5hcnkwMDAw.eyJjYW5hcnkwMDAw.Y2FuYXJ5MDAwMDA5",
    "nested": "canary-nested-0000010",
    "header": "canary-header-0000011",
}
ENVIRONMENT = ("SOMEBODYS_API_KEY", CANARIES["environment"])


@dataclasses.dataclass
class Login:
    user: str
    password: str


class HttpError(Exception):
    """As an HTTP library raises it, with what was sent in its message."""


@action(reads=["config"], writes=["said", "login", "history"])
def use(state: State[Any], credentials: dict[str, Any], text: str, __tracer: TracerFactory) -> Any:
    headers = {"Authorization": f"Bearer {CANARIES['bearer']}", "X-Api-Key": CANARIES["header"]}
    with __tracer("call") as span:
        span.log_attributes(headers=headers, url=f"https://ada:{CANARIES['address']}@example.com/v1")
    said = f"the key is {CANARIES['openai']}\n{CANARIES['github']}\t'{CANARIES['aws']}' {CANARIES['environment']}"
    login = Login("ada", CANARIES["named"])
    return {"raw": [text, headers]}, state.update(said=said, login=login).append(history={"seen": CANARIES["jwt"]})


@action(reads=["config"], writes=[])
def fail(state: State[Any]) -> Any:
    key = state["config"]["key"].reveal()
    try:
        raise KeyError(f"no user for {CANARIES['named']} at postgres://ada:{CANARIES['address']}@example.com/db")
    except KeyError as error:
        raise HttpError(
            f"401: sent {{'authorization': 'Bearer {CANARIES['bearer']}', 'x-api-key': '{CANARIES['header']}'}} with "
            f"{key}, {CANARIES['openai']}, {CANARIES['nested']}"
        ) from error


def choose(state: State[Any]) -> Decision:
    return Decision(target="fail", reason=f"because of {CANARIES['github']}", raw=f"Bearer {CANARIES['bearer']}")


def leaking() -> ApplicationBuilder:
    """Run it with `INPUTS` until it fails."""
    return (
        ApplicationBuilder()
        .with_actions(use, fail)
        .with_transitions(("use", ["fail", "use"], Select(choose)))
        .with_entrypoint("use")
        .with_state(
            config={"key": Secret(CANARIES["typed"]), "client_secret": {"value": CANARIES["nested"]}},
            said="",
            history=[],
        )
        .with_identifiers(app_id="leaking")
    )


INPUTS = {
    "credentials": {"api_key": CANARIES["named"], "inner": [{"token": CANARIES["nested"]}]},
    "text": f"my key is {CANARIES['aws']}",
}


def leaked(text: str) -> list[str]:
    """The names of the secrets that can be read in it."""
    return [name for name, secret in CANARIES.items() if secret in text]
