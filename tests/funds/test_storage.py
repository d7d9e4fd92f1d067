from __future__ import annotations

import hashlib
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from portal import db
from portal.config import Settings
from portal.funds import storage
from portal.funds.storage import Address, ContentTooLarge, Folder, Incoming, Store, StoreUnavailable
from tests.conftest import SECRET_KEY
from tests.support import s3
from tests.support.race import at_once
from tests.support.s3 import S3
from tests.support.server import ROOT

SETTINGS = Settings(mode="test", secret_key=SECRET_KEY)
OpenStore = Callable[[], Store]


@pytest.fixture(params=["folder", "s3"])
def open_store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OpenStore:
    """Each call opens the same store anew, as another worker does."""
    url = f"file:{tmp_path / 'documents'}"
    if request.param == "s3":
        for name, value in s3.CREDENTIALS.items():
            monkeypatch.setenv(name, value)
        url = request.getfixturevalue("s3_server").make_bucket(f"bucket-{db.new_id()}")
    return lambda: storage.store_of(replace(SETTINGS, documents_url=url, documents_spool=str(tmp_path / "spool")))


@pytest.fixture
def store(open_store: OpenStore) -> Store:
    return open_store()


def receive(store: Store, content: bytes) -> Incoming:
    upload = Incoming(store.incoming)
    for start in range(0, len(content), 65536):
        upload.write(content[start : start + 65536])
    upload.seek(0)
    return upload


def keep(store: Store, content: bytes, business_id: str = "acme") -> Address:
    upload = receive(store, content)
    address = Address(business_id, upload.sha256)
    store.keep(address, upload)
    upload.discard()
    return address


def read(store: Store, address: Address, start: int, stop: int) -> bytes:
    pieces = store.read(address, start, stop)
    try:
        return b"".join(pieces)
    finally:
        pieces.close()


def waiting(store: Store) -> list[Path]:
    return list(store.incoming.iterdir()) if store.incoming.exists() else []


# both stores


def test_what_is_kept_is_read_by_another_worker_whole_and_in_parts(open_store: OpenStore) -> None:
    content = os.urandom(700_000)
    address = keep(open_store(), content)
    other = open_store()
    assert address.sha256 == hashlib.sha256(content).digest()
    assert read(other, address, 0, len(content)) == content
    assert read(other, address, 0, 1) == content[:1]
    assert read(other, address, 300_001, 300_004) == content[300_001:300_004]
    assert read(other, address, 699_999, 700_000) == content[-1:]


def test_what_is_larger_than_a_part_arrives_whole(store: Store) -> None:
    content = os.urandom(1_000_000) * 20
    address = keep(store, content)
    assert hashlib.sha256(read(store, address, 0, len(content))).digest() == address.sha256


def test_nothing_waits_after_an_upload_was_kept_or_discarded(store: Store) -> None:
    keep(store, b"kept")
    receive(store, b"not kept").discard()
    assert waiting(store) == []
    assert len(list(store.contents())) == 1


def test_an_upload_that_is_discarded_half_way_leaves_nothing(store: Store) -> None:
    upload = Incoming(store.incoming)
    upload.write(b"half of")
    upload.discard()
    assert waiting(store) == [] and list(store.contents()) == []


def test_contents_are_listed_with_their_business_and_age(store: Store) -> None:
    addresses = {keep(store, b"one"), keep(store, b"two"), keep(store, b"one", "birch")}
    found = list(store.contents())
    assert {content.address for content in found} == addresses and len(found) == 3
    assert all(abs(db.utcnow() - content.stored_at) < timedelta(minutes=5) for content in found)


def test_what_was_removed_is_gone_and_can_be_removed_again(store: Store) -> None:
    address, other = keep(store, b"same"), keep(store, b"same", "birch")
    more = [keep(store, f"content {number}".encode()) for number in range(3)]
    store.remove(address)
    store.remove(address, *more)
    assert [content.address for content in store.contents()] == [other]
    with pytest.raises(StoreUnavailable):
        read(store, address, 0, 4)


def test_what_lay_there_when_it_was_sent_and_was_pruned_since_is_there_once_it_is_kept(store: Store) -> None:
    orphan, upload = keep(store, b"left without a document"), receive(store, b"left without a document")
    store.send(orphan, upload)
    store.remove(orphan)
    store.keep(orphan, upload)
    upload.discard()
    assert [content.address for content in store.contents()] == [orphan] and waiting(store) == []


def test_what_two_prunings_found_and_was_sent_between_them_is_there_once_it_is_kept(store: Store) -> None:
    orphan, upload = keep(store, b"left without a document"), receive(store, b"left without a document")
    store.remove(orphan)  # by the faster of the two
    store.send(orphan, upload)
    store.remove(orphan)  # by the slower one, whose list is older
    store.keep(orphan, upload)
    upload.discard()
    assert [content.address for content in store.contents()] == [orphan] and waiting(store) == []


def test_what_was_sent_beforehand_is_whole(store: Store) -> None:
    upload = receive(store, b"content")
    address = Address("acme", upload.sha256)
    store.send(address, upload)
    store.keep(address, upload)
    upload.discard()
    assert read(store, address, 0, 7) == b"content" and waiting(store) == []


