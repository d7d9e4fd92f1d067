"""How a consent stands today, in SQL, from the same facts that the look-up of a token asks.

One that is revoked, expired or outlived by its session has ended. One whose client is disabled or whose person has
left is paused: it opens nothing now, and would again if they came back. Everything else is active.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, case, exists, or_, select

from portal.accounts.models import BrowserSession, User
from portal.businesses.models import Membership
from portal.clients.models import Client
from portal.consents.models import Consent
from portal.db import table_of

ACTIVE, CLIENT_DISABLED, USER_LEFT = "active", "client_disabled", "user_left"
REVOKED, EXPIRED, SIGNED_OUT = "revoked", "expired", "signed_out"
PAUSED = (CLIENT_DISABLED, USER_LEFT)
ENDED = (REVOKED, EXPIRED, SIGNED_OUT)

consent, client, user = table_of(Consent), table_of(Client), table_of(User)
membership, session = table_of(Membership), table_of(BrowserSession)


def source() -> Any:
    """Consents with everything their life depends on, for `state` and `stands`."""
    return (
        consent.join(client, client.c.client_id == consent.c.client_id)
        .join(user, user.c.id == consent.c.user_id)
        .outerjoin(
            membership,
            and_(membership.c.user_id == consent.c.user_id, membership.c.business_id == consent.c.business_id),
        )
        .outerjoin(session, session.c.id == consent.c.session_id)
    )


def session_is_over(now: datetime) -> ColumnElement[bool]:
    """Whether a consent for one session has outlived it."""
    return and_(
        consent.c.session_id.is_not(None),
        or_(
            session.c.id.is_(None),
            session.c.ended_at.is_not(None),
            session.c.idle_expires_at <= now,
            session.c.expires_at <= now,
        ),
    )


def stands(now: datetime) -> ColumnElement[bool]:
    """Neither revoked nor expired nor outlived by its session."""
    return and_(consent.c.revoked_at.is_(None), consent.c.expires_at > now, ~session_is_over(now))


def is_standing(now: datetime) -> ColumnElement[bool]:
    """The same for statements that have no join, such as an UPDATE."""
    lives = exists(
        select(session.c.id).where(
            session.c.id == consent.c.session_id,
            session.c.ended_at.is_(None),
            session.c.idle_expires_at > now,
            session.c.expires_at > now,
        )
    )
    return and_(consent.c.revoked_at.is_(None), consent.c.expires_at > now, or_(consent.c.session_id.is_(None), lives))


def state(now: datetime) -> ColumnElement[str]:
    """A word of ACTIVE, PAUSED or ENDED."""
    left = or_(membership.c.accepted_at.is_(None), membership.c.ended_at.is_not(None), user.c.disabled_at.is_not(None))
    return case(
        (and_(consent.c.revoked_at.is_not(None), consent.c.revoke_reason == "expired"), EXPIRED),
        (consent.c.revoked_at.is_not(None), REVOKED),
        (consent.c.expires_at <= now, EXPIRED),
        (session_is_over(now), SIGNED_OUT),
        (client.c.disabled_at.is_not(None), CLIENT_DISABLED),
        (left, USER_LEFT),
        else_=ACTIVE,
    )
