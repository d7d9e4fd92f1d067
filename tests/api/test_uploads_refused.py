from __future__ import annotations

import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from portal.audit.models import AuditEvent
from portal.funds.storage import LARGEST_BYTES, Folder
from tests.api.conftest import Send, SendRaw
from tests.api.test_uploads import FILE, TYPE, assert_nothing_is_left, body, faults, kind_of, part
from tests.api.world import Grant, World
from tests.support import files

MEGABYTE = 1024 * 1024


# what is refused


@pytest.mark.parametrize(
    ("parts", "pointer", "word"),
    [
        ({"type": ""}, "#/type", "one of"),
        ({"type": "love_letter"}, "#/type", "one of"),
        ({"period_start": "1 July"}, "#/period_start", "day that there is"),
        ({"period_end": "2026-02-30"}, "#/period_end", "day that there is"),
        ({"period_start": "2026-07-01", "period_end": "2026-06-30"}, "#/period_end", "before"),
        ({"tags": ["same", "same"]}, "#/tags", "same twice"),
        ({"tags": [str(number) for number in range(21)]}, "#/tags", "at most 20"),
        ({"tags": ["x" * 65]}, "#/tags/0", "at most 64"),
        ({"type": ["minutes", "other"]}, "#/type", "once"),
        ({"colour": "red"}, "#/colour", "not known"),
        ({"name": "a" * 300}, "#/name", "at most 200"),
        ({"name": "../../etc/passwd"}, "#/name", "not a path"),
        ({"name": "a\\b"}, "#/name", "not a path"),
        ({"name": ".."}, "#/name", "not a path"),
        ({"name": "return\x00.pdf"}, "#/name", "control characters"),
        ({"name": "return\r\nSet-Cookie: x=1"}, "#/name", "control characters"),
        ({"name": "return\u202efdp.exe"}, "#/name", "control characters"),
        ({"name": "return\u200f"}, "#/name", "direction"),
        ({"file_name": "return\u202e.pdf"}, "#/name", "control characters"),
        ({"file_name": "a" * 300 + ".pdf"}, "#/name", "at most 200"),
        ({"content": b""}, "#/file", "empty"),
    ],
)
def test_a_fault_is_named_and_nothing_is_stored(
    world: World, send: Send, store: Folder, parts: dict[str, Any], pointer: str, word: str
) -> None:
    found = faults(send(**parts))
    assert pointer in found and word in found[pointer], found
    assert_nothing_is_left(store, world)


def test_all_faults_are_told_at_once(send: Send) -> None:
    assert set(faults(send(type="none", period_start="x", tags=["", "a" * 65]))) == {"#/type", "#/period_start", "#/tags/0"}


@pytest.mark.parametrize(
    "parts",
    [
        {"content": b"MZ\x90\x00 a program"},
        {"content": b"<html>a page</html>"},
        {"content": files.PNG},
        {"content": b"<script>alert(1)</script>", "media_type": "text/html", "file_name": "page.html"},
        {"content": files.PDF, "media_type": "application/pdf", "file_name": "return.xlsx"},
        {"media_type": "application/octet-stream", "file_name": "return"},
        {"media_type": "nonsense"},
    ],
)
def test_a_kind_that_is_not_taken_or_not_true_is_refused(world: World, send: Send, store: Folder, parts: dict[str, Any]) -> None:
    answer = send(**parts)
    assert (answer.status_code, kind_of(answer)) == (415, "document-kind")
    assert "PDF" in answer.json["detail"]
    assert_nothing_is_left(store, world)


def test_one_byte_too_many_is_refused(world: World, send_raw: SendRaw, store: Folder) -> None:
    answer = send_raw(body(TYPE, part("file", files.PDF + bytes(LARGEST_BYTES - len(files.PDF) + 1), "return.pdf")))
    assert answer.status_code == 413 and "25 MB" in answer.json["detail"]
    assert_nothing_is_left(store, world)


