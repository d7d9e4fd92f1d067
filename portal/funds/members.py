"""The members of a fund."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, bindparam, select

from portal.db import table_of
from portal.funds.models import Fund, Member

_fund, _member = table_of(Fund), table_of(Member)

FIELDS = ("id", "given_name", "family_name", "date_of_birth", "joined_on", "phase", "balance")
LIST_OF_FUND = (
    select(*(_member.c[name] for name in FIELDS))
    .select_from(_fund.outerjoin(_member, _member.c.fund_id == _fund.c.id))
    .where(_fund.c.id == bindparam("fund_id"), _fund.c.business_id == bindparam("business_id"))
    .order_by(_member.c.family_name, _member.c.given_name, _member.c.id)
)


def list_of_fund(connection: Connection, business_id: str, fund_id: str) -> list[Row[Any]] | None:
    """Rows of FIELDS by name, in one statement; None when this business has no such fund."""
    rows = connection.execute(LIST_OF_FUND, {"fund_id": fund_id, "business_id": business_id}).all()
    if not rows:
        return None
    return [row for row in rows if row.id is not None]
