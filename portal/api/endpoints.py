"""The calls of the API. Each looks only inside the business of its token."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Row

from portal.api import directory
from portal.api.parameters import CURSOR, LIMIT, STATUS, TAG, Q
from portal.api.registry import Body, Call, endpoint
from portal.errors import NotFound
from portal.funds import fund, listing, members
from portal.funds.listing import Filters

OBJECT_ID = re.compile(r"[0-9A-Za-z_-]{1,64}")


@endpoint("/funds", scope="funds.summary", query=(STATUS, TAG, Q, LIMIT, CURSOR), answer="FundPage")
def list_funds(call: Call) -> Body:
    """List the funds of the business by name, a page at a time."""
    page = listing.find_page(
        call.connection,
        call.business_id,
        Filters(call.given["status"], call.given["tag"], call.given["q"]),
        limit=call.given["limit"],
        cursor=call.given["cursor"],
        keyring=call.keyring,
    )
    return {"data": page.funds, "next_cursor": page.next_cursor}


@endpoint("/funds/<fund_id>", scope="funds.basic", answer="Fund")
def get_fund(call: Call, fund_id: str) -> Body:
    """Read one fund with its address."""
    found = fund.find(call.connection, call.business_id, _checked(fund_id))
    if found is None:
        raise _no_fund()
    return found


@endpoint("/funds/<fund_id>/members", scope="members.read", answer="Members")
def list_members_of_fund(call: Call, fund_id: str) -> Body:
    """List the members of one fund by name."""
    rows = members.list_of_fund(call.connection, call.business_id, _checked(fund_id))
    if rows is None:
        raise _no_fund()
    return {"data": _named(members.FIELDS, rows)}


@endpoint("/business", scope="business.read", answer="Business")
def get_business(call: Call) -> Body:
    """Read the business that this access is for."""
    row = directory.find_business(call.connection, call.business_id)
    if row is None:
        raise NotFound
    return dict(zip(directory.BUSINESS_FIELDS, row, strict=True))


@endpoint("/business/users", scope="business.read", answer="Users")
def list_users_of_business(call: Call) -> Body:
    """List the users of the business, invited ones included, with what each allowed this application."""
    users = directory.list_users(call.connection, call.business_id, client_id=call.access.client_id, now=call.now)
    return {"data": users}


def _named(fields: tuple[str, ...], rows: Iterable[Row[Any]]) -> list[dict[str, Any]]:
    return [dict(zip(fields, row, strict=True)) for row in rows]


def _checked(object_id: str) -> str:
    """The id, when it could be one; what could not is as unknown as one that never was."""
    if OBJECT_ID.fullmatch(object_id) is None:
        raise _no_fund()
    return object_id


def _no_fund() -> NotFound:
    return NotFound(
        "This business has no such fund. Take ids from the list of funds.", title="No such fund", detail="unknown fund"
    )