@pytest.mark.parametrize(
    ("raw", "content_type", "status"),
    [
        (body(FILE, TYPE), "multipart/form-data; boundary=x", 201),
        (b"", "multipart/form-data; boundary=x", 422),
        (body(FILE, TYPE), "multipart/form-data", 400),
        (body(FILE, TYPE), "multipart/form-data; boundary=y", 400),
        (body(FILE, TYPE), "multipart/form-data; boundary=\xe9", 400),
        (body(FILE, TYPE, end=b""), "multipart/form-data; boundary=x", 400),
        (body(FILE)[:-40], "multipart/form-data; boundary=x", 400),
        (body(TYPE), "multipart/form-data; boundary=x", 422),
        (body(TYPE, part("file", files.PDF)), "multipart/form-data; boundary=x", 422),
        (body(TYPE, part("files", files.PDF, "return.pdf")), "multipart/form-data; boundary=x", 422),
        (body(FILE, FILE, TYPE), "multipart/form-data; boundary=x", 422),
        (body(FILE, part("other", b"x", "other.pdf"), TYPE), "multipart/form-data; boundary=x", 422),
        (body(FILE, part("type", b"x" * 20_000)), "multipart/form-data; boundary=x", 422),
        (body(FILE, part("type", b"x" * 300_000)), "multipart/form-data; boundary=x", 413),
        (body(FILE, *[part("tags", b"x")] * 100), "multipart/form-data; boundary=x", 413),
        (body(part("type", b"\xff\xfe"), FILE), "multipart/form-data; boundary=x", 422),
        (body(TYPE, part("name", b"caf\xe9"), FILE), "multipart/form-data; boundary=x", 422),
        (b'{"file": "x"}', "application/json", 415),
        (b"file=x", "application/x-www-form-urlencoded", 415),
        (files.PDF, "application/pdf", 415),
        (files.PDF, "", 415),
    ],
)
def test_a_body_is_one_form_with_one_file_or_is_refused(
    world: World, send_raw: SendRaw, store: Folder, raw: bytes, content_type: str, status: int
) -> None:
    answer = send_raw(raw, content_type)
    assert answer.status_code == status, answer.text
    if status != 201:
        assert answer.content_type == "application/problem+json"
        assert_nothing_is_left(store, world)


# strangers


def test_a_fund_of_another_business_takes_nothing_and_the_body_is_not_even_read(
    world: World, send: Send, grant: Grant, store: Folder
) -> None:
    (foreign,) = world.add_funds("Cedar Super Fund", business_id=world.add_business())
    answers = [send(to=to) for to in (foreign, "no-such-fund", "%00", "x" * 100)]
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.text.replace(answer.json["instance"], "") for answer in answers}) == 1
    assert_nothing_is_left(store, world)


def test_what_another_business_holds_is_not_told_by_a_duplicate(world: World, send: Send) -> None:
    stranger = world.add_business()
    (foreign,) = world.add_funds("Cedar Super Fund", business_id=stranger)
    world.add_document(foreign, files.PDF, business_id=stranger)
    assert send().status_code == 201


# stores and scanners that fail


def test_a_full_disk_is_told_and_nothing_is_stored(world: World, send_raw: SendRaw, store: Folder) -> None:
    """A limit on the size of files is to a program what a full disk is: its write fails half-way."""
    raw = body(TYPE, part("file", files.PDF + bytes(20 * MEGABYTE), "return.pdf"))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16 * MEGABYTE, hard))
    try:
        answer = send_raw(raw)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (answer.status_code, kind_of(answer)) == (503, "documents-unavailable")
    assert_nothing_is_left(store, world)


def test_a_store_that_refuses_the_content_is_told_and_nothing_is_stored(world: World, send: Send, store: Folder) -> None:
    store.root.mkdir(parents=True, exist_ok=True)
    (store.root / world.business_id).write_text("in the way")
    key = {"Idempotency-Key": "upload-3"}
    answer = send(headers=key)
    assert answer.status_code == 503 and "Nothing was stored" in answer.json["detail"]
    (store.root / world.business_id).unlink()
    assert_nothing_is_left(store, world)
    assert send(headers=key).status_code == 201


@contextmanager
def scanner(world: World, code: str, place: Path) -> Iterator[None]:
    """The portal as it is with this scanner in PORTAL_SCAN_COMMAND."""
    program = place / "scanner.py"
    program.write_text(f"import sys\ncontent = open(sys.argv[-1], 'rb').read()\n{code}\n")
    before = world.app.settings
    world.app.settings = replace(before, scan_command=f"{sys.executable} {program}", scan_seconds=30)
    try:
        yield
    finally:
        world.app.settings = before


def test_what_the_virus_scan_refuses_leaves_nothing_but_an_event(
    world: World, send: Send, grant: Grant, store: Folder, tmp_path: Path
) -> None:
    with scanner(world, "sys.exit(b'EICAR' in content)", tmp_path):
        answer = send(content=files.pdf("EICAR"))
        assert (answer.status_code, kind_of(answer)) == (422, "document-refused")
        assert_nothing_is_left(store, world)
        with world.session() as session:
            event = session.scalars(select(AuditEvent).where(AuditEvent.business_id == world.business_id)).one()
        assert (event.kind, event.consent_id) == ("data.document_refused", grant.consent_id)
        assert event.detail["fund_name"] == "Ashby Super Fund"
        assert send().status_code == 201


def test_without_a_working_scanner_nothing_is_taken(world: World, send: Send, store: Folder, tmp_path: Path) -> None:
    with scanner(world, "sys.exit(2)", tmp_path):
        answer = send()
    assert (answer.status_code, kind_of(answer)) == (503, "scanner-unavailable")
    assert_nothing_is_left(store, world)
