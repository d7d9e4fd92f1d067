"""Claims about the person (OIDC Core §5.3, §5.4): what the scopes of the token open, and nothing else."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask import Request, Response
from sqlalchemy import Connection

from portal.config import Settings
from portal.oauth import bearer, tokens, uses
from portal.oauth.tokens import AccessLookup

USED = ("profile", "openid")
"""What an answer is counted as the use of: the first that the token opens."""


def find(connection: Connection, request: Request, settings: Settings, *, now: datetime) -> AccessLookup | Response:
    """The live token of this request with the person's columns, or the answer that refuses it."""
    found = bearer.find(connection, request, settings, now=now, statement=tokens.FIND_USERINFO)
    if isinstance(found, bearer.Challenge):
        uses.note_refusal(connection, found.access, USED, now=now)
        return found.as_oauth()
    if "openid" not in found.effective.opened:
        uses.note_refusal(connection, found, ("openid",), now=now)
        return bearer.insufficient_scope(settings, "openid").as_oauth()
    uses.note(connection, found, USED, now=now)
    return found


def claims(found: AccessLookup) -> dict[str, Any]:
    """`sub` and the confirmed email for `openid`; with `profile` the name, address, time zone, role and business."""
    row = found.row
    told: dict[str, Any] = {"sub": row.user_id, "email": row.email, "email_verified": row.email_verified_at is not None}
    if "profile" in found.effective.opened:
        names = (row.given_name, row.middle_name, row.family_name)
        told |= {
            "name": " ".join(name for name in names if name),
            "given_name": row.given_name,
            "middle_name": row.middle_name,
            "family_name": row.family_name,
            "address": _address(row.address),
            "zoneinfo": row.zoneinfo,
            "role": row.role,
            "business_id": row.business_id,
            "business_name": row.business_name,
        }
    return {name: value for name, value in told.items() if value is not None}


def _address(address: dict[str, str] | None) -> dict[str, str] | None:
    """OIDC Core §5.1.1, with the whole address as people write it on an envelope."""
    if not address:
        return None
    line = " ".join(address[part] for part in ("locality", "region", "postal_code") if address.get(part))
    lines = [address.get("street_address"), line, address.get("country")]
    return {**address, "formatted": "\n".join(text for text in lines if text)}
