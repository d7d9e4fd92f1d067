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
}
STATUSES = {"400": "BadRequest", "401": "Unauthorized", "403": "Forbidden", "404": "NotFound"}


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
        "parameters": [*map(_path_parameter, in_path), *map(_query_parameter, line.query)],
        "responses": {
            "200": {"description": "As asked.", "content": {"application/json": {"schema": reference(line.answer)}}},
            **{
                status: {"$ref": f"#/components/responses/{name}"}
                for status, name in STATUSES.items()
                if name != "NotFound" or in_path
            },
        },
    }


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
