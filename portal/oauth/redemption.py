"""How tokens come to be: a code is redeemed once, a refresh token rotates, and whoever is second gets nothing new.

Each is one read with everything the answer depends on, the rules in Python, and one conditional write that stores the
tokens and claims what they were given for, together. Losing the claim means reading again.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from authlib.oauth2.rfc6749 import InvalidGrantError, InvalidRequestError, InvalidScopeError
from sqlalchemy import Connection, bindparam, insert, update

from portal import crypto
from portal.accounts.models import User
from portal.audit import record
from portal.clients.models import Client
from portal.config import Settings
from portal.consents import catalogue
from portal.crypto import Keyring
from portal.db import table_of
from portal.oauth import tokens
from portal.oauth.client_authentication import AUTHENTICATION_COLUMNS
from portal.oauth.models import AccessToken, Authorization, RefreshToken
from portal.statements import ClaimAndInsert, Prepared

NOT_OFFLINE = "Access while the person is not signed in is not allowed any more."
CODE_VERIFIER = re.compile(r"[A-Za-z0-9\-._~]{43,128}")

_authorization, _access, _refresh = table_of(Authorization), table_of(AccessToken), table_of(RefreshToken)
_user, _client = table_of(User), table_of(Client)
ACCESS_ROW = (_access, ("digest", "authorization_id", "scope", "issued_at", "expires_at"))
REFRESH_ROW = (_refresh, ("digest", "authorization_id", "issued_at"))

FIND_CODE = Prepared(
    tokens.standing(
        _authorization.c.redirect_uri,
        _authorization.c.code_challenge,
        _authorization.c.nonce,
        _authorization.c.auth_time,
        _authorization.c.amr,
        _authorization.c.acr,
        _authorization.c.browser_session_id,
        _authorization.c.code_expires_at,
        _authorization.c.code_used_at,
        _user.c.email,
        _user.c.email_verified_at,
        _client.c.client_name,
        tokens.BUSINESS_NAME,
        *AUTHENTICATION_COLUMNS,
    ).where(_authorization.c.code_digest == bindparam("digest"))
)

_claim_code = (
    update(_authorization)
    .where(_authorization.c.code_digest == bindparam("presented"), _authorization.c.code_used_at.is_(None))
    .values(code_used_at=bindparam("now"))
)
CLAIM_CODE = ClaimAndInsert(_claim_code, ACCESS_ROW)
CLAIM_CODE_OFFLINE = ClaimAndInsert(_claim_code, ACCESS_ROW, REFRESH_ROW)
ROTATE = ClaimAndInsert(
    update(_refresh)
    .where(_refresh.c.digest == bindparam("presented"), _refresh.c.used_at.is_(None))
    .values(used_at=bindparam("now")),
    ACCESS_ROW,
    REFRESH_ROW,
)
STORE_ACCESS = Prepared(insert(_access).values({name: bindparam(f"a_{name}") for name in ACCESS_ROW[1]}))
END_AUTHORIZATION = ClaimAndInsert(
    update(_authorization)
    .where(_authorization.c.id == bindparam("presented"), _authorization.c.ended_at.is_(None))
    .values(ended_at=bindparam("now"), end_reason=bindparam("reason")),
    record.ROW,
)


@dataclass(frozen=True)
class Issued:
    """Tokens that were stored, in the clear for the one answer that carries them."""

    row: Any
    access_token: str
    refresh_token: str | None
    scope: str
    expires_in: int

    @property
    def response(self) -> dict[str, Any]:
        """The token response (RFC 6749 §5.1) with the members of the business and the consent."""
        body: dict[str, Any] = {
            "access_token": self.access_token,
            "token_type": "Bearer",
            "expires_in": self.expires_in,
            "scope": self.scope,
            "business_id": self.row.business_id,
            "business_name": self.row.business_name,
            "consent_id": self.row.consent_id,
            "consent_expires_at": int(self.row.consent_expires_at.timestamp()),
        }
        if self.refresh_token is not None:
            body["refresh_token"] = self.refresh_token
        return body


def find_code(connection: Connection, form: Mapping[str, str]) -> Any:
    """The authorization behind the code of a token request, with all its life depends on and its client; None for none."""
    code = form.get("code")
    return FIND_CODE.first(connection, digest=crypto.digest(code)) if code else None


def find_refresh(connection: Connection, form: Mapping[str, str]) -> Any:
    """The same for the refresh token."""
    presented = form.get("refresh_token")
    return tokens.FIND_REFRESH.first(connection, digest=crypto.digest(presented)) if presented else None


def redeem_code(
    connection: Connection, settings: Settings, row: Any, *, client_id: str, form: Mapping[str, str], now: datetime
) -> Issued:
    """Exchange a code for tokens (RFC 6749 §4.1.3, RFC 7636 §4.6). `row` is from `find_code`. Raises OAuth2Error; then nothing is spent.

    A code presented again ends everything it produced (RFC 6749 §4.1.2), whoever was first.
    """
    code = required(form, "code")
    verifier, redirect_uri = required(form, "code_verifier"), required(form, "redirect_uri")
    if row is None or row.client_id != client_id:
        raise InvalidGrantError("The code is not known.")
    if row.code_used_at is not None:
        end_authorization(connection, row, reason="code_replay", kind="code.replay_refused", now=now)
        raise InvalidGrantError("The code was used before.")
    if row.code_expires_at <= now:
        raise InvalidGrantError("The code has expired.")
    if row.redirect_uri != redirect_uri:
        raise InvalidGrantError("The redirect_uri is not the one of the authorization request.")
    if not verifier_matches(verifier, row.code_challenge):
        raise InvalidGrantError("The code_verifier does not match the code_challenge.")
    check_stands(row, now=now)
    issued = prepare(row, None, settings, refresh=crypto.new_secret(crypto.REFRESH_TOKEN), now=now)
    claim = {"presented": crypto.digest(code), "now": now}
    rows = token_rows(issued, None, now=now)
    statement = CLAIM_CODE if issued.refresh_token is None else CLAIM_CODE_OFFLINE
    if not statement.execute(connection, claim, *rows):
        end_authorization(connection, row, reason="code_replay", kind="code.replay_refused", now=now)
        raise InvalidGrantError("The code was used before.")
    return issued


def rotate(
    connection: Connection,
    settings: Settings,
    keyring: Keyring,
    row: Any,
    *,
    client_id: str,
    form: Mapping[str, str],
    now: datetime,
) -> Issued:
    """Exchange a refresh token for its successor (RFC 6749 §6, RFC 9700 §4.14.2). `row` is from `find_refresh`. Raises OAuth2Error.

    A spent token returns the same successor for `refresh_grace_seconds`, since an answer may be lost on its way; after
    that it is a stolen one, and its whole line ends.
    """
    presented = required(form, "refresh_token")
    if row is None or row.client_id != client_id:
        raise InvalidGrantError("The refresh token is not known.")
    check_stands(row, now=now)
    grace = timedelta(seconds=settings.refresh_grace_seconds)
    if row.used_at is not None and now - row.used_at > grace:
        end_authorization(connection, row, reason="reuse", kind="token.reuse_refused", now=now)
        raise InvalidGrantError("The refresh token was used before, so everything that came from it has ended.")
    narrowed = narrower(form.get("scope"), tokens.effective(row))
    issued = prepare(row, narrowed, settings, refresh=keyring.successor(presented), now=now)
    if issued.refresh_token is None:
        raise InvalidGrantError(NOT_OFFLINE)
    rows = token_rows(issued, narrowed, now=now)
    claim = {"presented": crypto.digest(presented), "now": now}
    if row.used_at is not None or not ROTATE.execute(connection, claim, *rows):
        STORE_ACCESS.run(connection, **{f"a_{name}": value for name, value in rows[0].items()})
    return issued


def check_stands(row: Any, *, now: datetime) -> None:
    """Raises InvalidGrantError with the reason when the consent, client, membership or session has ended."""
    reason = tokens.ended_reason(row, now=now)
    if reason is not None:
        raise InvalidGrantError(reason)


def required(form: Mapping[str, str], name: str) -> str:
    value = form.get(name)
    if not value:
        raise InvalidRequestError(f"The parameter {name} is missing.")
    return value


def verifier_matches(verifier: str, challenge: str) -> bool:
    """BASE64URL(SHA256(verifier)) is the challenge (RFC 7636 §4.6)."""
    if not CODE_VERIFIER.fullmatch(verifier):
        return False
    digest = hashlib.sha256(verifier.encode()).digest()
    return crypto.same(base64.urlsafe_b64encode(digest).rstrip(b"="), challenge.encode())


def narrower(scope: str | None, allowed: catalogue.Effective) -> str | None:
    """The narrower scope a refresh asks for, in catalogue order; None for all. Raises InvalidScopeError when it is wider."""
    if scope is None:
        return None
    wanted = scope.split(" ")
    if not scope or not set(wanted) <= allowed.opened:
        raise InvalidScopeError("The scope is wider than what was allowed.")
    return " ".join(catalogue.in_order(wanted))


def prepare(row: Any, narrowed: str | None, settings: Settings, *, refresh: str, now: datetime) -> Issued:
    """The tokens an authorization earns now; nothing is stored yet. No offline_access, no refresh token.

    Where offline_access was given once and is not any more, there is no session either for an access token to die with.
    """
    allowed = tokens.effective(row, narrowed)
    if not allowed.names:
        raise InvalidScopeError("Nothing of what was allowed may be given under the current role of the person.")
    offline = catalogue.OFFLINE_ACCESS in tokens.effective(row).opened
    if not offline and row.session_id is None:
        raise InvalidGrantError(NOT_OFFLINE)
    seconds = settings.access_token_seconds if offline else settings.online_access_token_seconds
    seconds = min(seconds, int((row.consent_expires_at - now).total_seconds()))
    access = crypto.new_secret(crypto.ACCESS_TOKEN)
    return Issued(row, access, refresh if offline else None, allowed.scope, seconds)


def token_rows(issued: Issued, narrowed: str | None, *, now: datetime) -> list[dict[str, Any]]:
    """What is stored for these tokens: digests only."""
    authorization_id = issued.row.authorization_id
    rows: list[dict[str, Any]] = [
        {
            "digest": crypto.digest(issued.access_token),
            "authorization_id": authorization_id,
            "scope": narrowed,
            "issued_at": now,
            "expires_at": now + timedelta(seconds=issued.expires_in),
        }
    ]
    if issued.refresh_token is not None:
        rows.append({"digest": crypto.digest(issued.refresh_token), "authorization_id": authorization_id, "issued_at": now})
    return rows


def end_authorization(connection: Connection, row: Any, *, reason: str, kind: str, now: datetime) -> bool:
    """End every token of a line, and say so in the audit trail; one write. False when it had ended before."""
    event = record.row(
        kind, now=now, business_id=row.business_id, client_id=row.client_id, consent_id=row.consent_id,
        client_name=row.client_name, business_name=row.business_name, owner_id=row.user_id,
    )  # fmt: skip
    return END_AUTHORIZATION.execute(connection, {"presented": row.authorization_id, "now": now, "reason": reason}, event)
