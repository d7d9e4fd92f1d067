"""Who calls, and may they? The bearer guard of the API: RFC 6750 as `oauth.bearer` speaks it, told as a problem (RFC 9457).

A refusal says in a word what the client can act on (refresh, ask the person to connect again, ask for more), and in a
sentence what its developer should know.
"""

from __future__ import annotations

from datetime import datetime

from flask import Request
from sqlalchemy import Connection

from portal.api import limits
from portal.config import Settings
from portal.errors import BadRequest, Forbidden, PortalError, Unauthorized
from portal.oauth import bearer, tokens, uses
from portal.oauth.bearer import Challenge
from portal.oauth.tokens import AccessLookup

WHAT_TO_DO = {
    tokens.EXPIRED: "The access token has expired. Use the refresh token, or ask the person to connect again.",
    tokens.REVOKED: "This access was ended. Unless its refresh token still works, data can be read again only after a person connects again.",
    tokens.CONSENT_EXPIRED: "The time this access was given for is over. Ask the person to connect the application again.",
    tokens.SIGNED_OUT: "This access lasts only while the person is signed in, and they no longer are. Ask them to connect again.",
    tokens.USER_LEFT: "The person who gave this access no longer acts for the business. Ask someone who does to connect.",
    tokens.CLIENT_DISABLED: "This application has been disabled by the operator of the portal. Please contact them.",
}


class NoToken(Unauthorized):
    kind = "no-token"
    title = "An access token is needed"
    message = "Send it in the header “Authorization: Bearer”. It is never read from the address or the body."


class MalformedToken(BadRequest):
    kind = "malformed-token"
    title = "The access token could not be read"
    message = "Send one “Authorization: Bearer” header with one access token in it, and the token nowhere else."


class InvalidToken(Unauthorized):
    kind = "invalid-token"
    title = "The access token opens nothing"
    message = "No such access token is known. Ask the person to connect the application again."


class InsufficientScope(Forbidden):
    kind = "insufficient-scope"
    title = "This access does not cover the call"


def check(
    connection: Connection, request: Request, scopes: tuple[str, ...], *, settings: Settings, now: datetime
) -> AccessLookup:
    """What the token of this request opens, when it is live and opens one of `scopes`; one statement, rarely two.

    Raises NoToken, MalformedToken, InvalidToken or InsufficientScope, each with its challenge, and QuotaExceeded.
    """
    found = bearer.find(connection, request, settings, now=now)
    if isinstance(found, Challenge):
        uses.note_refusal(connection, found.access, scopes, now=now)
        raise _refusal(found)
    try:
        limits.spend(connection, found.consent_id, now=now)
    except limits.QuotaExceeded:
        uses.note_refusal(connection, found, scopes, now=now)
        raise
    if found.effective.opened.isdisjoint(scopes):
        uses.note_refusal(connection, found, scopes, now=now)
        raise _insufficient(found, bearer.insufficient_scope(settings, " ".join(scopes)))
    return found


def _refusal(challenge: Challenge) -> PortalError:
    headers = {"WWW-Authenticate": challenge.header}
    if challenge.error is None:
        return NoToken(headers=headers)
    members = {"error": challenge.error}
    if challenge.error == "invalid_request":
        return MalformedToken(headers=headers, members=members)
    reason = challenge.description or ""
    if reason in WHAT_TO_DO:
        members["reason"] = reason
    return InvalidToken(WHAT_TO_DO.get(reason), headers=headers, members=members, detail=reason)


def _insufficient(access: AccessLookup, challenge: Challenge) -> PortalError:
    needed = challenge.scope or ""
    return InsufficientScope(
        f"The call needs {needed}, which this token does not open: the person did not allow it or may not in their role today, "
        "or the token was asked for less. Ask for it, or ask them to connect again and to allow it.",
        headers={"WWW-Authenticate": challenge.header},
        members={"error": "insufficient_scope", "scope": needed, "scope_of_token": access.effective.scope},
        detail=f"needs {needed}",
    )
