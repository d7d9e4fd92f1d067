"""How a bearer token is presented and refused (RFC 6750, RFC 9728 §5.1): header only, and a reason only its owner gets to see."""

from __future__ import annotations

import re
from datetime import datetime

from flask import Request, Response, jsonify
from sqlalchemy import Connection

from portal.config import Settings
from portal.oauth import tokens
from portal.oauth.metadata import API_METADATA
from portal.oauth.tokens import AccessLookup
from portal.statements import Prepared

BEARER = re.compile(r"Bearer ([A-Za-z0-9\-._~+/]+=*)", re.IGNORECASE)


def authorization(request: Request) -> str | None:
    """The `Authorization` header. Of two, a server makes one that is joined by a comma (RFC 9110 §5.3), and that is no credential."""
    return request.environ.get("HTTP_AUTHORIZATION")


def is_elsewhere(request: Request) -> bool:
    """Whether a token stands in the address or in a form too, where the portal never reads it: more than one is none (RFC 6750 §2)."""
    if request.query_string and "access_token" in request.args:
        return True
    return request.mimetype == "application/x-www-form-urlencoded" and "access_token" in request.form


def find(
    connection: Connection, request: Request, settings: Settings, *, now: datetime, statement: Prepared = tokens.FIND_ACCESS
) -> AccessLookup | Challenge:
    """The live access token of this request, or the challenge that refuses it."""
    presented = authorization(request)
    if presented is None or presented[:6].lower() != "bearer":
        return Challenge(settings)
    match = BEARER.fullmatch(presented)
    if match is None or is_elsewhere(request):
        return Challenge(settings, 400, "invalid_request", "malformed")
    found = tokens.find_access(connection, match[1], now=now, statement=statement)
    if found is None:
        return Challenge(settings, 401, "invalid_token", "unknown")
    if found.dead_reason is not None:
        return Challenge(settings, 401, "invalid_token", found.dead_reason, access=found)
    return found


class Challenge:
    """A refusal: its status, and the `WWW-Authenticate` header that says what the client can do."""

    def __init__(
        self,
        settings: Settings,
        status: int = 401,
        error: str | None = None,
        description: str | None = None,
        scope: str | None = None,
        *,
        access: AccessLookup | None = None,
    ) -> None:
        self.status = status
        self.error = error
        self.description = description
        self.scope = scope
        self.access = access
        """What the token was, when it was one of ours."""
        members = {"error": error, "error_description": description, "scope": scope}
        parts = [f'{name}="{value}"' for name, value in members.items() if value is not None]
        parts.append(f'resource_metadata="{settings.issuer}{API_METADATA}"')
        self.header = "Bearer " + ", ".join(parts)

    def as_oauth(self) -> Response:
        """The refusal in the form of OAuth endpoints (RFC 6749 §5.2); without a token it names no error (RFC 6750 §3.1)."""
        body = {"error": self.error} if self.error else {}
        body["error_description"] = self.description or "No access token was sent."
        response = jsonify(body)
        response.status_code = self.status
        response.headers["WWW-Authenticate"] = self.header
        response.headers["Cache-Control"] = "no-store"
        return response


def insufficient_scope(settings: Settings, scope: str | None, *, access: AccessLookup | None = None) -> Challenge:
    """403: the token is good, and `scope` names what is missing (RFC 6750 §3.1)."""
    return Challenge(settings, 403, "insufficient_scope", "The token does not open this.", scope, access=access)
