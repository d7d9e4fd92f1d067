"""What a fund's books begin with: chart of accounts, investment codes and opening balances, taken as a whole or not at all."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from portal.db import table_of
from portal.errors import PreconditionFailed
from portal.funds import telling
from portal.funds.models import Fund, ReferenceData
from portal.funds.telling import Partner

ACCOUNT_TYPES = ("asset", "liability", "equity", "income", "expense")
LISTS = ("chart_of_accounts", "investment_codes", "opening_balances")

_fund, _data = table_of(Fund), table_of(ReferenceData)

FIELDS = ("fund_id", "as_at", *LISTS)
FIND: Select[Any] = (
    select(*(_data.c[name] for name in FIELDS), _data.c.version)
    .join_from(_data, _fund, _fund.c.id == _data.c.fund_id)
    .where(_fund.c.id == bindparam("fund_id"), _fund.c.business_id == bindparam("business_id"))
)


def _load_of(dialect: Any) -> Any:
    new = dialect.insert(_data).values({name: bindparam(name) for name in (*FIELDS, "loaded_at")} | {"version": 1})
    replaced = {name: new.excluded[name] for name in ("as_at", *LISTS, "loaded_at")}
    return new.on_conflict_do_update(
        index_elements=[_data.c.fund_id], set_={**replaced, "version": _data.c.version + 1}
    ).returning(_data.c.version)


REPLACE = (
    update(_data)
    .where(_data.c.fund_id == bindparam("fund"), _data.c.version.in_(bindparam("versions", expanding=True)))
    .values({name: bindparam(name) for name in ("as_at", *LISTS, "loaded_at")} | {"version": _data.c.version + 1})
    .returning(_data.c.version)
)
LOAD = {"postgresql": _load_of(postgresql), "sqlite": _load_of(sqlite)}

Fault = tuple[tuple[str | int, ...], str]


def faults(data: Mapping[str, Any]) -> Iterator[Fault]:
    """What does not go together in data that fits its schema: where, and what is wrong there."""
    for name in LISTS[:2]:
        codes = [line["code"] for line in data.get(name, ())]
        yield from (((name, place, "code"), "is the code of another line too") for place in _repeated(codes))
    balances = data.get("opening_balances", [])
    for part, name in (("account_code", LISTS[0]), ("investment_code", LISTS[1])):
        known = {line["code"] for line in data.get(name, ())}
        for place, line in enumerate(balances):
            if part in line and line[part] not in known:
                yield ("opening_balances", place, part), f"is not a code of {name}"
    keys = [(line["account_code"], line.get("investment_code")) for line in balances]
    yield from ((("opening_balances", place), "is a second balance of the same account") for place in _repeated(keys))
    total = sum((Decimal(line["amount"]) for line in balances), Decimal(0))
    if total:
        yield ("opening_balances",), f"must balance: debits and credits differ by {total}"


def _repeated(keys: list[Any]) -> list[int]:
    seen: set[Any] = set()
    places = []
    for place, key in enumerate(keys):
        if key in seen:
            places.append(place)
        seen.add(key)
    return places


def load(
    session: Session,
    fund_id: str,
    fund_name: str,
    data: Mapping[str, Any],
    versions: Collection[int] | None,
    *,
    by: Partner,
    now: datetime,
) -> int:
    """Store the data of a fund of the business, and tell the business. Returns its version, counted up by each load.

    Raises PreconditionFailed when what is there is in none of `versions`; with None it may be anything, or nothing.
    """
    version = store(session.connection(), fund_id, data, versions, now=now)
    telling.tell(session, by, "data.reference_data_loaded", now=now, fund_id=fund_id, fund_name=fund_name)
    return version


def store(
    connection: Connection, fund_id: str, data: Mapping[str, Any], versions: Collection[int] | None = None, *, now: datetime
) -> int:
    """Put the data in place of what was there, or only in place of one of `versions`. Returns its version."""
    values = {"fund_id": fund_id, "as_at": date.fromisoformat(data["as_at"]), "loaded_at": now}
    values |= {name: list(data.get(name, ())) for name in LISTS}
    if versions is None:
        return connection.execute(LOAD[connection.dialect.name], values).scalar_one()  # type: ignore[no-any-return]
    version = connection.execute(REPLACE, {**values, "fund": fund_id, "versions": list(versions)}).scalar()
    if version is None:
        raise PreconditionFailed
    return version  # type: ignore[no-any-return]


def find(connection: Connection, business_id: str, fund_id: str) -> Row[Any] | None:
    """The row of FIELDS and `version`, or None when the fund has none or this business has no such fund."""
    return connection.execute(FIND, {"fund_id": fund_id, "business_id": business_id}).first()
