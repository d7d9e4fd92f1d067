"""The members of a fund, and of all funds of a business."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, bindparam, select

from portal.db import table_of
from portal.funds.changing import Kind
from portal.funds.models import Fund, Member
from portal.funds.paging import Pages, rows_of_fund

_fund, _member = table_of(Fund), table_of(Member)

FIELDS = ("id", "fund_id", "given_name", "family_name", "date_of_birth", "joined_on", "phase", "balance")
COLUMNS = (*(_member.c[name] for name in FIELDS), _member.c.version)
LIST_OF_FUND = (
    select(*COLUMNS)
    .select_from(_fund.outerjoin(_member, _member.c.fund_id == _fund.c.id))
    .where(_fund.c.id == bindparam("fund_id"), _fund.c.business_id == bindparam("business_id"))
    .order_by(_member.c.family_name, _member.c.given_name, _member.c.id)
)
PAGES = Pages(select(*COLUMNS), _member)


def list_of_fund(connection: Connection, business_id: str, fund_id: str) -> list[Row[Any]] | None:
    """Rows of COLUMNS by name, in one statement; None when this business has no such fund."""
    return rows_of_fund(connection, LIST_OF_FUND, {"fund_id": fund_id, "business_id": business_id})


def shown(row: Row[Any]) -> dict[str, Any]:
    """A row that begins with FIELDS, by field."""
    return dict(zip(FIELDS, row, strict=False))


KIND = Kind(
    table=_member,
    find=select(*COLUMNS, _fund.c.name.label("fund_name"))
    .join_from(_member, _fund, _fund.c.id == _member.c.fund_id)
    .where(_member.c.id == bindparam("object_id"), _member.c.business_id == bindparam("business_id")),
    shown=shown,
    fields=FIELDS[2:],
    event="data.member_changed",
    facts=lambda row: {
        "fund_id": row.fund_id,
        "fund_name": row.fund_name,
        "fund_member_name": f"{row.given_name} {row.family_name}",
    },
)
