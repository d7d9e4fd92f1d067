from __future__ import annotations

import hashlib
import os
import socket
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from sqlalchemy import func, select

from portal import Portal, web
from portal.funds.models import Document
from portal.funds.storage import LARGEST_BYTES, Folder
from tests.api.world import Grant, World
from tests.support import files
from tests.support.patience import PATIENCE_SECONDS, eventually
from tests.support.race import at_once
from tests.support.server import LiveServer

BOUNDARY = b"--x\r\n"
BEGINNING = (
    BOUNDARY + b'Content-Disposition: form-data; name="type"\r\n\r\nminutes\r\n'
    + BOUNDARY + b'Content-Disposition: form-data; name="file"; filename="a.pdf"\r\nContent-Type: application/pdf\r\n\r\n'
)  # fmt: skip
END = b"\r\n--x--\r\n"


@pytest.fixture
def world(app: Portal) -> World:
    return World(app)


def upload(server: LiveServer, grant: Grant, fund_id: str, content: bytes, **headers: str) -> httpx.Response:
    return httpx.post(
        f"{server.url}/api/v1/funds/{fund_id}/documents",
        files={"file": ("return.pdf", content, "application/pdf")},
        data={"type": "annual_return"},
        headers={"Authorization": f"Bearer {grant.token}", **headers},
        timeout=30,
        trust_env=False,
    )


def raw(server: LiveServer, grant: Grant, fund_id: str, *headers: bytes) -> socket.socket:
    """A connection on which the head of an upload has been sent."""
    parts = urlsplit(server.url)
    connection = socket.create_connection((str(parts.hostname), int(parts.port or 0)), timeout=PATIENCE_SECONDS)
    head = [
        f"POST /api/v1/funds/{fund_id}/documents HTTP/1.1".encode(), b"Host: " + parts.netloc.encode(),
        b"Authorization: Bearer " + grant.token.encode(), b"Content-Type: multipart/form-data; boundary=x", b"Connection: close",
        *headers, b"", b"",
    ]  # fmt: skip
    connection.sendall(b"\r\n".join(head))
    return connection


def answer_on(connection: socket.socket) -> int:
    """The status that comes, whether or not everything was sent; the server may have hung up after it."""
    received = b""
    try:
        while b"\r\n" not in received and (piece := connection.recv(65536)):
            received += piece
    except ConnectionError:
        pass
    return int(received.split()[1])


def count(world: World) -> int:
    with world.session() as session:
        return session.scalar(select(func.count()).select_from(Document)) or 0


def waiting(store: Folder) -> list[Path]:
    return list(store.incoming.iterdir()) if store.incoming.exists() else []


# many at once


@pytest.mark.race
def test_many_documents_at_once_are_all_stored(
    live_server: LiveServer, world: World, grant: Grant, fund_id: str, store: Folder
) -> None:
    contents = [files.pdf(str(number)) + os.urandom(200_000) for number in range(8)]
    answers = at_once(8, lambda number: upload(live_server, grant, fund_id, contents[number]))
    assert [answer.status_code for answer in answers] == [201] * 8
    assert {content.address.sha256 for content in store.contents()} == {hashlib.sha256(content).digest() for content in contents}
    assert count(world) == 8 and waiting(store) == []


@pytest.mark.race
def test_the_same_document_at_once_is_stored_once_and_the_others_are_told_which(
    live_server: LiveServer, world: World, grant: Grant, fund_id: str, store: Folder
) -> None:
    answers = at_once(6, lambda _number: upload(live_server, grant, fund_id, files.PDF))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 5
    [made] = [answer.json()["id"] for answer in answers if answer.status_code == 201]
    assert {answer.json()["document_id"] for answer in answers if answer.status_code == 409} == {made}
    assert count(world) == 1 and waiting(store) == []


@pytest.mark.race
def test_the_same_upload_with_one_key_at_once_gets_one_answer(
    live_server: LiveServer, world: World, grant: Grant, fund_id: str, store: Folder
) -> None:
    key = {"Idempotency-Key": "only-once"}
    answers = at_once(6, lambda _number: upload(live_server, grant, fund_id, files.PDF, **key))
    assert {(answer.status_code, answer.json()["id"]) for answer in answers} == {(201, answers[0].json()["id"])}
    assert count(world) == 1 and waiting(store) == []


# broken off, and too large


