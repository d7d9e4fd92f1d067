from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import func, select, update
from werkzeug.test import TestResponse

from portal import Portal, db
from portal.consents.models import Consent
from portal.funds import pruning, storage
from portal.funds.models import Document
from portal.funds.storage import Store
from tests.api.samples import form
from tests.api.world import Grant, World
from tests.support import files, s3
from tests.support.s3 import S3, Gate

Send = Callable[..., TestResponse]
PATIENCE_SECONDS = 30


@pytest.fixture
def gate(s3_server: S3) -> Iterator[Gate]:
    with s3.gate(s3_server) as found:
        yield found


@pytest.fixture
def world(app: Portal) -> World:
    return World(app)


@pytest.fixture
def store(app: Portal, s3_server: S3, gate: Gate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """The portal's store is a bucket behind the gate."""
    for name, value in s3.CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    url = s3_server.make_bucket(f"bucket-{db.new_id()}", through=gate.endpoint)
    found = storage.store_of(replace(app.settings, documents_url=url, documents_spool=str(tmp_path / "spool")))
    app.extensions["portal-documents"] = found
    return found


@pytest.fixture
def send(world: World, grant: Grant) -> Send:
    (fund_id,) = world.add_funds("Ashby Super Fund")

    def upload(content: bytes = files.PDF, *, to: str = fund_id, **headers: str) -> TestResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return world.call(f"/funds/{to}/documents", grant.token, method="POST", headers=named, data=form(content=content))

    return upload


def kept(store: Store) -> list[bytes]:
    return [content.address.sha256 for content in store.contents()]


def count(world: World) -> int:
    with world.session() as session:
        return session.scalar(select(func.count()).select_from(Document)) or 0


def assert_nothing_waits(store: Store) -> None:
    assert list(store.incoming.iterdir()) == []


def test_a_store_that_takes_its_time_keeps_nobody_from_changing_the_business(
    world: World, grant: Grant, store: Store, gate: Gate, send: Send
) -> None:
    """What changes a role locks the business, as pruning does; SQLite has one lock for all that write."""
    with ThreadPoolExecutor(1) as threads:
        answer = threads.submit(send)
        assert gate.something_waits.wait(PATIENCE_SECONDS)
        with world.session() as session:
            session.execute(pruning.lock(world.business_id).with_for_update(nowait=True))
            session.execute(update(Consent).where(Consent.id == grant.consent_id).values(last_accessed_at=db.utcnow()))
        assert not answer.done()
        gate.is_open.set()
        told = answer.result(PATIENCE_SECONDS)
    assert told.status_code == 201
    assert world.call(f"/documents/{told.json['id']}/content", grant.token).data == files.PDF
    assert_nothing_waits(store)


def test_what_was_ended_while_the_store_took_its_time_is_not_entered(
    world: World, grant: Grant, store: Store, gate: Gate, send: Send
) -> None:
    with ThreadPoolExecutor(1) as threads:
        answer = threads.submit(send)
        assert gate.something_waits.wait(PATIENCE_SECONDS)
        with world.session() as session:
            session.execute(
                update(Consent).where(Consent.id == grant.consent_id).values(revoked_at=db.utcnow(), revoke_reason="user")
            )
        gate.is_open.set()
        assert answer.result(PATIENCE_SECONDS).status_code == 401
    assert count(world) == 0
    assert_nothing_waits(store)


def test_the_same_content_is_a_conflict_in_its_fund_and_one_content_in_another(
    world: World, store: Store, gate: Gate, send: Send
) -> None:
    gate.is_open.set()
    (other,) = world.add_funds("Birch Super Fund")
    first, key = send(), {"Idempotency_Key": "upload-1"}
    again, elsewhere = send(), send(to=other, **key)
    assert (first.status_code, again.status_code, elsewhere.status_code) == (201, 409, 201)
    assert again.json["document_id"] == first.json["id"] != elsewhere.json["id"]
    assert send(to=other, **key).json == elsewhere.json
    assert count(world) == 2 and len(kept(store)) == 1
    assert_nothing_waits(store)


def test_a_store_that_is_not_there_is_told_and_the_same_key_is_good_again(
    world: World, store: Store, gate: Gate, send: Send, tmp_path: Path
) -> None:
    gate.is_open.set()
    nowhere = f"s3://nowhere/portal?endpoint_url={gate.endpoint}&region={s3.REGION}"
    lost = storage.store_of(replace(world.app.settings, documents_url=nowhere, documents_spool=str(tmp_path / "spool")))
    world.app.extensions["portal-documents"] = lost
    refused = send(Idempotency_Key="upload-1")
    assert (refused.status_code, refused.json["type"].rpartition("/")[2]) == (503, "documents-unavailable")
    assert count(world) == 0
    assert_nothing_waits(store)
    world.app.extensions["portal-documents"] = store
    assert send(Idempotency_Key="upload-1").status_code == 201
