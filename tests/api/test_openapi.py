from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from werkzeug.test import TestResponse

from portal.api.examples import of_schema
from portal.api.links import LINKS
from portal.api.registry import TABLE, Endpoint
from portal.api.validation import formats
from portal.consents.catalogue import CATALOGUE, title
from tests.api.samples import Things, add_things, headers_of, path_of, send
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


def validator(document: dict[str, Any], schema: dict[str, Any]) -> Draft202012Validator:
    """Of a schema in the document, in which an object has no member that is not described."""
    components = json.loads(json.dumps(document["components"]["schemas"]), object_hook=_closed)
    return Draft202012Validator({**schema, "components": {"schemas": components}}, format_checker=formats)


def _closed(schema: dict[str, Any]) -> dict[str, Any]:
    return {**schema, "additionalProperties": False} if isinstance(schema.get("properties"), dict) else schema


def faults(document: dict[str, Any], schema: dict[str, Any], value: Any) -> list[str]:
    return [f"{error.json_path}: {error.message}" for error in validator(document, schema).iter_errors(value)]


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
    assert flow["scopes"] == {name: title(name, brand=world.app.settings.brand) for name in CATALOGUE}
    assert flow["authorizationUrl"] == f"{world.app.settings.issuer}/oauth/authorize"
    described = {operation["operationId"]: operation for _path, _method, operation in operations(document)}
    for line in TABLE:
        assert described[line.name]["security"] == [{"portal": [scope]} for scope in line.scopes]


def good_call(world: World, line: Endpoint, token: str, things: Things, body: Any) -> TestResponse:
    """A call with a body of the document, and the first of its media types."""
    kind = {"content_type": line.body.media_types[0]} if line.body else {}
    sent = {"data": json.dumps(body)} if line.body else {}
    return world.call(path_of(line, things), token, method=line.method, headers=headers_of(line, things), **sent, **kind)


def test_answers_are_as_described(document: dict[str, Any], world: World) -> None:
    token = world.grant("funds.write funds.create business.read").token
    described = {operation["operationId"]: operation for _path, _method, operation in operations(document)}
    for line in TABLE:
        answer = send(world, line, token, add_things(world))
        good = described[line.name]["responses"][str(answer.status_code)]
        assert set(good["headers"]) <= set(answer.headers.keys()), line.name
        assert answer.mimetype in good["content"], line.name
        if line.answer is not None:
            assert faults(document, good["content"]["application/json"]["schema"], answer.json) == [], line.name


def examples(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any], Any]]:
    """Where, the schema it is said to have, and the example."""
    for _path, _method, operation in operations(document):
        name = operation["operationId"]
        bodies = [operation.get("requestBody", {}), *operation["responses"].values()]
        for content in (content for body in bodies for content in body.get("content", {}).values()):
            for example in content.get("examples", {}).values():
                kind = example.get("$ref", "").rpartition("/")[2]
                yield name, content["schema"], (document["components"]["examples"][kind] if kind else example)["value"]
        for parameter in operation["parameters"]:
            for example in [
                *parameter["schema"].get("examples", []),
                *([parameter["example"]] if "example" in parameter else []),
            ]:
                yield name, parameter["schema"], example


def test_every_example_fits_its_schema(document: dict[str, Any]) -> None:
    seen = list(examples(document))
    assert len(seen) > 8 * len(TABLE)
    assert [(where, found) for where, schema, value in seen if (found := faults(document, schema, value))] == []
    for name, schema in document["components"]["schemas"].items():
        assert faults(document, schema, of_schema(name)) == [], name


def test_the_example_of_each_body_can_be_sent_as_it_stands(document: dict[str, Any], world: World) -> None:
    token = world.grant("funds.write funds.create").token
    for _path, _method, operation in operations(document):
        line = next(line for line in TABLE if line.name == operation["operationId"])
        for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
            if "json" in media_type:
                answer = good_call(world, line, token, add_things(world), content["examples"]["one"]["value"])
                assert answer.status_code == line.status, (line.name, answer.text)


def test_each_link_names_a_call_and_parameters_that_it_has(document: dict[str, Any]) -> None:
    described = {operation["operationId"]: operation for _path, _method, operation in operations(document)}
    names = set()
    for operation in described.values():
        for link in links(operation).values():
            target = described[link["operationId"]]
            assert set(link["parameters"]) <= {parameter["name"] for parameter in target["parameters"]}
            names.add(target["operationId"])
    assert names >= {line.name for line in TABLE if line.path.count("<") and "full" not in line.path}


def test_each_list_that_comes_in_pages_leads_on_to_the_next_page(document: dict[str, Any]) -> None:
    lists = [operation for _, _, operation in operations(document) if "cursor" in [p["name"] for p in operation["parameters"]]]
    assert len(lists) == 4
    for operation in lists:
        needed = {
            parameter["name"]: f"$request.path.{parameter['name']}"
            for parameter in operation["parameters"]
            if parameter["in"] == "path"
        }
        assert links(operation)["next_page"]["parameters"] == {**needed, "cursor": "$response.body#/next_cursor"}


def links(operation: dict[str, Any]) -> dict[str, Any]:
    return next(operation["responses"][status].get("links", {}) for status in ("200", "201") if status in operation["responses"])


def test_every_link_that_is_declared_is_of_calls_that_there_are() -> None:
    there = {line.name for line in TABLE}
    assert {*LINKS, *(target for targets in LINKS.values() for target in targets)} <= there


@pytest.mark.parametrize(("source", "target"), [(source, target) for source, targets in LINKS.items() for target in targets])
def test_each_link_leads_from_a_good_answer_to_a_good_call(
    document: dict[str, Any], world: World, source: str, target: str
) -> None:
    lines, token = {line.name: line for line in TABLE}, world.grant("funds.write funds.create").token
    [declared] = [links(operation) for _path, _method, operation in operations(document) if operation["operationId"] == source]
    answer = send(world, lines[source], token, add_things(world))
    named = {name: value_of(text, answer) for name, text in declared[f"then_{target}"]["parameters"].items()}
    headers = {name: named.pop(name) for name in ("If-Match",) if name in named}
    then = send(world, lines[target], token, Things(named), headers)
    assert then.status_code == lines[target].status, then.text


def value_of(expression: str, answer: TestResponse) -> str:
    """What a runtime expression of a link stands for (OpenAPI 3.1, Runtime Expressions)."""
    if expression.startswith("$response.header."):
        return answer.headers[expression.removeprefix("$response.header.")]
    value = answer.json
    for key in expression.removeprefix("$response.body#/").split("/"):
        value = value[int(key)] if isinstance(value, list) else value[key]
    return str(value)


@pytest.mark.parametrize("path", ["/funds", "/funds?limit=0", "/funds/none", "/business"])
def test_refusals_are_as_described(document: dict[str, Any], world: World, path: str) -> None:
    for token in (None, "unknown", world.grant("funds.basic").token):
        answer = world.call(path, token)
        assert answer.status_code >= 400
        assert faults(document, {"$ref": "#/components/schemas/Problem"}, answer.json) == [], answer.json


def test_it_is_made_once_and_told_to_those_who_have_it(document: dict[str, Any], world: World) -> None:
    first = world.call("/openapi.json")
    assert world.call("/openapi.json", headers={"If-None-Match": first.headers["ETag"]}).status_code == 304
