"""The API's description of itself: OpenAPI 3.1, made from the table of calls, so that it says what is there and no more."""

from __future__ import annotations

import re
from typing import Any

from portal.api.registry import TABLE, Endpoint
from portal.api.schemas import SCHEMAS, reference
from portal.config import Settings
from portal.consents import catalogue
from portal.oauth.tokens import DEAD_REASONS

VERSION = "1.0.0"
PREFIX = "/api/v1"
PROBLEM = {"application/problem+json": {"schema": reference("Problem")}}
PATH_PARAMETER = re.compile(r"<(\w+)>")
CHALLENGE = {"WWW-Authenticate": {"description": "RFC 6750 §3 and RFC 9728 §5.1.", "schema": {"type": "string"}}}
RESPONSES: dict[str, dict[str, Any]] = {
    "BadRequest": {"description": "A parameter or the header cannot be used; the detail says which.", "content": PROBLEM},
    "Unauthorized": {
        "description": "No token, or a dead one; then `reason` is one of "
        + ", ".join(f"`{word}`" for word in DEAD_REASONS)
        + ".",
        "headers": CHALLENGE,
        "content": PROBLEM,
    },
    "Forbidden": {
        "description": "The access does not cover the call; `scope` names what it needs.",
        "headers": CHALLENGE,
        "content": PROBLEM,
    },
    "NotFound": {"description": "The business of the token has no such object.", "content": PROBLEM},
    "PreconditionFailed": {
        "description": "It was changed since it was read; `If-Match` names another state.",
        "content": PROBLEM,
    },
    "TooLarge": {"description": "The body is larger than is taken here.", "content": PROBLEM},
    "UnsupportedMediaType": {"description": "The body is of a kind that is not taken here.", "content": PROBLEM},
    "Unprocessable": {
        "description": "The body was read and cannot be taken; `errors` names each fault. Or the `Idempotency-Key` was used "
        "with another body.",
        "content": PROBLEM,
    },
    "PreconditionRequired": {"description": "`If-Match` is missing.", "content": PROBLEM},
}
IF_MATCH = {
    "name": "If-Match",
    "in": "header",
    "required": True,
    "description": "The ETag of the state that was read; when it has changed since, nothing is done.",
    "schema": {"type": "string", "examples": ['"3"']},
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
NOT_MODIFIED = {"description": "Unchanged since the answer that `If-None-Match` names."}
ETAG = {"description": "The tag of this state.", "schema": {"type": "string"}}


def describe(settings: Settings) -> dict[str, Any]:
    """The document for this portal."""
    paths: dict[str, dict[str, Any]] = {}
    for line in TABLE:
        paths.setdefault(PATH_PARAMETER.sub(r"{\1}", line.path), {})[line.method.lower()] = _operation(line)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"{settings.brand} partner API",
            "version": VERSION,
            "description": (
                "The data of one business, as far as a person of that business allowed it. The business comes from the access "
                "token, never from the request. Query parameters that are not described are ignored."
            ),
        },
        "servers": [{"url": settings.issuer + PREFIX}],
        "paths": paths,
        "components": {
            "schemas": SCHEMAS,
            "responses": RESPONSES,
            "securitySchemes": {"portal": _security_scheme(settings)},
        },
    }


def _operation(line: Endpoint) -> dict[str, Any]:
    in_path = PATH_PARAMETER.findall(line.path)
    return {
        "operationId": line.name,
        "summary": line.summary,
        "security": [{"portal": [scope]} for scope in line.scopes],
        "parameters": [*map(_path_parameter, in_path), *map(_query_parameter, line.query), *_header_parameters(line)],
        **_request_body(line),
        "responses": {
            str(line.status): {
                "description": "As asked.",
                "headers": {"ETag": ETAG},
                "content": {"application/json": {"schema": reference(line.answer)}},
            },
            **({} if line.writes else {"304": NOT_MODIFIED}),
            **{status: {"$ref": f"#/components/responses/{name}"} for status, name in _refusals(line).items()},
        },
    }


def _header_parameters(line: Endpoint) -> list[dict[str, Any]]:
    if not line.writes:
        return [IF_NONE_MATCH]
    return [header for header, takes in ((IF_MATCH, line.conditional), (IDEMPOTENCY_KEY, line.idempotent)) if takes]


def _request_body(line: Endpoint) -> dict[str, Any]:
    if line.body is None:
        return {}
    content = {media_type: {"schema": reference(line.body.schema)} for media_type in line.body.media_types}
    return {"requestBody": {"required": True, "content": content}}


def _refusals(line: Endpoint) -> dict[str, str]:
    """The refusals that this call can answer with, by status."""
    refusals = {"400": "BadRequest", "401": "Unauthorized", "403": "Forbidden"}
    if PATH_PARAMETER.search(line.path):
        refusals["404"] = "NotFound"
    if line.conditional:
        refusals |= {"412": "PreconditionFailed", "428": "PreconditionRequired"}
    if line.body is not None:
        refusals |= {"413": "TooLarge", "415": "UnsupportedMediaType", "422": "Unprocessable"}
    return refusals


def _path_parameter(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string", "maxLength": 64}}


def _query_parameter(parameter: Any) -> dict[str, Any]:
    return {"name": parameter.name, "in": "query", "description": parameter.description, "schema": parameter.schema}


def _security_scheme(settings: Settings) -> dict[str, Any]:
    return {
        "type": "oauth2",
        "description": "Authorization code with PKCE (S256). A broader scope opens what it contains.",
        "flows": {
            "authorizationCode": {
                "authorizationUrl": settings.issuer + "/oauth/authorize",
                "tokenUrl": settings.issuer + "/oauth/token",
                "refreshUrl": settings.issuer + "/oauth/token",
                "scopes": {name: catalogue.title(name, brand=settings.brand) for name in catalogue.CATALOGUE},
            }
        },
    }
