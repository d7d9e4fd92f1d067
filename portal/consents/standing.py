"""How a consent stands today, in SQL, from the same facts that the look-up of a token asks.

One that is revoked, expired or outlived by its session has ended. One whose client is disabled or whose person has
left is paused: it opens nothing now, and would again if they came back. Everything else is active.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, case, exists, func, or_, select

from portal.accounts.models import BrowserSession, User
from portal.businesses.models import Membership
from portal.clients.models import Client
from portal.consents.models import Consent
from portal.db import table_of

ACTIVE, CLIENT_DISABLED, USER_LEFT = "active", "client_disabled", "user_left"
REVOKED, EXPIRED, SIGNED_OUT = "revoked", "expired", "signed_out"
PAUSED = (CLIENT_DISABLED, USER_LEFT)
ENDED = (REVOKED, EXPIRED, SIGNED_OUT)
BY_ITSELF = (EXPIRED, SIGNED_OUT)
"""How a consent ends that nobody ends; also the `revoke_reason` of one of which that is recorded (`lapsing`)."""

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
    lives = or_(consent.c.session_id.is_(None), _session_lives(now))
    return and_(consent.c.revoked_at.is_(None), consent.c.expires_at > now, lives)


def has_run_out(now: datetime) -> ColumnElement[bool]:
    """Whether a consent has ended by itself and that is not recorded yet; for statements that have no join.

    Each side of the `or` has an index of its own, of the few consents that nobody has ended.
    """
    outlived = and_(consent.c.session_id.is_not(None), ~_session_lives(now))
    return and_(consent.c.revoked_at.is_(None), or_(consent.c.expires_at <= now, outlived))


def _session_lives(now: datetime) -> ColumnElement[bool]:
    return exists(
        select(session.c.id).where(
            session.c.id == consent.c.session_id,
            session.c.ended_at.is_(None),
            session.c.idle_expires_at > now,
            session.c.expires_at > now,
        )
    )


def ended_at(now: datetime) -> ColumnElement[datetime]:
    """When a consent whose state is one of ENDED did."""
    return case(
        (consent.c.revoked_at.is_not(None), consent.c.revoked_at),
        (session_is_over(now), end_of(session)),
        else_=consent.c.expires_at,
    )


def end_of(session: Any) -> ColumnElement[datetime]:
    """When a session ended or is going to, by whatever comes first."""
    by_a_person = and_(session.c.ended_at <= session.c.idle_expires_at, session.c.ended_at <= session.c.expires_at)
    return case(
        (by_a_person, session.c.ended_at),
        (session.c.idle_expires_at < session.c.expires_at, session.c.idle_expires_at),
        else_=session.c.expires_at,
    )


def state(now: datetime) -> ColumnElement[str]:
    """A word of ACTIVE, PAUSED or ENDED."""
    left = or_(membership.c.accepted_at.is_(None), membership.c.ended_at.is_not(None), user.c.disabled_at.is_not(None))
    reason = func.coalesce(consent.c.revoke_reason, "")
    return case(
        (and_(consent.c.revoked_at.is_not(None), reason.not_in(BY_ITSELF)), REVOKED),
        (or_(reason == EXPIRED, consent.c.expires_at <= now), EXPIRED),
        (or_(reason == SIGNED_OUT, session_is_over(now)), SIGNED_OUT),
        (client.c.disabled_at.is_not(None), CLIENT_DISABLED),
        (left, USER_LEFT),
        else_=ACTIVE,
    )
