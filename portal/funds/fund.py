"""One fund, looked for inside a business: another business's fund is as unknown as one that never was."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, bindparam, select

from portal.db import table_of
from portal.funds.listing import SUMMARY_FIELDS
from portal.funds.models import Fund

_fund = table_of(Fund)

FIELDS = (*SUMMARY_FIELDS, "address")
FIND = select(*(_fund.c[name] for name in FIELDS)).where(
    _fund.c.id == bindparam("fund_id"), _fund.c.business_id == bindparam("business_id")
)


def find(connection: Connection, business_id: str, fund_id: str) -> Row[Any] | None:
    """The row of FIELDS, or None when this business has no such fund."""
    return connection.execute(FIND, {"fund_id": fund_id, "business_id": business_id}).first()
