"""The calls on members and their pension accounts: lists of a fund and of the business, one of them, and its change."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row

from portal.api.answers import etag_of_version
from portal.api.objects import checked, found, partner
from portal.api.parameters import CURSOR, LIMIT
from portal.api.registry import Answer, Body, Call, WritingCall, endpoint
from portal.funds import changing, members, pension_accounts
from portal.funds.changing import Kind
from portal.funds.paging import Pages

FUND, MEMBER, PENSION_ACCOUNT = "fund", "member", "pension account"


@endpoint("/funds/<fund_id>/members", scope="members.read", answer="Members")
def list_members_of_fund(call: Call, fund_id: str) -> Body:
    """List the members of one fund by name."""
    return {"data": members_of_fund(call, checked(fund_id, FUND))}


@endpoint("/funds/<fund_id>/pension-accounts", scope="members.read", answer="PensionAccounts")
def list_pension_accounts_of_fund(call: Call, fund_id: str) -> Body:
    """List the pension accounts of one fund, the oldest first."""
    return {"data": pension_accounts_of_fund(call, checked(fund_id, FUND))}


@endpoint("/members", scope="members.read", query=(LIMIT, CURSOR), answer="MemberPage")
def list_members(call: Call) -> Body:
    """List the members of all funds of the business in the order in which they were added, a page at a time."""
    return _page(call, members.PAGES, members.KIND)


@endpoint("/members/<member_id>", scope="members.read", answer="Member")
def get_member(call: Call, member_id: str) -> Answer:
    """Read one member."""
    return _one(call, members.KIND, member_id, MEMBER)


@endpoint("/members/<member_id>", method="PATCH", scope="funds.write", body="MemberPatch", answer="Member", conditional=True)
def change_member(call: WritingCall, member_id: str) -> Answer:
    """Change some details of a member."""
    return _changed(call, members.KIND, member_id, MEMBER)


@endpoint("/pension-accounts", scope="members.read", query=(LIMIT, CURSOR), answer="PensionAccountPage")
def list_pension_accounts(call: Call) -> Body:
    """List the pension accounts of all funds of the business in the order in which they were added, a page at a time."""
    return _page(call, pension_accounts.PAGES, pension_accounts.KIND)


@endpoint("/pension-accounts/<account_id>", scope="members.read", answer="PensionAccount")
def get_pension_account(call: Call, account_id: str) -> Answer:
    """Read one pension account."""
    return _one(call, pension_accounts.KIND, account_id, PENSION_ACCOUNT)


@endpoint(
    "/pension-accounts/<account_id>", method="PATCH", scope="funds.write", body="PensionAccountPatch", answer="PensionAccount",
    conditional=True,
)  # fmt: skip
def change_pension_account(call: WritingCall, account_id: str) -> Answer:
    """Change some details of a pension account."""
    return _changed(call, pension_accounts.KIND, account_id, PENSION_ACCOUNT)


def members_of_fund(call: Call, fund_id: str) -> list[dict[str, Any]]:
    rows = found(members.list_of_fund(call.connection, call.business_id, fund_id), FUND)
    return [_shown(members.KIND, row) for row in rows]


def pension_accounts_of_fund(call: Call, fund_id: str) -> list[dict[str, Any]]:
    rows = found(pension_accounts.list_of_fund(call.connection, call.business_id, fund_id), FUND)
    return [_shown(pension_accounts.KIND, row) for row in rows]


def _page(call: Call, pages: Pages, kind: Kind) -> Body:
    page = pages.find(
        call.connection, call.business_id, limit=call.given["limit"], cursor=call.given["cursor"], keyring=call.keyring
    )
    return {"data": [_shown(kind, row) for row in page.rows], "next_cursor": page.next_cursor}


def _one(call: Call, kind: Kind, object_id: str, word: str) -> Answer:
    return _answer(kind, found(kind.read(call.connection, call.business_id, checked(object_id, word)), word))


def _changed(call: WritingCall, kind: Kind, object_id: str, word: str) -> Answer:
    object_id = checked(object_id, word)
    row = changing.change(call.session, kind, object_id, call.body, call.versions or (), by=partner(call), now=call.now)
    return _answer(kind, found(row, word))


def _answer(kind: Kind, row: Row[Any]) -> Answer:
    return Answer(body=_shown(kind, row), version=row.version)


def _shown(kind: Kind, row: Row[Any]) -> dict[str, Any]:
    return {**kind.shown(row), "etag": etag_of_version(row.version)}
