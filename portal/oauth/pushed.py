"""Pushed authorization requests (RFC 9126): a client leaves its request here first, and sends the browser with a reference.

The request passes the same checks as at the authorization endpoint, so what is parked was right when it came. Only
the digest of the reference is stored, and it is spent by the one authorization request that brings it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from authlib.oauth2.rfc6749 import InvalidRequestError
from sqlalchemy import Connection, bindparam, insert, update
from sqlalchemy.orm import Session

from portal import crypto
from portal.audit import record
from portal.config import Settings
from portal.db import table_of
from portal.oauth import request as requests
from portal.oauth.models import PushedRequest

REQUEST_URI = "urn:ietf:params:oauth:request_uri:"

_pushed = table_of(PushedRequest)
STORE = insert(_pushed).values({name: bindparam(name) for name in ("digest", "client_id", "parameters", "expires_at")})
CLAIM = (
    update(_pushed)
    .where(
        _pushed.c.digest == bindparam("presented"),
        _pushed.c.client_id == bindparam("owner"),
        _pushed.c.used_at.is_(None),
        _pushed.c.expires_at > bindparam("now"),
    )
    .values(used_at=bindparam("now"))
    .returning(_pushed.c.parameters)
)


def push(connection: Connection, settings: Settings, *, client_id: str, body: bytes, now: datetime) -> dict[str, Any]:
    """Check and park the request in this form body, for the client that has authenticated: the answer of RFC 9126 §2.2.

    `body` is the raw one, so that `state` survives byte for byte. Raises OAuth2Error, and then nothing is stored.
    """
    try:
        pairs = requests.read_query(body)
    except ValueError:
        raise InvalidRequestError("There are too many parameters.") from None
    parameters, repeated = requests.single(pairs)
    if "request_uri" in parameters:
        raise InvalidRequestError("A pushed request holds no request_uri.")  # RFC 9126 §2.1
    if parameters.setdefault("client_id", client_id) != client_id:
        raise InvalidRequestError("The client_id in the body is not the one that authenticates.")
    client = connection.execute(requests.FIND_CLIENT, {"client_id": client_id}).first()
    reference = crypto.new_secret(crypto.PUSHED_REQUEST)
    row = {
        "digest": crypto.digest(REQUEST_URI + reference),
        "client_id": client_id,
        "parameters": _checked(client, parameters, repeated),
        "expires_at": now + timedelta(seconds=settings.pushed_request_seconds),
    }
    connection.execute(STORE, row)
    return {"request_uri": REQUEST_URI + reference, "expires_in": settings.pushed_request_seconds}


def _checked(client: Any, parameters: dict[str, str], repeated: set[str]) -> dict[str, str]:
    """The parameters ready for storing. What would be a page or a redirect in the browser is a JSON error here (§2.3)."""
    try:
        return requests.check(client, parameters, repeated).parameters
    except requests.PageError as error:
        raise InvalidRequestError(f"The request cannot be trusted: {error.detail}.") from None
    except requests.Refusal as refusal:
        raise refusal.error from None


def is_pushed(request_uri: str | None) -> bool:
    """Whether this looks like a reference that this endpoint gave out; every other request_uri is not supported."""
    return request_uri is not None and request_uri.startswith(REQUEST_URI)


def claim(connection: Connection | Session, request_uri: str, client_id: str, now: datetime) -> dict[str, str] | None:
    """Spend a reference.

    Returns the parameters as `request.read_query` would have read them, ready for `request.check(client, parameters,
    set())`; `client_id` is among them, `request_uri` is not. None for a reference that is unknown, spent, expired or
    another client's, which stays unspent. In a session it is part of the transaction, on a connection of `db.reader()`
    it is committed at once; either way of many at once one gets the parameters (RFC 9126 §4).
    """
    if not is_pushed(request_uri) or not client_id.isprintable():
        return None  # PostgreSQL takes no NUL
    values = {"presented": crypto.digest(request_uri), "owner": client_id, "now": now}
    parked = connection.execute(CLAIM, values).scalar()
    return None if parked is None else requests.unpark(parked)


def note_replay(session: Session, request_uri: str, client_id: str, now: datetime) -> bool:
    """Tell that a spent reference was presented again, once for each; for what `claim` refused. True when it is told now."""
    if not client_id.isprintable():
        return False
    replay = (
        update(_pushed)
        .where(
            _pushed.c.digest == crypto.digest(request_uri),
            _pushed.c.client_id == client_id,
            _pushed.c.used_at.is_not(None),
            _pushed.c.replayed_at.is_(None),
        )
        .values(replayed_at=now)
        .returning(_pushed.c.digest)
    )
    if session.execute(replay).one_or_none() is None:
        return False
    record.record(session, "pushed_request.replay_refused", now=now, client_id=client_id)
    return True
