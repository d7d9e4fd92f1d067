"""One fund, looked for inside a business: another business's fund is as unknown as one that never was."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, bindparam, select

from portal.db import table_of
from portal.funds.listing import SUMMARY_COLUMNS, summary
from portal.funds.models import Fund

_fund = table_of(Fund)

FIND = select(*SUMMARY_COLUMNS, _fund.c.address).where(
    _fund.c.id == bindparam("fund_id"), _fund.c.business_id == bindparam("business_id")
)


def find(connection: Connection, business_id: str, fund_id: str) -> dict[str, Any] | None:
    """The summary of the fund and its `address`, or None when this business has no such fund."""
    row = connection.execute(FIND, {"fund_id": fund_id, "business_id": business_id}).first()
    return None if row is None else {**summary(row), "address": row.address}
