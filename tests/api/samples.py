"""One good call for every line of the table of calls, so that a test can go through all of them."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from typing import Any

from werkzeug.test import TestResponse

from portal.api.registry import Endpoint
from portal.api.uploads import DocumentForm
from tests.api.world import ABN, ADDRESS, World
from tests.support import files

REFERENCE_DATA = {
    "as_at": "2026-07-01",
    "chart_of_accounts": [
        {"code": "604", "name": "Cash at bank", "type": "asset"},
        {"code": "747", "name": "Shares in listed companies", "type": "asset"},
        {"code": "501", "name": "Member balances", "type": "equity"},
    ],
    "investment_codes": [{"code": "BHP.AX", "name": "BHP Group"}],
    "opening_balances": [
        {"account_code": "604", "amount": "1000.10"},
        {"account_code": "747", "investment_code": "BHP.AX", "amount": "200.20"},
        {"account_code": "501", "amount": "-1200.30"},
    ],
}
NEW_FUND = {
    "code": "THOR01",
    "name": "Thornbury Super Fund",
    "legal_entity_type": "Small APRA fund",
    "abn": ABN,
    "tags": ["new client"],
    "address": ADDRESS,
    "reference_data": REFERENCE_DATA,
}
BODIES: dict[str, Any] = {
    "create_fund": NEW_FUND,
    "load_reference_data": REFERENCE_DATA,
    "change_fund": {"status": "winding_up", "address": {"locality": "Bathurst", "country": None}},
    "change_member": {"given_name": "Zara", "balance": "1.00"},
    "change_pension_account": {"balance": "2.50"},
}


@dataclass(frozen=True)
class Things:
    """A fund with a member, a pension account, a document and reference data; `ids` are by their names in paths."""

    ids: dict[str, str]


def add_things(world: World, business_id: str | None = None) -> Things:
    [fund_id] = world.add_funds("Bluegum Super Fund", business_id=business_id)
    member_id = world.add_member(fund_id, "Zoe", business_id=business_id)
    account_id = world.add_pension_account(member_id, business_id=business_id)
    world.add_reference_data(fund_id)
    document_id = world.add_document(fund_id, files.pdf("the document that is there"), business_id=business_id)
    return Things({"fund_id": fund_id, "member_id": member_id, "account_id": account_id, "document_id": document_id})


def form(
    content: bytes = files.PDF, file_name: str = "return.pdf", media_type: str | None = "application/pdf", **fields: Any
) -> dict[str, Any]:
    """What the test client sends as multipart/form-data."""
    return {"file": (io.BytesIO(content), file_name, media_type), "type": "annual_return", **fields}


def path_of(line: Endpoint, things: Things) -> str:
    return re.sub(r"<(\w+)>", lambda name: things.ids[name[1]], line.path)


def headers_of(line: Endpoint, things: Things) -> dict[str, str]:
    return {"If-Match": '"1"'} if line.conditional else {}


def send(world: World, line: Endpoint, token: str | None, things: Things, headers: dict[str, str] | None = None) -> TestResponse:
    """The good call of this line."""
    body: dict[str, Any] = {"json": BODIES[line.name]} if line.name in BODIES else {}
    if isinstance(line.body, DocumentForm):
        body = {"data": form()}
    sent = headers_of(line, things) if headers is None else headers
    return world.call(path_of(line, things), token, method=line.method, headers=sent, **body)
