"""The OpenAPI document: valid, complete, and true of what the server really answers."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import jsonschema_rs
import pytest
import pytest_asyncio
from schemathesis.specs.openapi.definitions import OPENAPI_31

from backend.api.app import create_app
from backend.api.openapi import ANTHROPIC, METHODS, PUBLIC
from backend.api.openapi_examples import ANSWERS, REQUESTS
from backend.api.openapi_operations import SUCCESSES
from backend.config.settings import load_settings
from tests.api.house import House, open_house

Operation = tuple[str, dict[str, Any]]


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    app = create_app(load_settings(data_dir=tmp_path_factory.mktemp("openapi"), _env_file=None))
    # As clients see it.
    made: dict[str, Any] = json.loads(json.dumps(app.openapi()))
    return made


@pytest.fixture(scope="module")
def operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        f"{method.upper()} {path}": operation
        for path, found in document["paths"].items()
        for method, operation in found.items()
        if method in METHODS
    }


def walk(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
        for value in node.values():
            yield from walk(value)
    elif isinstance(node, list):
        for value in node:
            yield from walk(value)


def check(document: dict[str, Any], schema: dict[str, Any], value: Any) -> None:
    """Raises ValidationError."""
    jsonschema.Draft202012Validator({**schema, "components": document["components"]}).validate(value)


def success(operation: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    found = {status: answer for status, answer in operation["responses"].items() if status.startswith("2")}
    assert len(found) == 1, "one way to succeed"
    return next(iter(found.items()))


def test_document_is_valid_openapi_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    jsonschema_rs.validator_for(OPENAPI_31).validate(document)
    for node in walk(document):
        if isinstance(node.get("schema"), dict):
            jsonschema_rs.meta.validate(node["schema"])
    for schema in document["components"]["schemas"].values():
        jsonschema_rs.meta.validate(schema)


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    for node in walk(document):
        target = node.get("$ref")
        if not isinstance(target, str):
            continue
        found: Any = document
        for part in target.removeprefix("#/").split("/"):
            found = found[part]


def test_operations_have_friendly_names_of_their_own(operations: dict[str, dict[str, Any]]) -> None:
    names = [operation["operationId"] for operation in operations.values()]
    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"[a-z][a-z0-9_]{4,40}", name) for name in names), names


def test_every_operation_says_what_it_is_and_answers(
    document: dict[str, Any], operations: dict[str, dict[str, Any]]
) -> None:
    tags = {tag["name"] for tag in document["tags"]}
    for key, operation in operations.items():
        status, answer = success(operation)
        assert operation["tags"] and set(operation["tags"]) <= tags, key
        assert status == "204" or answer["content"], f"{key} does not say what it answers"
        assert "422" not in operation["responses"], key
        kind = "Anthropic" if key.split()[1] in ANTHROPIC else "Mcp" if key == "POST /mcp" else ""
        assert operation["responses"]["4XX"] == {"$ref": f"#/components/responses/{kind}Refused"}
        assert operation["responses"]["5XX"] == {"$ref": f"#/components/responses/{kind}Failed"}


def test_every_schema_of_an_answer_belongs_to_a_route(operations: dict[str, dict[str, Any]]) -> None:
    assert set(SUCCESSES) == set(operations), "openapi_operations.py and the routes differ"
    assert set(ANSWERS) <= set(SUCCESSES) and set(REQUESTS) <= set(SUCCESSES)


BODILESS = re.compile(r"/(cancel|logout)$")


def test_every_post_shows_its_body(operations: dict[str, dict[str, Any]]) -> None:
    for key, operation in operations.items():
        if not key.startswith(("POST", "PUT", "PATCH")) or BODILESS.search(key):
            continue
        content = operation["requestBody"]["content"]
        assert content, key
        for kind, body in content.items():
            assert body["schema"].get("type") == "object" or "anyOf" in body["schema"] or "$ref" in body["schema"], key
            if kind == "application/json":
                assert body.get("examples"), f"{key} has no example: add one to openapi_examples.py"


def test_examples_fit_their_schemas(document: dict[str, Any], operations: dict[str, dict[str, Any]]) -> None:
    shown = 0
    for operation in operations.values():
        for kept in walk(operation):
            for example in kept.get("examples", {}).values() if "schema" in kept else ():
                check(document, kept["schema"], example["value"])
                shown += 1
    assert shown == sum(map(len, REQUESTS.values())) + len(ANSWERS)


def test_security_is_told_for_all_but_the_public_routes(
    document: dict[str, Any], operations: dict[str, dict[str, Any]]
) -> None:
    assert set(document["components"]["securitySchemes"]) == {"bearer", "apiKey"}
    for key, operation in operations.items():
        public = key.split()[1] in PUBLIC
        assert operation["security"] == ([] if public else [{"bearer": []}, {"apiKey": []}]), key


def test_numbers_in_addresses_have_bounds(operations: dict[str, dict[str, Any]]) -> None:
    for key, operation in operations.items():
        for parameter in operation.get("parameters", ()):
            if parameter["in"] == "query" and parameter["name"] in ("page", "limit"):
                bounded = json.dumps(parameter["schema"])
                assert "minimum" in bounded and "maximum" in bounded, f"{key} {parameter['name']}"


# ---- as it is answered -------------------------------------------------------------------------------------


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    folder: Path = tmp_path_factory.mktemp("house")
    async with open_house(folder) as house:
        yield house


PLAIN = [
    (key, name) for key, examples in REQUESTS.items() if "{" not in key and "login" not in key for name in examples
]  # fmt: skip


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(("key", "name"), PLAIN, ids=[f"{key}-{name}" for key, name in PLAIN])
async def test_shown_requests_are_answered_as_the_document_says(
    house: House, document: dict[str, Any], operations: dict[str, dict[str, Any]], key: str, name: str
) -> None:
    method, path = key.split()
    body = dict(REQUESTS[key][name])
    if body.get("model") == "hearth":
        body["model"] = "hearth-builtin"
    answer = await house.client.request(method, path, json=body, headers={"accept": "application/json"})
    if answer.status_code == 400:
        assert body.get("tools") or body.get("response_format"), f"the built-in model cannot do this: {answer.text}"
        assert answer.json()["error"]["message"]
        return
    assert answer.status_code < 300, answer.text
    _, documented = success(operations[key])
    kind = answer.headers["content-type"].split(";")[0]
    schema = documented["content"][kind]["schema"]
    if kind == "application/json":
        check(document, schema, answer.json())
        return
    frames = [line[6:] for line in answer.text.splitlines() if line.startswith("data: ")]
    assert frames
    event = schema.get("anyOf", [schema])[-1]["properties"]["data"]["contentSchema"]
    assert ("anyOf" in schema) == (frames[-1] == "[DONE]")
    for frame in frames:
        if frame != "[DONE]":
            check(document, event, json.loads(frame))


READS = ["/v1/models", "/v1/models/hearth", "/v1/chat/completions", "/v1/files", "/v1/vector_stores", "/api/auth/me",
         "/api/auth/keys", "/api/files/documents", "/api/conversations", "/api/runs", "/api/tools", "/health",
         "/health/ready"]  # fmt: skip


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("path", READS)
async def test_reads_are_answered_as_the_document_says(
    house: House, document: dict[str, Any], operations: dict[str, dict[str, Any]], path: str
) -> None:
    answer = await house.client.get(path)
    assert answer.status_code == 200, answer.text
    key = "GET /v1/models/{model_id}" if path.startswith("/v1/models/") else f"GET {path}"
    check(document, success(operations[key])[1]["content"]["application/json"]["schema"], answer.json())


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("path", ["/v1/models", "/v1/messages", "/api/runs"])
async def test_failures_are_answered_as_the_document_says(
    house: House, document: dict[str, Any], operations: dict[str, dict[str, Any]], path: str
) -> None:
    method = "POST" if path in ANTHROPIC else "GET"
    answer = await house.stranger.request(method, path)
    assert answer.status_code == 401
    name = operations[f"{method} {path}"]["responses"]["4XX"]["$ref"].rsplit("/", 1)[1]
    refused = document["components"]["responses"][name]["content"]["application/json"]["schema"]
    check(document, refused, answer.json())
