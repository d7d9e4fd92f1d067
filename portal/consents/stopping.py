"""What the operator stops, and lets go on again, told in the history of every business that it concerns.

No consent is touched: each opens nothing while its client or its person is stopped (`standing`), and again afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.accounts import users
from portal.accounts.models import User
from portal.audit import record
from portal.clients import registration
from portal.clients.models import Client
from portal.consents.standing import consent, is_standing, membership


def disable_client(session: Session, client: Client, *, now: datetime) -> bool:
    """Stop a client; False when it was stopped already."""
    return registration.disable(session, client, now=now) and _tell_of_client(session, "client.disabled", client, now=now)


def enable_client(session: Session, client: Client, *, now: datetime) -> bool:
    """Let a client go on; False when it was not stopped."""
    return registration.enable(session, client, now=now) and _tell_of_client(session, "client.enabled", client, now=now)


def disable_user(session: Session, user: User, *, now: datetime) -> bool:
    """Keep a person out from now on; False when they are out already."""
    return users.disable(session, user, now=now) and _tell_of_user(session, "user.disabled", user, now=now)


def enable_user(session: Session, user: User, *, now: datetime) -> bool:
    """Let a person in again; False when they are not disabled."""
    return users.enable(session, user, now=now) and _tell_of_user(session, "user.enabled", user, now=now)


def _tell_of_client(session: Session, kind: str, client: Client, *, now: datetime) -> bool:
    """To the businesses of which it was allowed something that still stands."""
    theirs = select(consent.c.business_id).where(consent.c.client_id == client.client_id, is_standing(now)).distinct()
    businesses: Sequence[str] = session.scalars(theirs).all()
    record.record_for_each(
        session, kind, businesses, now=now, client_id=client.client_id, client_name=client.client_name, publisher=client.publisher
    )
    return True


def _tell_of_user(session: Session, kind: str, user: User, *, now: datetime) -> bool:
    """To the businesses that they act for."""
    is_active = membership.c.accepted_at.is_not(None), membership.c.ended_at.is_(None)
    theirs = select(membership.c.business_id).where(membership.c.user_id == user.id, *is_active)
    businesses: Sequence[str] = session.scalars(theirs).all()
    record.record_for_each(session, kind, businesses, now=now, member_id=user.id, member_name=user.name)
    return True
