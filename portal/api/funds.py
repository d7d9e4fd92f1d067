"""The calls on funds: list, read, create, change, and load what their books begin with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Row

from portal.api import members as people
from portal.api.bodies import JsonBody
from portal.api.objects import checked, found, partner
from portal.api.parameters import CURSOR, LIMIT, STATUS, TAG, Q
from portal.api.registry import Answer, Body, Call, WritingCall, endpoint
from portal.errors import NotFound
from portal.funds import changing, documents, fund, listing, reference_data
from portal.funds.listing import Filters
from portal.funds.reference_data import Fault

FUND = "fund"


def _faults_of_new(new: Any) -> Iterator[Fault]:
    for place, detail in reference_data.faults(new.get("reference_data", {})):
        yield ("reference_data", *place), detail


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


@endpoint(
    "/funds", method="POST", scope="funds.create", body=JsonBody("NewFund", "Fund", rules=_faults_of_new), answer="Fund",
    status=201, idempotent=True,
)  # fmt: skip
def create_fund(call: WritingCall) -> Answer:
    """Create a fund in the business, with its reference data when that is sent along."""
    made = fund.create(call.session, call.body, by=partner(call), now=call.now)
    return Answer(body=fund.shown(made), version=made.version, headers={"Location": f"/api/v1/funds/{made.id}"})


@endpoint("/funds/<fund_id>", scope="funds.basic", answer="Fund")
def get_fund(call: Call, fund_id: str) -> Answer:
    """Read one fund with its address."""
    return _answer(found(fund.KIND.read(call.connection, call.business_id, checked(fund_id, FUND)), FUND))


@endpoint("/funds/<fund_id>", method="PATCH", scope="funds.write", body="FundPatch", answer="Fund", conditional=True)
def change_fund(call: WritingCall, fund_id: str) -> Answer:
    """Change some details of a fund."""
    fund_id = checked(fund_id, FUND)
    return _answer(
        found(
            changing.change(call.session, fund.KIND, fund_id, call.body, call.versions or (), by=partner(call), now=call.now),
            FUND,
        )
    )


def _answer(row: Row[Any]) -> Answer:
    return Answer(body=fund.shown(row), version=row.version)


@endpoint("/funds/<fund_id>/full", scope="funds.read", answer="FullFund")
def get_full_fund(call: Call, fund_id: str) -> Body:
    """Read one fund with its members, pension accounts and the list of its documents."""
    row = found(fund.KIND.read(call.connection, call.business_id, checked(fund_id, FUND)), FUND)
    return {
        "fund": fund.shown(row),
        "members": people.members_of_fund(call, fund_id),
        "pension_accounts": people.pension_accounts_of_fund(call, fund_id),
        "documents": documents.list_of_fund(call.connection, call.business_id, fund_id) or [],
    }


@endpoint("/funds/<fund_id>/reference-data", scope="funds.read", answer="ReferenceData")
def get_reference_data(call: Call, fund_id: str) -> Answer:
    """Read the reference data of a fund as it was loaded last."""
    fund_id = checked(fund_id, FUND)
    found(fund.find_name(call.connection, call.business_id, fund_id), FUND)
    row = reference_data.find(call.connection, call.business_id, fund_id)
    if row is None:
        raise NotFound("No reference data has been loaded into this fund.", title="No reference data", detail="none loaded")
    return Answer(body={name: getattr(row, name) for name in reference_data.FIELDS[1:]}, version=row.version)


@endpoint(
    "/funds/<fund_id>/reference-data", method="PUT", scope="funds.create", answer="ReferenceDataLoaded", idempotent=True,
    body=JsonBody("ReferenceData", "ReferenceData", rules=reference_data.faults),
)  # fmt: skip
def load_reference_data(call: WritingCall, fund_id: str) -> Answer:
    """Load chart of accounts, investment codes and opening balances into a fund, in place of what was there."""
    name = found(fund.find_name(call.connection, call.business_id, checked(fund_id, FUND)), FUND)
    version = reference_data.load(call.session, fund_id, name, call.body, call.versions, by=partner(call), now=call.now)
    counts = {listed: len(call.body.get(listed, ())) for listed in reference_data.LISTS}
    return Answer(body={"fund_id": fund_id, "as_at": call.body["as_at"], **counts}, version=version)
