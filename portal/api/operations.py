"""One call as OpenAPI describes it: what it takes, what it answers, every refusal by its kind, and where it leads on to."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from itertools import groupby
from typing import Any

from portal.api import examples, links, problems
from portal.api.answers import TAGS
from portal.api.problems import Problem
from portal.api.registry import PATH_PARAMETER, Endpoint
from portal.api.schemas import reference
from portal.funds.kinds import KINDS

PROBLEM_JSON = "application/problem+json"
MULTIPART = "multipart/form-data"
OBJECT_ID = {"type": "string", "minLength": 1, "maxLength": 64, "pattern": "^[0-9A-Za-z_-]+$"}
IF_MATCH = {
    "name": "If-Match",
    "in": "header",
    "required": True,
    "description": "The ETag of the state that was read; when it has changed since, nothing is done.",
    "schema": {"type": "string", "pattern": f"^{TAGS}$", "examples": ['"3"']},
}
IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "Of your choice, such as a random UUID. Sent again with the same body within 24 hours, it gets the same answer "
    "and nothing is done again.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
}
IF_NONE_MATCH = {
    "name": "If-None-Match",
    "in": "header",
    "description": "The ETag of an answer you have; when it is still the answer, you get 304 without a body.",
    "schema": {"type": "string"},
}
RANGE = {
    "name": "Range",
    "in": "header",
    "description": "One part of the content (RFC 9110 §14.2); with `If-Range` and the ETag, only of the content you know.",
    "schema": {"type": "string", "examples": ["bytes=0-1023"]},
}
ETAG = {"description": "The tag of this state.", "schema": {"type": "string"}}
LOCATION = {
    "description": "The path of what was made.",
    "schema": {"type": "string", "format": "uri-reference"},
    "required": True,
}
REQUEST_ID = {"description": "The reference number of this call, which is in the portal’s log.", "schema": {"type": "string"}}
COUNTED = {
    "RateLimit-Policy": {
        "description": "How many calls a minute this access has. Missing when there is no limit.",
        "schema": {"type": "string", "examples": ['"consent";q=600;w=60']},
    },
    "RateLimit": {
        "description": "How many are left (`r`), and in how many seconds the next minute begins (`t`).",
        "schema": {"type": "string", "examples": ['"consent";r=598;t=42']},
    },
}
UNCHANGED = {
    "description": "Unchanged since the answer that `If-None-Match` names.",
    "headers": {"ETag": ETAG, **COUNTED},
}
CONTENT_RANGE = {"description": "RFC 9110 §14.4.", "schema": {"type": "string"}, "required": True}
ON_CONTENTS = {
    "Content-Disposition": {
        "description": "To be saved, under the name of the document (RFC 6266).",
        "schema": {"type": "string", "examples": ['attachment; filename="Annual return 2026.pdf"']},
    },
    "Accept-Ranges": {"description": "RFC 9110 §14.3.", "schema": {"type": "string", "enum": ["bytes"]}},
    "Repr-Digest": {"description": "SHA-256 of the whole content (RFC 9530).", "schema": {"type": "string"}},
}
ON_REFUSALS: dict[int, dict[str, Any]] = {
    400: {"WWW-Authenticate": {"description": "Only when the token is the matter.", "schema": {"type": "string"}}},
    401: {"WWW-Authenticate": {"description": "RFC 6750 §3 and RFC 9728 §5.1.", "schema": {"type": "string"}, "required": True}},
    403: {"WWW-Authenticate": {"description": "RFC 6750 §3.1.", "schema": {"type": "string"}, "required": True}},
    415: {
        "Accept": {"description": "What the call takes.", "schema": {"type": "string"}},
        "Accept-Patch": {"description": "What the call takes.", "schema": {"type": "string"}},
    },
    416: {"Content-Range": CONTENT_RANGE},
    429: {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 1}, "required": True}},
}
BEFORE_COUNTING = (401, 500, 503)
"""Refusals of calls that no consent was found for, or that failed on the way."""


def path_of(line: Endpoint) -> str:
    """`/funds/{fund_id}`."""
    return PATH_PARAMETER.sub(r"{\1}", line.path)


def describe_call(line: Endpoint) -> dict[str, Any]:
    """The Operation Object of this line."""
    return {
        "operationId": line.name,
        "summary": line.summary,
        "description": f"Needs {' or '.join(f'`{scope}`' for scope in line.scopes)}, or a scope that contains it.",
        "tags": [line.subject],
        "security": [{"portal": [scope]} for scope in line.scopes],
        "parameters": parameters_of(line),
        **_request_body(line),
        "responses": {**_good_answers(line), **_refusals(line)},
    }


def parameters_of(line: Endpoint) -> list[dict[str, Any]]:
    """In path, query and header, in this order."""
    in_path = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": "An id that a list has told.",
            "schema": OBJECT_ID,
            "example": "01jzc9x3m0v5k8q2n7d4t6h1rb",
        }
        for name in PATH_PARAMETER.findall(line.path)
    ]
    in_query = [{"name": p.name, "in": "query", "description": p.description, "schema": p.schema} for p in line.query]
    return [*in_path, *in_query, *_headers_of(line)]


def _headers_of(line: Endpoint) -> list[dict[str, Any]]:
    if not line.writes:
        return [IF_NONE_MATCH] if line.answer else [IF_NONE_MATCH, RANGE]
    if_match = {**IF_MATCH, "required": line.conditional}
    return [header for header, takes in ((if_match, line.may_be_conditional), (IDEMPOTENCY_KEY, line.idempotent)) if takes]


def _request_body(line: Endpoint) -> dict[str, Any]:
    if line.body is None:
        return {}
    content = {media_type: _content(line.body.schema) for media_type in line.body.media_types}
    if MULTIPART in content:
        content[MULTIPART]["encoding"] = {"file": {"contentType": ", ".join(KINDS)}}
    return {"requestBody": {"required": True, "content": content}}


def _content(schema: str) -> dict[str, Any]:
    return {"schema": reference(schema), "examples": {"one": {"value": examples.of_schema(schema)}}}


def _good_answers(line: Endpoint) -> dict[str, Any]:
    if line.answer is None:
        return _contents()
    headers = {"ETag": ETAG, **({"Location": LOCATION} if line.status == 201 else {}), "X-Request-Id": REQUEST_ID, **COUNTED}
    led_to = links.of_call(line)
    good: dict[str, Any] = {
        str(line.status): {
            "description": "As asked.",
            "headers": headers,
            "content": {"application/json": _content(line.answer)},
            **({"links": led_to} if led_to else {}),
        }
    }
    if not line.writes:
        good["304"] = UNCHANGED
    return good


def _contents() -> dict[str, Any]:
    """The answers that are a document's own bytes, in the kind it was stored as."""
    kinds: dict[str, Any] = {media_type: {} for media_type in KINDS}
    headers = {"ETag": ETAG, **ON_CONTENTS, "X-Request-Id": REQUEST_ID, **COUNTED}
    return {
        "200": {"description": "The whole content.", "headers": headers, "content": kinds},
        "206": {
            "description": "The part that `Range` asks for.",
            "headers": {**headers, "Content-Range": CONTENT_RANGE},
            "content": kinds,
        },
        "304": UNCHANGED,
    }


def _refusals(line: Endpoint) -> dict[str, Any]:
    by_status = groupby(problems.of_call(line), key=lambda problem: problem.status)
    return {str(status): _refusal(status, list(kinds)) for status, kinds in by_status}


def _refusal(status: int, kinds: Iterable[Problem]) -> dict[str, Any]:
    kinds = list(kinds)
    counted = {} if status in BEFORE_COUNTING else COUNTED
    return {
        "description": f"{HTTPStatus(status).phrase}. " + " ".join(f"`{kind.kind}`: {kind.when}" for kind in kinds),
        "headers": {"X-Request-Id": REQUEST_ID, **ON_REFUSALS.get(status, {}), **counted},
        "content": {
            PROBLEM_JSON: {
                "schema": reference("Problem"),
                "examples": {kind.kind: {"$ref": f"#/components/examples/{kind.kind}"} for kind in kinds},
            }
        },
    }
