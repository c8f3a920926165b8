"""The OpenAPI document says what the API does: whatever it allows is answered as it says, and nothing else is.

`AGENTFLOW_FUZZ=500` tries that many requests for each operation.
"""

from __future__ import annotations

import datetime
import os
import socket
from typing import Any

import httpx
import hypothesis
import pydantic
import pytest
import schemathesis
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    ignored_auth,
    response_schema_conformance,
    status_code_conformance,
)

from agentflow import ApplicationBuilder, GraphBuilder, State, action
from agentflow.errors import BuildError
from agentflow.integrations.pydantic import PydanticTypingSystem
from tests.effort import tries
from tests.serving.clients import GRAPH, TOKEN, api_of, client_of, created

API = api_of(max_steps=50)
SCHEMA = schemathesis.openapi.from_asgi("/openapi.json", API, headers={"host": "localhost"})
COUNT = tries(3, thorough=8)
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    ignored_auth,
]
OPERATIONS = [
    "choose", "cancel", "create_application", "delete_application", "fork", "get_graph", "get_history", "get_state",
    "list_applications", "perform_count", "run", "watch",
]  # fmt: skip


@SCHEMA.exclude(operation_id="watch").parametrize()
@hypothesis.settings(
    max_examples=COUNT,
    derandomize="AGENTFLOW_FUZZ" not in os.environ,
    suppress_health_check=list(hypothesis.HealthCheck),
    database=None,
)
def test_every_request_is_answered_as_the_document_says(case: Any) -> None:
    case.call_and_validate(headers={"Authorization": f"Bearer {TOKEN}", "host": "localhost"}, checks=CHECKS)


def test_operations_and_models_have_names_that_a_client_can_bear() -> None:
    document = API.openapi()
    operations = [each["operationId"] for path in document["paths"].values() for each in path.values()]
    assert OPERATIONS == sorted(operations, key=OPERATIONS.index)
    assert {"Application", "CountInputs", "History", "Page", "Problem"} <= document["components"]["schemas"].keys()
    body = document["paths"]["/applications/{app_id}/actions/count"]["put"]["requestBody"]["content"]
    assert "#/components/schemas/CountInputs" == body["application/json"]["schema"]["$ref"]


async def test_state_that_is_declared_is_in_the_document() -> None:
    class Sums(pydantic.BaseModel):
        total: int = 0
        doubled: int = 0
        text: str = ""

    def typed(app_id: str, partition_key: str | None) -> ApplicationBuilder:
        builder = ApplicationBuilder().with_graph(GRAPH).with_entrypoint("count")
        return builder.with_typing(PydanticTypingSystem(Sums))

    api = api_of(typed)
    schemas = api.openapi()["components"]["schemas"]
    assert {"total", "doubled", "text"} == schemas["SumsState"]["properties"].keys()
    async with client_of(api) as client:
        app_id = await created(client)
        said = (await client.put(f"/applications/{app_id}/actions/count", json={"note": ""})).json()
        assert {"total": 1, "doubled": 2, "text": "it is 2"} == said["state"]


def test_an_input_that_json_cannot_hold_is_a_mistake_that_is_said_when_the_api_is_made() -> None:
    @action(reads=[], writes=[])
    def use(state: State, line: socket.socket) -> State:
        return state

    graph = GraphBuilder().with_actions(use).build()
    with pytest.raises(BuildError, match="the input 'line' of action 'use' cannot be given as JSON"):
        api_of(lambda app_id, _: ApplicationBuilder().with_graph(graph).with_entrypoint("use"))


def test_an_input_whose_type_is_not_known_where_it_is_defined_is_one_too() -> None:
    @action(reads=[], writes=[])
    def use(state: State, when: Unknown) -> State:  # noqa: F821
        return state

    graph = GraphBuilder().with_actions(use).build()
    with pytest.raises(BuildError, match="the type 'Unknown' of the input 'when' of action 'use' cannot be found"):
        api_of(lambda app_id, _: ApplicationBuilder().with_graph(graph).with_entrypoint("use"))


async def test_inputs_may_have_any_name_and_any_type_that_json_can_hold() -> None:
    @action(reads=[], writes=["seen"])
    def use(state: State, json: int, copy: datetime.date, model_config: list[str] = [], _at: int = 3) -> State:  # noqa: B006
        return state.update(seen=[json, copy.isoformat(), type(copy).__name__, model_config, _at])

    graph = GraphBuilder().with_actions(use).build()
    async with client_of(api_of(lambda a, _: ApplicationBuilder().with_graph(graph).with_entrypoint("use"))) as client:
        app_id = await created(client)
        body = {"json": 1, "copy": "2024-02-29", "model_config": ["x"]}
        answer: httpx.Response = await client.put(f"/applications/{app_id}/actions/use", json=body)
        assert [1, "2024-02-29", "date", ["x"], 3] == answer.json()["state"]["seen"]
        wrong = await client.put(f"/applications/{app_id}/actions/use", json={**body, "copy": "never"})
        assert "body.copy" in wrong.json()["message"]


def test_the_document_says_that_every_operation_takes_the_token() -> None:
    document = API.openapi()
    asked = [each["security"] for path in document["paths"].values() for each in path.values()]
    assert [[{"token": []}]] * len(OPERATIONS) == asked
    scheme = document["components"]["securitySchemes"]["token"]
    assert ("http", "bearer") == (scheme["type"], scheme["scheme"])
