from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from portal.api.registry import TABLE
from portal.consents.catalogue import CATALOGUE, title
from tests.api.samples import add_things, send
from tests.api.world import World


@pytest.fixture
def document(world: World) -> dict[str, Any]:
    answer = world.call("/openapi.json")
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    return answer.json


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield path, method, operation


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        yield from [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def fits(schema: dict[str, Any], value: Any, document: dict[str, Any]) -> bool:
    """Strictly: no member that is not described."""
    if "$ref" in schema:
        return fits(document["components"]["schemas"][schema["$ref"].rpartition("/")[2]], value, document)
    kinds = {"object": dict, "array": list, "string": str, "integer": int, "null": type(None)}
    allowed = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
    if not any(isinstance(value, kinds[kind]) for kind in allowed) or ("enum" in schema and value not in schema["enum"]):
        return False
    if isinstance(value, dict):
        known = schema["properties"]
        return set(schema.get("required", ())) <= set(value) <= set(known) and all(
            fits(known[k], v, document) for k, v in value.items()
        )
    if isinstance(value, list):
        return all(fits(schema["items"], item, document) for item in value)
    return not isinstance(value, str) or re.search(schema.get("pattern", ""), value) is not None


def test_it_describes_exactly_the_table_of_calls(document: dict[str, Any]) -> None:
    described = {(path, method, operation["operationId"]) for path, method, operation in operations(document)}
    assert described == {(line.path.replace("<", "{").replace(">", "}"), line.method.lower(), line.name) for line in TABLE}


def test_its_shape_is_openapi_3_1(document: dict[str, Any], world: World) -> None:
    assert document["openapi"] == "3.1.0"
    assert {"title", "version"} <= set(document["info"])
    assert document["servers"] == [{"url": f"{world.app.settings.issuer}/api/v1"}]
    for path, _method, operation in operations(document):
        in_path = {item["name"] for item in operation["parameters"] if item["in"] == "path" and item["required"]}
        assert in_path == set(re.findall(r"{(\w+)}", path))
        assert operation["summary"].endswith(".")
        assert set(operation["responses"]) >= {"400", "401", "403"}
        assert {"200", "201"} & set(operation["responses"])
        assert ("404" in operation["responses"]) == bool(in_path)


def test_each_reference_leads_somewhere(document: dict[str, Any]) -> None:
    for reference in references(document):
        node = document
        for step in reference.removeprefix("#/").split("/"):
            node = node[step]


def test_each_call_names_its_scopes_and_the_scheme_knows_them(document: dict[str, Any], world: World) -> None:
    flow = document["components"]["securitySchemes"]["portal"]["flows"]["authorizationCode"]
    assert flow["scopes"] == {name: title(name) for name in CATALOGUE}
    assert flow["authorizationUrl"] == f"{world.app.settings.issuer}/oauth/authorize"
    described = {operation["operationId"]: operation for _path, _method, operation in operations(document)}
    for line in TABLE:
        assert described[line.name]["security"] == [{"portal": [scope]} for scope in line.scopes]


def test_answers_are_as_described(document: dict[str, Any], world: World) -> None:
    token = world.grant("funds.write funds.create business.read").token
    described = {operation["operationId"]: operation for _path, _method, operation in operations(document)}
    for line in TABLE:
        answer = send(world, line, token, add_things(world))
        schema = described[line.name]["responses"][str(answer.status_code)]["content"]["application/json"]["schema"]
        assert fits(schema, answer.json, document), line.name


@pytest.mark.parametrize("path", ["/funds", "/funds?limit=0", "/funds/none", "/business"])
def test_refusals_are_as_described(document: dict[str, Any], world: World, path: str) -> None:
    for token in (None, "unknown", world.grant("funds.basic").token):
        answer = world.call(path, token)
        assert answer.status_code >= 400
        assert fits({"$ref": "#/components/schemas/Problem"}, answer.json, document), answer.json
