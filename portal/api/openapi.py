"""The API's description of itself: OpenAPI 3.1, made from the table of calls, so that it says what is there and no more."""

from __future__ import annotations

from functools import cache
from typing import Any

from portal.api import problems
from portal.api.operations import describe_call, path_of
from portal.api.registry import TABLE
from portal.api.schemas import SCHEMAS
from portal.config import Settings
from portal.consents import catalogue

VERSION = "1.0.0"
PREFIX = "/api/v1"
ABOUT = """The data of one business, as far as a person of that business allowed it. The business comes from the access token, \
never from the request. Query parameters that are not described are ignored, and answers may gain members.

Every refusal is a problem document (RFC 9457) whose `type` opens a page that says what to do. The human pages of this \
description are at {issuer}/developers."""


@cache
def describe(settings: Settings) -> dict[str, Any]:
    """The document for this portal; the same one each time."""
    paths: dict[str, dict[str, Any]] = {}
    for line in TABLE:
        paths.setdefault(path_of(line), {})[line.method.lower()] = describe_call(line)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"{settings.brand} partner API",
            "version": VERSION,
            "description": ABOUT.format(issuer=settings.issuer),
        },
        "externalDocs": {"url": f"{settings.issuer}/developers"},
        "servers": [{"url": settings.issuer + PREFIX}],
        "tags": [{"name": name} for name in dict.fromkeys(line.subject for line in TABLE)],
        "paths": paths,
        "components": {
            "schemas": SCHEMAS,
            "examples": {
                problem.kind: {"summary": problem.title, "description": problem.when, "value": problem.example(settings.issuer)}
                for problem in problems.TABLE
            },
            "securitySchemes": {"portal": _security_scheme(settings)},
        },
    }


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
