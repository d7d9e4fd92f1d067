"""What one sees of a business's connections at a glance: how many there are, the last use, and what has ended lately."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from portal.consents import standing
from portal.consents.rows import SOON
from portal.consents.standing import ACTIVE, ENDED, PAUSED

LATELY = timedelta(days=30)

_consent, _client = standing.consent, standing.client


@dataclass(frozen=True)
class Glance:
    """Applications are counted as the access table counts its rows; what has ended is counted as it lists that."""

    active: int
    paused: int
    expiring: int
    ended_lately: int
    last_used_at: datetime | None
    last_used_by: str
    """The name of the application that the last call came from, be its access ended or not; empty when there was no call."""


def of_business(session: Session, business_id: str, *, now: datetime) -> Glance:
    """One statement, with a row for each application and state, however many people and years there are."""
    state = standing.state(now).label("state")
    ended_lately = case((standing.ended_at(now) > now - LATELY, 1), else_=0)
    found = session.execute(
        select(
            _consent.c.client_id,
            state,
            func.max(_client.c.client_name).label("client_name"),
            func.max(_consent.c.expires_at).label("expires_at"),
            func.max(_consent.c.last_accessed_at).label("last_accessed_at"),
            func.sum(ended_lately).label("ended_lately"),
        )
        .select_from(standing.source())
        .where(_consent.c.business_id == business_id)
        .group_by(_consent.c.client_id, state)
    ).all()
    active = {row.client_id: row.expires_at for row in found if row.state == ACTIVE}
    paused = {row.client_id for row in found if row.state in PAUSED} - active.keys()
    used = [row for row in found if row.last_accessed_at is not None]
    last = max(used, key=lambda row: row.last_accessed_at, default=None)
    return Glance(
        active=len(active),
        paused=len(paused),
        expiring=sum(expires_at - now < SOON for expires_at in active.values()),
        ended_lately=sum(row.ended_lately for row in found if row.state in ENDED),
        last_used_at=last.last_accessed_at if last else None,
        last_used_by=last.client_name if last else "",
    )