@pytest.mark.parametrize("declared", [True, False], ids=["declared", "chunked"])
def test_an_upload_that_breaks_off_leaves_nothing(
    live_server: LiveServer, world: World, grant: Grant, fund_id: str, store: Folder, declared: bool
) -> None:
    content = files.PDF + bytes(3_000_000)
    if declared:
        connection = raw(live_server, grant, fund_id, b"Content-Length: %d" % (len(BEGINNING) + len(content) + len(END)))
        connection.sendall(BEGINNING + content[:2_000_000])
    else:
        connection = raw(live_server, grant, fund_id, b"Transfer-Encoding: chunked")
        piece = BEGINNING + content[:2_000_000]
        connection.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
    eventually(lambda: len(waiting(store)), 1)
    connection.close()
    eventually(lambda: waiting(store), [])
    assert list(store.contents()) == [] and count(world) == 0
    assert upload(live_server, grant, fund_id, files.PDF).status_code == 201


def test_an_upload_of_undeclared_length_is_taken(live_server: LiveServer, world: World, grant: Grant, fund_id: str) -> None:
    with raw(live_server, grant, fund_id, b"Transfer-Encoding: chunked") as connection:
        for piece in (BEGINNING, files.PDF, bytes(1_500_000), END):
            connection.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
        connection.sendall(b"0\r\n\r\n")
        assert answer_on(connection) == 201


def test_what_is_declared_too_large_is_refused_before_it_is_sent(
    live_server: LiveServer, world: World, grant: Grant, fund_id: str, store: Folder
) -> None:
    for length in (LARGEST_BYTES + 1_000_000, 10**15):
        with raw(live_server, grant, fund_id, b"Content-Length: %d" % length) as connection:
            assert answer_on(connection) == 413
    assert waiting(store) == [] and count(world) == 0


def test_what_turns_out_too_large_is_refused_while_it_is_sent(
    live_server: LiveServer, world: World, grant: Grant, fund_id: str, store: Folder
) -> None:
    with raw(live_server, grant, fund_id, b"Transfer-Encoding: chunked") as connection:
        piece = bytes(1024 * 1024)
        try:
            connection.sendall(b"%x\r\n%b\r\n" % (len(BEGINNING) + 5, BEGINNING + b"%PDF-"))
            for _ in range(40):
                connection.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
        except ConnectionError:
            pass
        else:
            assert answer_on(connection) == 413
    eventually(lambda: waiting(store), [])
    assert list(store.contents()) == [] and count(world) == 0


def test_other_calls_take_no_more_than_before(live_server: LiveServer, world: World, grant: Grant, fund_id: str) -> None:
    cut_off_it_would_be_good = b'{"name": "Birch"}' + b" " * web.BODY_BYTES
    chunks = (cut_off_it_would_be_good[start : start + 65536] for start in range(0, len(cut_off_it_would_be_good), 65536))
    for body in (cut_off_it_would_be_good, chunks):
        answer = httpx.patch(
            f"{live_server.url}/api/v1/funds/{fund_id}", content=body, trust_env=False,
            headers={"Authorization": f"Bearer {grant.token}", "Content-Type": "application/json", "If-Match": '"1"'},
        )  # fmt: skip
        assert answer.status_code == 413


def test_a_worker_holds_pieces_and_never_whole_documents(
    live_server: LiveServer, world: World, grant: Grant, fund_id: str
) -> None:
    """Its memory has grown by far less than what went in and out of it."""
    workers = [
        int(number)
        for number in Path(f"/proc/{live_server.process.pid}/task/{live_server.process.pid}/children").read_text().split()
    ]
    upload(live_server, grant, fund_id, files.PDF)

    def peak() -> int:
        lines = [Path(f"/proc/{worker}/status").read_text() for worker in workers]
        return sum(int(text.split("VmHWM:")[1].split()[0]) for text in lines)

    before = peak()
    for number in range(4):
        told = upload(live_server, grant, fund_id, files.pdf(str(number)) + bytes(24_000_000)).json()
        answer = httpx.get(
            f"{live_server.url}/api/v1/documents/{told['id']}/content", headers={"Authorization": f"Bearer {grant.token}"},
            trust_env=False, timeout=30,
        )  # fmt: skip
        assert len(answer.content) == told["size"]
    assert workers and peak() - before < 20_000


# the content over a real connection


def test_parts_and_heads_arrive_as_they_should(live_server: LiveServer, world: World, grant: Grant, fund_id: str) -> None:
    content = files.PDF + os.urandom(600_000)
    document_id = upload(live_server, grant, fund_id, content).json()["id"]
    client = live_server.client(headers={"Authorization": f"Bearer {grant.token}"})
    path = f"/api/v1/documents/{document_id}/content"
    assert client.get(path).content == content
    part = client.get(path, headers={"Range": "bytes=300000-300009"})
    assert (part.status_code, part.content) == (206, content[300_000:300_010])
    assert client.get(path, headers={"Range": "bytes=9999999-"}).status_code == 416
    head = client.head(path)
    assert (head.status_code, head.headers["Content-Length"]) == (200, str(len(content)))
    assert client.get(path, headers={"If-None-Match": head.headers["ETag"]}).status_code == 304
    assert client.get(path).content == content  # the connection is still in step
