"""Reading audit events, the newest first, a page at a time."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.audit.models import AuditEvent


def list_of_business(
    session: Session, business_id: str, kinds: Collection[str], *, before: str | None, limit: int
) -> tuple[Sequence[AuditEvent], str | None]:
    """One page of what happened in a business, and the `before` of the next page or None after the last one.

    Pages go by the events' ids, which are in the order of time: a page is found by the index however far back it is,
    and neither skips nor repeats an event when others come in between.
    """
    query = select(AuditEvent).where(AuditEvent.business_id == business_id, AuditEvent.kind.in_(sorted(kinds)))
    if before:
        query = query.where(AuditEvent.id < before)
    found = session.scalars(query.order_by(AuditEvent.id.desc()).limit(limit + 1)).all()
    return found[:limit], found[limit - 1].id if len(found) > limit else None
