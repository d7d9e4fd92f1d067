"""What a client may know and do about what was allowed to it: read one consent, and give it back for good.

For machine endpoints: Core statements on a connection that commits each by itself.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, func, or_, select, update

from portal.audit import record
from portal.businesses.models import Business
from portal.consents import ending, standing
from portal.consents.standing import client, consent, user
from portal.db import table_of
from portal.statements import ClaimAndInsert

BY_THE_CLIENT = "client"
"""The `revoke_reason` of what the client gave back; nobody can take that back but by a new consent."""

_business = table_of(Business)
_stands = and_(consent.c.revoked_at.is_(None), consent.c.expires_at > bindparam("now"))
_could_be_undone = and_(consent.c.revoke_reason == ending.BY_A_PERSON, consent.c.revoked_at > bindparam("undoable_since"))
_END = (
    update(consent)
    .where(consent.c.id == bindparam("presented"), consent.c.client_id == bindparam("owner"), or_(_stands, _could_be_undone))
    .values(
        revoked_at=func.coalesce(consent.c.revoked_at, bindparam("now", type_=consent.c.revoked_at.type)),
        revoke_reason=BY_THE_CLIENT,
        revoked_by_user_id=None,
    )
)
END = ClaimAndInsert(_END, record.ROW)


def find(connection: Connection, client_id: str, consent_id: str, *, now: datetime) -> Row[Any] | None:
    """The client's own consent, standing or ended, with its `state` as a word of `standing`; None for a stranger's and for none."""
    if not consent_id.isascii() or not consent_id.isprintable():
        return None  # PostgreSQL takes no NUL
    query = (
        select(
            consent,
            standing.state(now).label("state"),
            standing.ended_at(now).label("ended_at"),
            _business.c.name.label("business_name"),
        )
        .add_columns(client.c.client_name, user.c.given_name, user.c.middle_name, user.c.family_name)
        .select_from(standing.source().join(_business, _business.c.id == consent.c.business_id))
        .where(consent.c.id == consent_id, consent.c.client_id == client_id)
    )
    return connection.execute(query).first()


def end(connection: Connection, found: Row[Any], *, now: datetime, window: timedelta) -> bool:
    """End a consent that `find` returned, and say so in the audit trail: one write. False when it had ended before.

    One that a person ended less than `window` ago counts as standing: what is given back, no Undo gives out again.
    """
    names = (found.given_name, found.middle_name, found.family_name)
    event = record.row(
        "consent.revoked", now=now, business_id=found.business_id, client_id=found.client_id, consent_id=found.id,
        client_name=found.client_name, business_name=found.business_name, scopes=found.scope.split(), role=found.role,
        granted_by_name=" ".join(name for name in names if name),
    )  # fmt: skip
    return END.execute(
        connection, {"presented": found.id, "owner": found.client_id, "now": now, "undoable_since": now - window}, event
    )
