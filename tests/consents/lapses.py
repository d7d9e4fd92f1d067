"""What the tests of consents that end by themselves share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal import Portal
from portal.audit.models import AuditEvent
from portal.consents import lapsing
from portal.consents.models import Consent
from tests.support.cast import ALICE, Person
from tests.support.signin import Cast

Transaction = Callable[[], AbstractContextManager[Session]]


def events(transaction: Transaction, *kinds: str) -> Sequence[AuditEvent]:
    """Of these kinds, or of every end that came by itself, in the order of the trail."""
    wanted = kinds or tuple(lapsing.EVENTS.values())
    with transaction() as session:
        return session.scalars(select(AuditEvent).where(AuditEvent.kind.in_(wanted)).order_by(AuditEvent.id)).all()


def for_session(cast: Cast, session_id: str, person: Person = ALICE, **facts: Any) -> Consent:
    return cast.add_consent(person, duration="session", session_id=session_id, **facts)


def record_all(app: Portal, now: datetime) -> int:
    """What had run out by then is recorded, as soon as that is done."""
    return lapsing.record_all(app.extensions["portal-database"].pages, now=now + lapsing.WAIT)
