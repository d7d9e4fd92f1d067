"""A client reads or ends its own consent (after FAPI Grant Management §6): what it may do, and how it proves who it is.

A client that authenticates by Basic does so here too. Every other client presents a live access token of that very
consent: a GET has no body to carry a secret or an assertion in, a public client has no secret at all, and whoever holds
such a token reads the data anyway, so that naming or ending the access gives nobody anything new.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from authlib.oauth2.rfc6749 import InvalidRequestError
from flask import Request
from sqlalchemy import Connection, Row

from portal.config import Settings
from portal.consents.standing import ENDED
from portal.oauth import bearer, client_authentication
from portal.oauth.bearer import Challenge


def authenticate(
    connection: Connection, request: Request, settings: Settings, consent_id: str, *, now: datetime
) -> str | Challenge | None:
    """The id of the client that may ask about this consent, the challenge that refuses the token, or None: not its consent.

    Raises InvalidClientError, also for a client that has a secret for Basic and presents no more than a token.
    """
    if request.query_string:
        raise InvalidRequestError("The address takes no query string.")
    authorization = bearer.authorization(request)
    if (authorization or "")[:6].lower() != "bearer":
        client = client_authentication.authenticate_by_header(connection, authorization, now=now)
        return str(client.client_id)
    found = bearer.find(connection, request, settings, now=now)
    if isinstance(found, Challenge):
        return found
    method = client_authentication.method_of(connection, found.client_id)
    if method == "client_secret_basic":
        raise client_authentication.refused()
    return found.client_id if found.consent_id == consent_id else None


def describe(found: Row[Any]) -> dict[str, Any]:
    """The consent as its client may know it; moments in epoch seconds, as in the token response."""
    return {
        "consent_id": found.id,
        "status": found.state,
        "scope": found.scope,
        "business_id": found.business_id,
        "business_name": found.business_name,
        "duration": found.duration,
        "granted_at": _epoch(found.granted_at),
        "expires_at": _epoch(found.expires_at),
        "last_accessed_at": _epoch(found.last_accessed_at),
        "ended_at": _epoch(found.ended_at) if found.state in ENDED else None,
    }


def _epoch(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp())
