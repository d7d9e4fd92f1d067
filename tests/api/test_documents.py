from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import TestResponse

from portal import db
from portal.consents.history import SENTENCES
from portal.funds import storage
from portal.funds.storage import Folder, Store
from tests.api.samples import form
from tests.api.world import Grant, World
from tests.support import files
from tests.support.s3 import CREDENTIALS, REGION, S3

CONTENT = files.PDF + bytes(range(256)) * 1200
TAG = f'"{hashlib.sha256(CONTENT).hexdigest()}"'
SIZE = len(CONTENT)
Get = Callable[..., TestResponse]


@pytest.fixture
def grant(world: World) -> Grant:
    return world.grant("funds.read")


@pytest.fixture
def document_id(world: World, fund_id: str) -> str:
    return world.add_document(fund_id, CONTENT, name="Übersicht 2026")


@pytest.fixture
def get(world: World, grant: Grant, document_id: str) -> Get:
    """Ask for the content with these headers."""

    def ask(method: str = "GET", **headers: str) -> TestResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return world.call(f"/documents/{document_id}/content", grant.token, method=method, headers=named)

    return ask


# what is known of documents


def test_pages_of_the_list_hang_together(world: World, grant: Grant, fund_id: str) -> None:
    ids = [world.add_document(fund_id, files.pdf(str(number))) for number in range(5)]
    seen: list[str] = []
    query = "?limit=2"
    while query:
        page = world.call(f"/funds/{fund_id}/documents{query}", grant.token).json
        seen += [document["id"] for document in page["data"]]
        query = page["next_cursor"] and f"?limit=2&cursor={page['next_cursor']}"
    assert seen == sorted(ids, reverse=True)


def test_what_is_known_is_told_again_only_when_it_is_news(world: World, grant: Grant, document_id: str) -> None:
    path = f"/documents/{document_id}"
    first = world.call(path, grant.token)
    again = world.call(path, grant.token, headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")


def test_what_another_business_has_is_as_unknown_as_nothing(world: World, fund_id: str, document_id: str) -> None:
    stranger = world.grant("funds.read", business_id=world.add_business())

    def told(path: str) -> tuple[int, str]:
        answer = world.call(path, stranger.token)
        return answer.status_code, re.sub("urn:portal:request:[0-9a-f]+", "", answer.text)

    for path, real in (("/documents/{}", document_id), ("/documents/{}/content", document_id), ("/funds/{}/documents", fund_id)):
        answers = {told(path.format(thing)) for thing in (real, "no-such-thing", "01jzc9x3m0v5k8q2n7d4t6h1rb", "%00", "x" * 200)}
        assert len(answers) == 1 and next(iter(answers))[0] == 404, path


def test_what_happens_to_documents_has_its_sentences() -> None:
    assert {"data.document_added", "data.document_refused"} <= SENTENCES.keys()


# the content


def test_a_content_comes_as_it_went_in_to_be_saved_and_never_run(get: Get) -> None:
    answer = get()
    assert (answer.status_code, answer.data) == (200, CONTENT)
    headers = answer.headers
    assert headers["Content-Type"] == "application/pdf" and headers["Content-Length"] == str(SIZE)
    assert (
        headers["Content-Disposition"]
        == "attachment; filename=\"Ubersicht 2026.pdf\"; filename*=UTF-8''%C3%9Cbersicht%202026.pdf"
    )
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert headers["Cache-Control"] == "no-store"
    assert headers["Accept-Ranges"] == "bytes" and headers["ETag"] == TAG
    digest = base64.b64encode(hashlib.sha256(CONTENT).digest()).decode()
    assert headers["Repr-Digest"] == f"sha-256=:{digest}:"


def test_text_comes_without_a_guess_at_its_encoding(world: World, grant: Grant, fund_id: str) -> None:
    document_id = world.add_document(fund_id, files.LATIN, media_type="text/csv")
    answer = world.call(f"/documents/{document_id}/content", grant.token)
    assert (answer.headers["Content-Type"], answer.data) == ("text/csv", files.LATIN)


def test_head_tells_what_get_would_without_the_content(get: Get) -> None:
    whole, head = get(), get("HEAD")
    assert (head.status_code, head.data) == (200, b"")
    changing = {"X-Request-Id", "RateLimit"}
    assert {name: v for name, v in head.headers if name not in changing} == {
        name: v for name, v in whole.headers if name not in changing
    }
    assert get("HEAD", Range="bytes=0-9").status_code == 200


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=10-19", 10, 20),
        ("bytes=300000-", 300_000, SIZE),
        (f"bytes={SIZE - 1}-", SIZE - 1, SIZE),
        (f"bytes=5-{SIZE * 2}", 5, SIZE),
        ("bytes=-7", SIZE - 7, SIZE),
        (f"bytes=-{SIZE * 2}", 0, SIZE),
        ("Bytes=0-9", 0, 10),
    ],
)
def test_a_part_is_answered_as_a_part(get: Get, asked: str, start: int, stop: int) -> None:
    answer = get(Range=asked)
    assert (answer.status_code, answer.data) == (206, CONTENT[start:stop])
    assert answer.headers["Content-Range"] == f"bytes {start}-{stop - 1}/{SIZE}"
    assert answer.headers["Content-Length"] == str(stop - start)
    assert answer.headers["ETag"] == TAG and "attachment" in answer.headers["Content-Disposition"]


