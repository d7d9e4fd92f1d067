"""ID tokens (OIDC Core §2): who signed in, how, and for which client; signed with the algorithm the client registered."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from joserfc import jwt
from joserfc.jwk import Key

LEVEL_1 = "urn:portal:loa:1"
LEVEL_2 = "urn:portal:loa:2"
LEVELS = (LEVEL_1, LEVEL_2)

HASH_OF = {"ES256": hashlib.sha256, "RS256": hashlib.sha256, "EdDSA": hashlib.sha512}


def acr(amr: Sequence[str]) -> str:
    """Level 2 when a second factor was performed in this session, else level 1; never more than was done."""
    return LEVEL_2 if "mfa" in amr else LEVEL_1


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
        "acr": acr(row.amr),
        "email": row.email,
        "email_verified": row.email_verified_at is not None,
    }
    if row.nonce is not None:
        claims["nonce"] = row.nonce
    header = {"alg": algorithm, "typ": "JWT", "kid": key.kid}
    return jwt.encode(header, claims, key, algorithms=[algorithm])
