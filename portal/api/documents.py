"""The calls on documents: list them, read what is known of one, download it, and add one to a fund."""

from __future__ import annotations

from typing import Any

from flask import Response, current_app, request

from portal.api import contents
from portal.api.objects import checked, found, partner
from portal.api.parameters import CURSOR, LIMIT
from portal.api.registry import Answer, Body, Call, WritingCall, endpoint
from portal.api.uploads import DocumentForm
from portal.funds import documents, fund

FUND, DOCUMENT = "fund", "document"
VERSION = 1
"""A document stays as it was added."""


@endpoint("/funds/<fund_id>/documents", scope="funds.read", query=(LIMIT, CURSOR), answer="DocumentPage")
def list_documents_of_fund(call: Call, fund_id: str) -> Body:
    """List the documents of one fund, the newest first, a page at a time."""
    page = documents.find_page(
        call.connection, call.business_id, checked(fund_id, FUND), limit=call.given["limit"], cursor=call.given["cursor"],
        keyring=call.keyring,
    )  # fmt: skip
    return {"data": found(page, FUND).documents, "next_cursor": found(page, FUND).next_cursor}


@endpoint(
    "/funds/<fund_id>/documents", method="POST", scope="funds.write", body=DocumentForm(), answer="Document", status=201,
    idempotent=True, refuses=(documents.AlreadyThere,),
)  # fmt: skip
def add_document(call: WritingCall, fund_id: str) -> Answer:
    """Load a document into a fund; a document that the fund has already is refused, and named."""
    name = found(fund.find_name(call.connection, call.business_id, checked(fund_id, FUND)), FUND)
    made = documents.add(
        call.session, current_app.extensions["portal-documents"], fund_id, name, call.body.new, call.body.upload,
        by=partner(call), user_id=call.access.user_id, now=call.now,
    )  # fmt: skip
    return Answer(body=made, version=VERSION, headers={"Location": f"/api/v1/documents/{made['id']}"})


@endpoint("/documents/<document_id>", scope="funds.read", answer="Document")
def get_document(call: Call, document_id: str) -> Answer:
    """Read what is known of one document."""
    return Answer(body=_found(call, document_id), version=VERSION)


@endpoint("/documents/<document_id>/content", scope="funds.read", answer=None, refuses=contents.REFUSES)
def get_content_of_document(call: Call, document_id: str) -> Response:
    """Download one document, whole or in part."""
    return contents.answer(_found(call, document_id), call.business_id, current_app.extensions["portal-documents"], request)


def _found(call: Call, document_id: str) -> dict[str, Any]:
    return found(documents.find(call.connection, call.business_id, checked(document_id, DOCUMENT)), DOCUMENT)