@pytest.mark.parametrize("asked", [f"bytes={SIZE}-", f"bytes={SIZE * 3}-{SIZE * 4}", f"bytes={10**30}-"])
def test_a_part_that_is_not_there_is_416(get: Get, asked: str) -> None:
    answer = get(Range=asked)
    assert (answer.status_code, answer.content_type) == (416, "application/problem+json")
    assert answer.headers["Content-Range"] == f"bytes */{SIZE}"


@pytest.mark.parametrize(
    "asked",
    [
        "bytes=0-1,5-6",
        "bytes=-0",
        "lines=1-2",
        "bytes=9-5",
        "bytes=x",
        "bytes",
        "bytes=",
        "bytes=--5",
        "bytes=1-2-3",
        "0-5",
        "bytes=²-",
    ],
)
def test_a_range_that_need_not_be_followed_is_answered_with_the_whole(get: Get, asked: str) -> None:
    answer = get(Range=asked)
    assert (answer.status_code, answer.data) == (200, CONTENT)


@pytest.mark.parametrize(
    ("condition", "status"),
    [(TAG, 206), ('"other"', 200), (f"W/{TAG}", 200), ("Wed, 25 Nov 2026 18:00:00 GMT", 200), ("nonsense", 200)],
)
def test_a_part_of_what_has_changed_is_not_given(get: Get, condition: str, status: int) -> None:
    assert get(Range="bytes=0-9", If_Range=condition).status_code == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"If_None_Match": TAG}, 304),
        ({"If_None_Match": f'"x", W/{TAG}'}, 304),
        ({"If_None_Match": "*"}, 304),
        ({"If_None_Match": TAG, "Range": "bytes=0-1"}, 304),
        ({"If_None_Match": '"x"'}, 200),
        ({"If_Match": TAG}, 200),
        ({"If_Match": "*"}, 200),
        ({"If_Match": '"x"'}, 412),
        ({"If_Match": f"W/{TAG}"}, 412),
        ({"If_Match": TAG, "If_None_Match": TAG}, 304),
    ],
)
def test_conditions_are_kept(get: Get, headers: dict[str, str], status: int) -> None:
    answer = get(**headers)
    assert answer.status_code == status
    if status == 304:
        assert answer.data == b"" and answer.headers["ETag"] == TAG and "Content-Length" not in answer.headers


def test_a_content_that_was_lost_is_told_and_is_no_half_answer(world: World, grant: Grant, get: Get) -> None:
    store: Any = world.app.extensions["portal-documents"]
    assert isinstance(store, Folder)
    for content in list(store.contents()):
        if content.address.business_id == world.business_id:
            store.remove(content.address)
    answer = get()
    assert answer.status_code == 503 and answer.json["type"].endswith("documents-unavailable")


def test_a_download_leaves_no_file_open(get: Get) -> None:
    def is_open() -> list[str]:
        return [
            str(file.readlink())
            for file in Path("/proc/self/fd").iterdir()
            if file.is_symlink() and TAG[1:-1] in str(file.readlink())
        ]

    for headers in ({}, {"Range": "bytes=0-9"}, {"If_None_Match": TAG}):
        get(**headers)
        get("HEAD", **headers)
    assert is_open() == []
    assert storage.PIECE_BYTES < SIZE  # so that a download is more than one piece


# in an S3-compatible store


@pytest.fixture
def bucket(world: World, s3_server: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """The portal as it is with a bucket in PORTAL_DOCUMENTS_URL."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    url = s3_server.make_bucket(f"bucket-{db.new_id()}")
    settings = replace(world.app.settings, documents_url=url, documents_spool=str(tmp_path / "spool"))
    folder = world.app.extensions["portal-documents"]
    world.app.extensions["portal-documents"] = store = storage.store_of(settings)
    yield store
    world.app.extensions["portal-documents"] = folder


def test_a_bucket_takes_documents_and_answers_parts_of_them(world: World, bucket: Store, fund_id: str) -> None:
    token = world.grant("funds.write").token
    made = world.call(f"/funds/{fund_id}/documents", token, method="POST", data=form(CONTENT))
    assert made.status_code == 201
    assert world.call(f"/funds/{fund_id}/documents", token, method="POST", data=form(CONTENT)).status_code == 409
    path = f"/documents/{made.json['id']}/content"
    assert world.call(path, token).data == CONTENT
    part = world.call(path, token, headers={"Range": "bytes=300000-300009"})
    assert (part.status_code, part.data) == (206, CONTENT[300_000:300_010])
    assert world.call(path, token, headers={"Range": f"bytes={SIZE}-"}).status_code == 416
    head = world.call(path, token, method="HEAD")
    assert (head.status_code, head.headers["Content-Length"]) == (200, str(SIZE))
    assert list(bucket.incoming.iterdir()) == []
    assert [content.address.business_id for content in bucket.contents()] == [world.business_id]


def test_a_bucket_that_does_not_answer_is_told_and_nothing_is_stored(
    world: World, bucket: Store, s3_server: S3, fund_id: str
) -> None:
    token = world.grant("funds.write").token
    settings = replace(world.app.settings, documents_url=f"s3://nowhere?endpoint_url={s3_server.endpoint}&region={REGION}")
    world.app.extensions["portal-documents"] = storage.store_of(replace(settings, documents_spool=str(bucket.incoming)))
    answer = world.call(f"/funds/{fund_id}/documents", token, method="POST", data=form(CONTENT))
    assert answer.status_code == 503 and answer.json["type"].endswith("documents-unavailable")
    assert world.call(f"/funds/{fund_id}/documents", token).json["data"] == []
    assert list(bucket.incoming.iterdir()) == []
