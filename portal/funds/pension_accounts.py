"""The pensions paid to members, of one fund and of all funds of a business."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, select

from portal.db import table_of
from portal.funds.changing import Kind
from portal.funds.models import Fund, Member, PensionAccount
from portal.funds.paging import Pages, rows_of_fund

_fund, _member, _account = table_of(Fund), table_of(Member), table_of(PensionAccount)

FIELDS = ("id", "fund_id", "member_id", "kind", "started_on", "balance")
COLUMNS = (
    _account.c.id, _member.c.fund_id, _account.c.member_id, _account.c.kind, _account.c.started_on, _account.c.balance,
    _account.c.version,
)  # fmt: skip
_of_member = _account.join(_member, _member.c.id == _account.c.member_id)

LIST_OF_FUND: Select[Any] = (
    select(*COLUMNS)
    .select_from(_fund.outerjoin(_of_member, _member.c.fund_id == _fund.c.id))
    .where(_fund.c.id == bindparam("fund_id"), _fund.c.business_id == bindparam("business_id"))
    .order_by(_account.c.id)
)
PAGES = Pages(select(*COLUMNS).select_from(_of_member), _account)


def list_of_fund(connection: Connection, business_id: str, fund_id: str) -> list[Row[Any]] | None:
    """Rows of COLUMNS in the order in which they were made, in one statement; None when this business has no such fund."""
    return rows_of_fund(connection, LIST_OF_FUND, {"fund_id": fund_id, "business_id": business_id})


def shown(row: Row[Any]) -> dict[str, Any]:
    """A row that begins with FIELDS, by field."""
    return dict(zip(FIELDS, row, strict=False))


KIND = Kind(
    table=_account,
    find=select(*COLUMNS, _member.c.given_name, _member.c.family_name, _fund.c.name.label("fund_name"))
    .select_from(_of_member.join(_fund, _fund.c.id == _member.c.fund_id))
    .where(_account.c.id == bindparam("object_id"), _account.c.business_id == bindparam("business_id")),
    shown=shown,
    fields=FIELDS[3:],
    event="data.pension_account_changed",
    facts=lambda row: {
        "fund_id": row.fund_id,
        "fund_name": row.fund_name,
        "fund_member_name": f"{row.given_name} {row.family_name}",
    },
)
