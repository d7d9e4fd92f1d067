from __future__ import annotations

import hashlib

import pytest
from sqlalchemy import select
from werkzeug.test import TestResponse

from portal.audit.models import AuditEvent
from portal.funds.models import Document
from portal.funds.storage import LARGEST_BYTES, Folder
from tests.api.conftest import Send, SendRaw
from tests.api.world import Grant, World
from tests.support import files


def body(*parts: bytes, end: bytes = b"--x--\r\n") -> bytes:
    return b"".join(b"--x\r\n" + part + b"\r\n" for part in parts) + end


def part(name: str, content: bytes, file_name: str | None = None) -> bytes:
    held = f'form-data; name="{name}"' + (f'; filename="{file_name}"' if file_name else "")
    return f"Content-Disposition: {held}\r\nContent-Type: application/pdf\r\n\r\n".encode() + content


FILE, TYPE = part("file", files.PDF, "return.pdf"), part("type", b"minutes")


def kept(store: Folder, world: World) -> set[bytes]:
    return {content.address.sha256 for content in store.contents() if content.address.business_id == world.business_id}


def rows(world: World) -> list[Document]:
    with world.session() as session:
        found = (
            select(Document)
            .join(Document.__table__.metadata.tables["funds"])
            .where(Document.__table__.metadata.tables["funds"].c.business_id == world.business_id)
        )
        return list(session.scalars(found))


def assert_nothing_is_left(store: Folder, world: World) -> None:
    assert kept(store, world) == set() and rows(world) == []
    assert not store.incoming.exists() or list(store.incoming.iterdir()) == []


def kind_of(answer: TestResponse) -> str:
    return str(answer.json["type"]).rpartition("/")[2]


def faults(answer: TestResponse) -> dict[str, str]:
    assert (answer.status_code, answer.content_type) == (422, "application/problem+json"), answer.text
    return {fault["pointer"]: fault["detail"] for fault in answer.json["errors"]}


# one that is good


def test_a_document_is_stored_told_and_found_everywhere(world: World, send: Send, grant: Grant, fund_id: str) -> None:
    answer = send(name="Annual return 2026", period_start="2025-07-01", period_end="2026-06-30", tags=["lodged", "audited"])
    assert answer.status_code == 201
    told = answer.json
    assert answer.headers["Location"] == f"/api/v1/documents/{told['id']}"
    assert told == {
        "id": told["id"], "fund_id": fund_id, "name": "Annual return 2026", "type": "annual_return", "period_start": "2025-07-01",
        "period_end": "2026-06-30", "tags": ["lodged", "audited"], "media_type": "application/pdf", "size": len(files.PDF),
        "sha256": hashlib.sha256(files.PDF).hexdigest(), "uploaded_at": told["uploaded_at"],
    }  # fmt: skip
    assert "T" in told["uploaded_at"] and told["uploaded_at"].endswith("+00:00")
    assert world.call(f"/documents/{told['id']}", grant.token).json == told
    assert world.call(f"/funds/{fund_id}/documents", grant.token).json == {"data": [told], "next_cursor": None}
    assert world.call(f"/funds/{fund_id}/full", grant.token).json["documents"] == [told]
    assert world.call(f"/documents/{told['id']}/content", grant.token).data == files.PDF
    [row] = rows(world)
    assert (row.uploaded_by_user_id, row.client_id, row.consent_id) == (grant.user_id, grant.client_id, grant.consent_id)


def test_the_history_of_the_business_tells_of_it(world: World, send: Send, grant: Grant) -> None:
    told = send(name="Minutes of July", type="minutes").json
    with world.session() as session:
        event = session.scalars(select(AuditEvent).where(AuditEvent.business_id == world.business_id)).one()
    assert event.kind == "data.document_added" and event.consent_id == grant.consent_id
    assert event.detail["document_id"] == told["id"] and event.detail["document_name"] == "Minutes of July"
    assert event.detail["client_name"] == "Ledgerly" and event.detail["fund_name"] == "Ashby Super Fund"


def test_without_a_name_and_with_empty_fields_it_has_the_name_of_the_file(send: Send) -> None:
    told = send(file_name="../returns/Annual return.pdf", name="", period_start="", period_end="", tags="").json
    assert told["name"] == "Annual return.pdf"
    assert told["period_start"] is None and told["period_end"] is None and told["tags"] == []


@pytest.mark.parametrize(
    ("content", "file_name", "media_type", "found"),
    [
        (files.CSV, "transactions.csv", "text/csv", "text/csv"),
        (files.TEXT, "minutes.txt", None, "text/plain"),
        (
            files.XLSX,
            "book.xlsx",
            "application/octet-stream",
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        ),
        (files.PNG, "scan.png", "image/png", "image/png"),
        (files.XML, "return.xml", "text/xml; charset=utf-8", "application/xml"),
    ],
)
def test_other_kinds_are_taken_as_what_they_are(
    send: Send, content: bytes, file_name: str, media_type: str | None, found: str
) -> None:
    assert send(content=content, file_name=file_name, media_type=media_type).json["media_type"] == found


def test_the_largest_document_is_taken_though_other_bodies_end_at_a_megabyte(
    world: World, send_raw: SendRaw, store: Folder
) -> None:
    content = files.PDF + bytes(LARGEST_BYTES - len(files.PDF))
    answer = send_raw(body(TYPE, part("file", content, "return.pdf")))
    assert (answer.status_code, answer.json["size"]) == (201, LARGEST_BYTES)
    assert kept(store, world) == {hashlib.sha256(content).digest()}
    assert list(store.incoming.iterdir()) == []


# the same again


def test_the_same_content_again_is_a_conflict_that_names_the_document(world: World, send: Send, store: Folder) -> None:
    first = send().json
    again = send(name="Another name")
    assert again.status_code == 409
    assert again.json["document_id"] == first["id"] and kind_of(again) == "document-exists"
    assert len(rows(world)) == 1 and list(store.incoming.iterdir()) == []


def test_the_same_content_in_another_fund_is_another_document(world: World, send: Send) -> None:
    (other,) = world.add_funds("Birch Super Fund")
    assert send().json["id"] != send(to=other).json["id"]


def test_the_same_key_gets_the_same_answer_whatever_the_boundary_is(world: World, send: Send) -> None:
    key = {"Idempotency-Key": "upload-1"}
    first, again = send(headers=key), send(headers=key)
    assert (again.status_code, again.json) == (201, first.json)
    assert again.headers["Location"] == first.headers["Location"]
    for other in ({"content": files.pdf("other")}, {"name": "Other"}, {"type": "minutes"}, {"period_end": "2026-06-30"}):
        refused = send(headers=key, **other)
        assert (refused.status_code, kind_of(refused)) == (422, "idempotency-key-reused")
    assert len(rows(world)) == 1


def test_a_key_is_good_again_after_a_refusal(send: Send) -> None:
    key = {"Idempotency-Key": "upload-2"}
    assert send(headers=key, content=b"not a PDF").status_code == 415
    assert send(headers=key).status_code == 201
