"""Who is calling the token endpoint? Exactly one authentication, by exactly the method the client registered.

RFC 6749 §2.3, RFC 7523 §3 (private_key_jwt), OIDC Core §9. Every failure is the same `invalid_client`, whether the client
is unknown, disabled, or presented the wrong secret.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from urllib.parse import unquote_plus

from authlib.oauth2.rfc6749 import InvalidClientError, InvalidRequestError
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, KeySetSerialization
from sqlalchemy import Connection, bindparam, insert, select, update
from sqlalchemy.exc import IntegrityError

from portal import crypto
from portal.audit import record
from portal.clients.models import AssertionId, Client
from portal.db import table_of
from portal.oauth import keys
from portal.statements import ClaimAndInsert, Prepared

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_ALGORITHMS = ["ES256", "RS256", "PS256", "EdDSA"]
ASSERTION_MAX_AGE = timedelta(minutes=10)
CLOCK_SKEW_SECONDS = 30

_clients, _assertions = table_of(Client), table_of(AssertionId)
AUTHENTICATION_COLUMNS = (
    _clients.c.token_endpoint_auth_method,
    _clients.c.secret_digest,
    _clients.c.previous_secret_digest,
    _clients.c.previous_secret_expires_at,
    _clients.c.jwks,
    _clients.c.is_resource_server,
    _clients.c.id_token_signed_response_alg,
    _clients.c.disabled_at,
)
"""What authentication asks of a client. The look-ups of codes and refresh tokens bring it along, so that the owner of one
is not looked up again."""
FIND_CLIENT = Prepared(
    select(_clients.c.client_id, *AUTHENTICATION_COLUMNS).where(_clients.c.client_id == bindparam("client_id"))
)

NOTE_REPLAY = ClaimAndInsert(
    update(_assertions)
    .where(_assertions.c.digest == bindparam("presented"), _assertions.c.replayed_at.is_(None))
    .values(replayed_at=bindparam("now")),
    record.ROW,
)


@dataclass(frozen=True)
class Presented:
    """What a request says of its client: the one method it uses, with its credential."""

    method: str
    client_id: str
    credential: str | None = None


def authenticate(
    connection: Connection,
    authorization: str | None,
    form: Mapping[str, str],
    *,
    audiences: frozenset[str],
    now: datetime,
    owner: Any = None,
) -> Any:
    """The client row of this request. Raises InvalidClientError (401) or InvalidRequestError for two authentications.

    `owner` is the row of what the request is about, if that was looked up already: it holds AUTHENTICATION_COLUMNS of
    the client it belongs to, and counts only for that client.
    """
    presented = read(authorization, form)
    is_owner = owner is not None and owner.client_id == presented.client_id
    client = owner if is_owner else FIND_CLIENT.first(connection, client_id=presented.client_id)
    if client is None or client.disabled_at is not None or client.token_endpoint_auth_method != presented.method:
        raise refused()
    if presented.method in ("client_secret_basic", "client_secret_post"):
        if not secret_matches(client, presented.credential or "", now=now):
            raise refused()
    elif presented.method == "private_key_jwt":
        check_assertion(connection, client, presented.credential or "", audiences=audiences, now=now)
    return client


def authenticate_by_header(connection: Connection, authorization: str | None, *, now: datetime) -> Any:
    """The same where a request has no form: by Basic alone. Raises InvalidClientError."""
    if authorization is None:
        raise refused()
    return authenticate(connection, authorization, {}, audiences=frozenset(), now=now)


def method_of(connection: Connection, client_id: str) -> str | None:
    """The one method that a client registered."""
    client = FIND_CLIENT.first(connection, client_id=client_id)
    return None if client is None else client.token_endpoint_auth_method


def refused() -> InvalidClientError:
    return InvalidClientError("Client authentication failed.", status_code=401)


def read(authorization: str | None, form: Mapping[str, str]) -> Presented:
    """What the request presents. More than one authentication is invalid_request (RFC 6749 §2.3)."""
    in_body, assertion = form.get("client_secret"), form.get("client_assertion")
    if (authorization is not None) + (in_body is not None) + (assertion is not None) > 1:
        raise InvalidRequestError("Use one way of client authentication, not several.")
    if authorization is not None:
        presented = _read_basic(authorization)
        if form.get("client_id") not in (None, presented.client_id):
            raise InvalidRequestError("The client_id in the body is not the one that authenticates.")
        return presented
    if assertion is not None:
        return _read_assertion(form, assertion)
    client_id = form.get("client_id", "")
    if in_body is not None:
        return Presented("client_secret_post", client_id, in_body)
    return Presented("none", client_id)


def _read_basic(header: str) -> Presented:
    """RFC 6749 §2.3.1: id and secret are form-encoded before they are joined and base64-encoded."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        raise refused()
    try:
        decoded = base64.b64decode(encoded.strip(), validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        raise refused() from None
    client_id, colon, secret = decoded.partition(":")
    if not colon:
        raise refused()
    return Presented("client_secret_basic", _text(unquote_plus(client_id)), unquote_plus(secret))


def _text(value: str) -> str:
    """What any database takes: no NUL, no half of a surrogate pair, which JSON can hold."""
    return value.replace("\x00", "").encode("utf-8", "replace").decode()[:200]


def _read_assertion(form: Mapping[str, str], assertion: str) -> Presented:
    if form.get("client_assertion_type") != ASSERTION_TYPE:
        raise InvalidRequestError(f"client_assertion_type must be {ASSERTION_TYPE}.")
    client_id = form.get("client_id") or _unverified_subject(assertion)
    return Presented("private_key_jwt", _text(client_id), assertion)


def _unverified_subject(assertion: str) -> str:
    """Whose keys to check the assertion with; `check_assertion` then holds the claim to that client."""
    parts = assertion.split(".")
    if len(parts) != 3:
        raise refused()
    try:
        padded = parts[1] + "=" * (-len(parts[1]) % 4)
        claims = _json_object(base64.urlsafe_b64decode(padded))
    except (binascii.Error, ValueError, RecursionError):
        raise refused() from None
    subject = claims.get("sub")
    if not isinstance(subject, str):
        raise refused()
    return subject


def _json_object(raw: bytes) -> dict[str, Any]:
    """A JSON object from bytes. Raises ValueError for anything else."""
    value = json.loads(raw)
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    return value


def secret_matches(client: Any, secret: str, *, now: datetime) -> bool:
    """The current secret, or the previous one while it overlaps."""
    presented = crypto.digest(secret)
    if client.secret_digest is not None and crypto.same(presented, client.secret_digest):
        return True
    previous = client.previous_secret_digest
    overlaps = previous is not None and (client.previous_secret_expires_at or now) > now
    return overlaps and crypto.same(presented, previous)


def check_assertion(connection: Connection, client: Any, assertion: str, *, audiences: frozenset[str], now: datetime) -> None:
    """RFC 7523 §3: iss and sub are the client, aud is us, exp is near, and the jti was never seen before."""
    try:
        token = jwt.decode(
            assertion,
            KeySet.import_key_set(cast(KeySetSerialization, client.jwks or {"keys": []})),
            registry=keys.OurAlgorithms(algorithms=ASSERTION_ALGORITHMS),
        )
    except (JoseError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise refused() from None
    claims = token.claims
    audience = claims.get("aud")
    named = audience if isinstance(audience, list) else [audience]
    expires, jti = claims.get("exp"), claims.get("jti")
    is_for_us = any(isinstance(name, str) and name in audiences for name in named)
    if claims.get("iss") != client.client_id or claims.get("sub") != client.client_id or not is_for_us:
        raise refused()
    if isinstance(expires, bool) or not isinstance(expires, int | float) or not isinstance(jti, str) or not jti:
        raise refused()
    if not now.timestamp() - CLOCK_SKEW_SECONDS <= expires <= (now + ASSERTION_MAX_AGE).timestamp():
        raise refused()  # NaN, which JSON as Python reads it can hold, is in no range
    not_before = claims.get("nbf")
    if isinstance(not_before, int | float) and not_before > now.timestamp() + CLOCK_SKEW_SECONDS:
        raise refused()
    _claim_jti(connection, client.client_id, jti, datetime.fromtimestamp(expires + CLOCK_SKEW_SECONDS, UTC), now=now)


def _claim_jti(connection: Connection, client_id: str, jti: str, expires_at: datetime, *, now: datetime) -> None:
    """Claimed by insertion: the primary key lets one of many through. That a second one came is told once."""
    digest = crypto.digest(f"{client_id}\n{jti}")
    try:
        connection.execute(insert(_assertions).values(digest=digest, expires_at=expires_at))
    except IntegrityError:
        event = record.row("assertion.replay_refused", now=now, business_id=None, client_id=client_id, consent_id=None)
        NOTE_REPLAY.execute(connection, {"presented": digest, "now": now}, event)
        raise refused() from None
