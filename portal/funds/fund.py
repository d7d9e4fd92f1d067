"""One fund, looked for inside a business: another business's fund is as unknown as one that never was."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, insert, select, update
from sqlalchemy.orm import Session

from portal.businesses.models import Business
from portal.db import new_id, table_of
from portal.funds import reference_data, telling
from portal.funds.changing import Kind, stored
from portal.funds.listing import SUMMARY_COLUMNS, SUMMARY_FIELDS, summary
from portal.funds.models import Fund
from portal.funds.telling import Partner

_fund, _business = table_of(Fund), table_of(Business)

FIND: Select[Any] = select(*SUMMARY_COLUMNS, _fund.c.address, _fund.c.version).where(
    _fund.c.id == bindparam("object_id"), _fund.c.business_id == bindparam("business_id")
)
EXISTS = select(_fund.c.name).where(_fund.c.id == bindparam("fund_id"), _fund.c.business_id == bindparam("business_id"))
ADD = insert(_fund)
COUNT_ONE_MORE = update(_business).where(_business.c.id == bindparam("of")).values(fund_count=_business.c.fund_count + 1)
UNSAID: Mapping[str, Any] = {"status": "active", "tags": [], "latest_period_update": None, "address": {}}
"""What a new fund has when nothing else is said."""


def shown(row: Row[Any]) -> dict[str, Any]:
    """The summary of the fund and its `address`."""
    told = summary(row)
    return {**told, "tags": list(told["tags"]), "address": row.address}


KIND = Kind(
    table=_fund,
    find=FIND,
    shown=shown,
    fields=(*SUMMARY_FIELDS[1:], "address"),
    event="data.fund_changed",
    facts=lambda row: {"fund_id": row.id, "fund_name": row.name},
    moment="updated_at",
)


def find_name(connection: Connection, business_id: str, fund_id: str) -> str | None:
    """The name of the fund, or None when this business has no such fund."""
    return connection.execute(EXISTS, {"fund_id": fund_id, "business_id": business_id}).scalar()


def create(session: Session, new: Mapping[str, Any], *, by: Partner, now: datetime) -> Row[Any]:
    """Add a fund to the business, and one to the number of its funds.

    `new` holds the fields of KIND as JSON says them, and maybe the fund's `reference_data`.
    """
    fund_id = new_id()
    said = {**UNSAID, **{name: value for name, value in new.items() if name in KIND.fields}}
    values = {name: stored(_fund.c[name], value) for name, value in said.items()}
    connection = session.connection()
    made = {"id": fund_id, "business_id": by.business_id, "version": 1, "created_at": now, "updated_at": now}
    connection.execute(ADD, {**made, **values})
    connection.execute(COUNT_ONE_MORE, {"of": by.business_id})
    books = new.get("reference_data")
    if books is not None:
        reference_data.store(connection, fund_id, books, now=now)
    telling.tell(
        session,
        by,
        "data.fund_created",
        now=now,
        fund_id=fund_id,
        fund_name=values["name"],
        with_reference_data=books is not None,
    )
    return connection.execute(FIND, {"object_id": fund_id, "business_id": by.business_id}).one()
