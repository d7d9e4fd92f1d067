"""ID tokens (OIDC Core §2): who signed in, how, and for which client; signed with the algorithm the client registered."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import Key
from sqlalchemy import Connection
from sqlalchemy.orm import Session

from portal.oauth import keys

LEVEL_1 = "urn:portal:loa:1"
LEVEL_2 = "urn:portal:loa:2"
LEVELS = (LEVEL_1, LEVEL_2)

HASH_OF = {"ES256": hashlib.sha256, "RS256": hashlib.sha256, "EdDSA": hashlib.sha512}


def acr(amr: Sequence[str], essential: Collection[str] = ()) -> str:
    """Level 2 when a second factor was performed in this session, else level 1; never more than was done.

    Where the client named `essential` levels, the highest of those that was reached (OIDC Core §5.5.1.1): who passed two
    factors has passed one. One of them was reached, or there would be no code.
    """
    reached = LEVELS if "mfa" in amr else LEVELS[:1]
    return next(level for level in reversed(reached) if not essential or level in essential)


def at_hash(access_token: str, algorithm: str) -> str:
    """The left half of the access token's hash, base64url (OIDC Core §3.1.3.6)."""
    digest = HASH_OF[algorithm](access_token.encode()).digest()
    return base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()


def sign(row: Any, *, key: Key, algorithm: str, issuer: str, access_token: str, seconds: int, now: datetime) -> str:
    """The signed ID token for a redeemed authorization; `row` holds its columns with the person's `email`."""
    issued = int(now.timestamp())
    claims: dict[str, Any] = {
        "iss": issuer,
        "sub": row.user_id,
        "aud": row.client_id,
        "azp": row.client_id,
        "iat": issued,
        "exp": issued + seconds,
        "auth_time": int(row.auth_time.timestamp()),
        "at_hash": at_hash(access_token, algorithm),
        "sid": row.browser_session_id,
        "amr": list(row.amr),
        "acr": row.acr or acr(row.amr),
        "email": row.email,
        "email_verified": row.email_verified_at is not None,
    }
    if row.nonce is not None:
        claims["nonce"] = row.nonce
    header = {"alg": algorithm, "typ": "JWT", "kid": key.kid}
    return jwt.encode(header, claims, key, registry=keys.OurAlgorithms(algorithms=[algorithm]))


def read_hint(connection: Connection | Session, issuer: str, token: str) -> dict[str, Any] | None:
    """The claims of an ID token that we signed.

    It may have expired, and its key may have been retired since: it only hints at who was meant (OIDC Core §3.1.2.1,
    RP-Initiated Logout §2). `sub`, `aud` and `sid` are texts. None for everything else; which client may use it
    (`aud`) is for the caller to check.
    """
    kid = _key_id(token)
    signed_by = keys.find(connection, kid) if kid is not None else None
    if signed_by is None:
        return None
    try:
        algorithms = keys.OurAlgorithms(algorithms=[signed_by.algorithm])
        claims = jwt.decode(token, keys.import_key(signed_by.public_jwk), registry=algorithms).claims
    except (JoseError, ValueError, TypeError, RecursionError):
        return None
    is_ours = claims.get("iss") == issuer and all(isinstance(claims.get(name), str) for name in ("sub", "aud", "sid"))
    return claims if is_ours else None


def _key_id(token: str) -> str | None:
    """The `kid` of a JWT's header, which says no more than which key to check it with."""
    try:
        encoded = token.encode("ascii").partition(b".")[0]
        header = json.loads(base64.urlsafe_b64decode(encoded + b"=" * (-len(encoded) % 4)))
    except (ValueError, RecursionError):
        return None
    kid = header.get("kid") if isinstance(header, dict) else None
    return kid if isinstance(kid, str) and kid.isascii() and kid.isprintable() else None