def test_the_same_content_kept_by_many_at_once_is_whole(store: Store) -> None:
    content = os.urandom(200_000)
    addresses = at_once(6, lambda _number: keep(store, content))
    assert len(set(addresses)) == 1
    assert read(store, addresses[0], 0, len(content)) == content
    assert len(list(store.contents())) == 1 and waiting(store) == []


# uploads on their way in


def test_an_upload_is_cut_off_where_it_gets_too_large(tmp_path: Path) -> None:
    upload = Incoming(tmp_path)
    piece = bytes(1024 * 1024)
    for _ in range(25):
        upload.write(piece)
    with pytest.raises(ContentTooLarge):
        upload.write(b"x")
    upload.discard()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_worker_left_is_swept_and_what_moves_is_not(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    dead, alive = Incoming(folder.incoming), Incoming(folder.incoming)
    long_ago = time.time() - storage.DEAD_AFTER_SECONDS - 60
    os.utime(dead.path, (long_ago, long_ago))
    assert storage.sweep(folder) == 1
    assert waiting(folder) == [alive.path]
    for upload in (dead, alive):
        upload.discard()


def test_only_the_operating_system_user_of_the_portal_reads_documents(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "documents")
    address = keep(folder, b"secret")
    assert (folder.root / address.path).stat().st_mode & 0o077 == 0


# what goes wrong


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    """A limit on the size of files is to a program what a full disk is: its write fails half-way."""
    folder = Folder(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    upload = Incoming(folder.incoming)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(StoreUnavailable):
            upload.write(bytes(200_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    upload.discard()
    assert waiting(folder) == []


def test_a_folder_that_cannot_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreUnavailable):
        Incoming(Folder(tmp_path / "file").incoming)
    folder = Folder(tmp_path / "store")
    upload = receive(folder, b"content")
    (folder.root / "acme").write_text("in the way")
    with pytest.raises(StoreUnavailable):
        folder.keep(Address("acme", upload.sha256), upload)
    upload.discard()
    assert waiting(folder) == []


@pytest.mark.parametrize("kept", [True, False])
def test_a_bucket_that_is_not_there_is_told(s3_server: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: bool) -> None:
    for name, value in s3.CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    url = f"s3://nowhere/portal?endpoint_url={s3_server.endpoint}&region={s3.REGION}"
    store = storage.store_of(replace(SETTINGS, documents_url=url, documents_spool=str(tmp_path)))
    with pytest.raises(StoreUnavailable, match="S3"):
        keep(store, b"content") if kept else list(store.contents())


def test_the_library_for_s3_is_loaded_only_when_asked_for(tmp_path: Path) -> None:
    code = "import sys; from portal import create_app; create_app(); print('obstore' in sys.modules)"
    known = {**os.environ, "PORTAL_MODE": "test", "PORTAL_SECRET_KEY": SECRET_KEY, "DATABASE_URL": f"sqlite:///{tmp_path}/db"}
    for url, loaded in ((f"file:{tmp_path}/documents", "False"), ("s3://bucket", "True")):
        ended = subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={**known, "PORTAL_DOCUMENTS_URL": url},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.stdout.strip() == loaded, ended.stderr


# addresses and settings


def test_an_address_is_read_back_from_its_path_and_from_nothing_else() -> None:
    address = Address("acme", hashlib.sha256(b"x").digest())
    assert Address.of(address.path) == address
    name = address.sha256.hex()
    for path in (
        "",
        "acme",
        f"acme/{name}",
        f"acme/00/{name}",
        f"acme/{name[:2]}/{name.upper()}",
        f"acme/{name[:2]}/{name}.part",
    ):
        assert Address.of(path) is None, path


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("file:", "folder"),
        ("instance/documents", "file:DIR"),
        ("https://bucket.example", "file:DIR"),
        ("s3://", "s3://BUCKET"),
        ("s3://[x", "s3://BUCKET"),
        ("s3://key:secret@bucket/prefix", "credentials"),
        ("s3://bucket/prefix?acl=public", "acl"),
        ("s3://bucket?endpoint_url=ftp://store.example", "http://"),
    ],
)
def test_a_setting_that_names_no_store_is_refused(url: str, word: str) -> None:
    wrong = replace(SETTINGS, documents_url=url).mistakes()
    assert len(wrong) == 1 and "PORTAL_DOCUMENTS_URL" in wrong[0] and word in wrong[0] and "secret@" not in wrong[0]


@pytest.mark.parametrize("url", ["file:documents", "s3://bucket", "s3://bucket/a/b?region=x&endpoint_url=http://127.0.0.1:9000"])
def test_a_setting_that_names_a_store_is_taken(url: str) -> None:
    assert replace(SETTINGS, documents_url=url).mistakes() == []


@pytest.mark.parametrize("command", ['clamdscan "unclosed', "   "])
def test_a_scanner_that_is_no_command_is_refused(command: str) -> None:
    [wrong] = replace(SETTINGS, scan_command=command).mistakes()
    assert "PORTAL_SCAN_COMMAND" in wrong


def test_production_sends_documents_over_https_only() -> None:
    production = Settings(issuer="https://portal.example", secret_key=SECRET_KEY)
    assert production.mistakes() == []
    wrong = replace(production, documents_url="s3://bucket?endpoint_url=http://store.example").mistakes()
    assert wrong == ["PORTAL_DOCUMENTS_URL must name an https endpoint_url in production"]
