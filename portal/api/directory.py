"""The business of a token and the people in it, as the calling application may know them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, select

from portal.accounts.models import User
from portal.businesses import roles
from portal.businesses.models import Business, Membership
from portal.consents import catalogue, standing
from portal.consents.models import Consent
from portal.db import UtcDateTime, table_of

_business, _membership, _user = table_of(Business), table_of(Membership), table_of(User)
_consent = table_of(Consent)

BUSINESS_FIELDS = ("id", "name", "abn", "code")
FIND_BUSINESS = select(*(_business.c[name] for name in BUSINESS_FIELDS)).where(_business.c.id == bindparam("business_id"))

_now: Any = bindparam("now", type_=UtcDateTime())
STANDING_FOR_CLIENT = and_(
    _consent.c.user_id == _membership.c.user_id,
    _consent.c.business_id == _membership.c.business_id,
    _consent.c.client_id == bindparam("client_id"),
    standing.is_standing(_now),
)
LIST_USERS = (
    select(
        _user.c.given_name,
        _user.c.middle_name,
        _user.c.family_name,
        _user.c.email,
        _membership.c.role,
        _membership.c.accepted_at,
        _user.c.disabled_at,
        _consent.c.scope,
    )
    .select_from(_membership.join(_user, _user.c.id == _membership.c.user_id).outerjoin(_consent, STANDING_FOR_CLIENT))
    .where(_membership.c.business_id == bindparam("business_id"), _membership.c.ended_at.is_(None))
    .order_by(_user.c.family_name, _user.c.given_name, _user.c.id)
)


def find_business(connection: Connection, business_id: str) -> Row[Any] | None:
    """The row of BUSINESS_FIELDS."""
    return connection.execute(FIND_BUSINESS, {"business_id": business_id}).first()


def list_users(connection: Connection, business_id: str, *, client_id: str, now: datetime) -> list[dict[str, Any]]:
    """Everyone who is in the business or invited, by name; `scopes_granted` is what each allows this client, never another."""
    rows = connection.execute(LIST_USERS, {"business_id": business_id, "client_id": client_id, "now": now})
    return [
        {
            "given_name": row.given_name,
            "middle_name": row.middle_name,
            "family_name": row.family_name,
            "email": row.email,
            "role": row.role,
            "scopes_granted": _granted(row),
            "invitation_status": "invited" if row.accepted_at is None else "accepted",
        }
        for row in rows
    ]


def _granted(row: Any) -> list[str]:
    """What a consent opens under the person's role of today, and nothing while they cannot act for the business."""
    if row.scope is None or row.accepted_at is None or row.disabled_at is not None:
        return []
    return list(catalogue.effective(row.scope, row.scope, roles.ceiling(row.role)).names)
