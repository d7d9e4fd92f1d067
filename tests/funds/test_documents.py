from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import date
from threading import Thread
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from portal import Portal, db
from portal.audit.models import AuditEvent
from portal.businesses.models import Business
from portal.errors import BadRequest
from portal.funds import documents, pruning, storage
from portal.funds.documents import AlreadyThere, NewDocument
from portal.funds.kinds import KINDS
from portal.funds.models import Document, Fund
from portal.funds.storage import Address, Folder, Incoming, StoreUnavailable
from portal.funds.telling import Partner
from tests.api.world import Grant, World
from tests.support import files
from tests.support.race import at_once

DAY_SECONDS = 86400


@pytest.fixture
def world(app: Portal) -> World:
    return World(app)


@pytest.fixture
def store(app: Portal) -> Folder:
    found = app.extensions["portal-documents"]
    assert isinstance(found, Folder)
    return found


def receive(store: Folder, content: bytes) -> Incoming:
    upload = Incoming(store.incoming)
    upload.write(content)
    upload.seek(0)
    return upload


def enter(
    session: Session, world: World, fund_id: str, upload: Incoming, grant: Grant, name: str = "Annual return"
) -> dict[str, Any]:
    new = NewDocument(
        name=name, type="annual_return", period_start=date(2025, 7, 1), period_end=date(2026, 6, 30), tags=["lodged"],
        kind=KINDS["application/pdf"],
    )  # fmt: skip
    fund = session.scalars(select(Fund).where(Fund.id == fund_id)).one()
    by = Partner(client_id=grant.client_id, consent_id=grant.consent_id, business_id=fund.business_id)
    store = world.app.extensions["portal-documents"]
    return documents.add(session, store, fund_id, fund.name, new, upload, by=by, user_id=grant.user_id, now=db.utcnow())


def grant_for(world: World, fund_id: str) -> Grant:
    with world.session() as session:
        business_id = session.scalars(select(Fund.business_id).where(Fund.id == fund_id)).one()
    return world.grant("funds.write", business_id=business_id)


def add(world: World, fund_id: str, content: bytes = files.PDF, name: str = "Annual return") -> str:
    upload, grant = receive(world.app.extensions["portal-documents"], content), grant_for(world, fund_id)
    try:
        with world.session() as session:
            return str(enter(session, world, fund_id, upload, grant, name)["id"])
    finally:
        upload.discard()


def contents(store: Folder) -> set[Address]:
    return {content.address for content in store.contents()}


@pytest.fixture
def fund_id(world: World) -> str:
    return world.add_funds("Ashby Super Fund")[0]


def reading(world: World) -> Iterator[db.Connection]:
    with world.app.app_context(), db.reader() as connection:
        yield connection


# added and found


def test_a_document_is_found_in_its_business_and_nowhere_else(world: World, fund_id: str) -> None:
    document_id = add(world, fund_id)
    other = world.add_business()
    for connection in reading(world):
        found = documents.find(connection, world.business_id, document_id)
        assert found is not None
        assert found["name"] == "Annual return" and found["fund_id"] == fund_id and found["size"] == len(files.PDF)
        assert found["sha256"] == Address.of(next(iter(contents(world.app.extensions["portal-documents"]))).path).sha256.hex()
        assert documents.find(connection, other, document_id) is None
        assert documents.find(connection, world.business_id, "no-such-document") is None
        assert documents.list_of_fund(connection, world.business_id, fund_id) == [found]
        assert documents.list_of_fund(connection, other, fund_id) is None
        assert documents.find_page(connection, other, fund_id, limit=5, cursor=None, keyring=world.app.keyring) is None


def test_a_fund_without_documents_has_an_empty_list(world: World, fund_id: str) -> None:
    for connection in reading(world):
        assert documents.list_of_fund(connection, world.business_id, fund_id) == []


def test_pages_go_from_the_newest_to_the_oldest_and_skip_nothing(world: World, fund_id: str) -> None:
    ids = [add(world, fund_id, files.pdf(str(number))) for number in range(7)]
    keyring, seen, cursor = world.app.keyring, [], None
    for connection in reading(world):
        while True:
            page = documents.find_page(connection, world.business_id, fund_id, limit=3, cursor=cursor, keyring=keyring)
            assert page is not None
            seen += [document["id"] for document in page.documents]
            if (cursor := page.next_cursor) is None:
                break
    assert seen == sorted(ids, reverse=True)


def test_a_cursor_is_good_for_its_own_fund_only(world: World, fund_id: str) -> None:
    for number in range(3):
        add(world, fund_id, files.pdf(str(number)))
    (other,) = world.add_funds("Birch Super Fund")
    keyring = world.app.keyring
    for connection in reading(world):
        page = documents.find_page(connection, world.business_id, fund_id, limit=2, cursor=None, keyring=keyring)
        assert page is not None and page.next_cursor
        with pytest.raises(BadRequest):
            documents.find_page(connection, world.business_id, other, limit=2, cursor=page.next_cursor, keyring=keyring)


def test_adding_is_an_event_of_the_business(world: World, fund_id: str) -> None:
    document_id = add(world, fund_id)
    with world.session() as session:
        event = session.scalars(select(AuditEvent).where(AuditEvent.business_id == world.business_id)).one()
    assert event.kind == "data.document_added" and event.detail["document_id"] == document_id
    assert event.detail["document_name"] == "Annual return" and event.detail["fund_name"] == "Ashby Super Fund"


# the same content


def test_the_same_content_is_one_document_of_a_fund_whatever_its_name(world: World, fund_id: str) -> None:
    first = add(world, fund_id)
    with pytest.raises(AlreadyThere) as refused:
        add(world, fund_id, name="The same again")
    assert refused.value.members == {"document_id": first}
    with world.session() as session:
        assert session.scalars(select(Document.name).where(Document.fund_id == fund_id)).all() == ["Annual return"]


def test_the_same_content_may_be_in_another_fund_and_in_another_business(world: World, store: Folder, fund_id: str) -> None:
    (second,) = world.add_funds("Birch Super Fund")
    stranger = world.add_business()
    (third,) = world.add_funds("Cedar Super Fund", business_id=stranger)
    assert len({add(world, fund) for fund in (fund_id, second, third)}) == 3
    assert {address.business_id for address in contents(store)} == {world.business_id, stranger}


def test_of_the_same_content_added_by_many_at_once_one_becomes_the_document(world: World, store: Folder, fund_id: str) -> None:
    def try_to_add(_number: int) -> str | None:
        try:
            return add(world, fund_id)
        except AlreadyThere as refused:
            there.add(refused.members["document_id"])
            return None

    there: set[str] = set()
    made = [found for found in at_once(4, try_to_add) if found]
    assert len(made) == 1 and there == set(made)
    assert len(contents(store)) == 1 and list(store.incoming.iterdir()) == []


# what goes wrong


def test_without_its_content_there_is_no_document(world: World, store: Folder, fund_id: str) -> None:
    store.root.mkdir(parents=True, exist_ok=True)
    (store.root / world.business_id).write_text("in the way")
    with pytest.raises(StoreUnavailable):
        add(world, fund_id)
    with world.session() as session:
        assert session.scalars(select(Document)).all() == []
        assert session.scalars(select(AuditEvent)).all() == []


# pruning


def orphan(store: Folder, business_id: str, content: bytes, *, days: float) -> Address:
    upload = receive(store, content)
    address = Address(business_id, upload.sha256)
    store.keep(address, upload)
    set_back(store, address, days=days)
    return address


def set_back(store: Folder, address: Address, *, days: float) -> None:
    then = time.time() - days * DAY_SECONDS
    os.utime(store.root / address.path, (then, then))


def test_pruning_removes_what_no_document_has_and_only_when_it_is_old(world: World, store: Folder, fund_id: str) -> None:
    add(world, fund_id)
    (kept,) = contents(store)
    set_back(store, kept, days=30)
    stranger = world.add_business()
    orphan(store, world.business_id, b"left by a killed worker", days=2)
    orphan(store, stranger, files.PDF, days=2)
    young = orphan(store, world.business_id, b"on its way at this moment", days=0.5)
    dead = Incoming(store.incoming)
    long_ago = time.time() - storage.DEAD_AFTER_SECONDS - 60
    os.utime(dead.path, (long_ago, long_ago))

    ended = world.app.test_cli_runner().invoke(args=["documents", "prune"])
    assert ended.exit_code == 0 and ended.output == "Removed 2 contents without a document and 1 broken uploads.\n"
    assert contents(store) == {kept, young} and list(store.incoming.iterdir()) == []
    dead.discard()
    ended = world.app.test_cli_runner().invoke(args=["documents", "prune", "--hours", "1"])
    assert ended.output == "Removed 1 contents without a document and 0 broken uploads.\n"
    assert contents(store) == {kept}


def test_while_contents_are_pruned_the_business_can_still_be_referred_to(world: World) -> None:
    """A new fund, invitation or connection does so, and takes this lock by its foreign key."""
    referring = select(Business.id).where(Business.id == world.business_id)
    with world.session() as session:
        session.execute(pruning.lock(world.business_id))
        with db.reader() as another:
            assert another.execute(referring.with_for_update(read=True, key_share=True, nowait=True)).all()


def test_pruning_an_empty_store_removes_nothing(world: World) -> None:
    ended = world.app.test_cli_runner().invoke(args=["documents", "prune"])
    assert ended.exit_code == 0 and "Removed 0 contents" in ended.output


def test_the_content_of_a_document_that_is_just_being_added_is_not_pruned(world: World, store: Folder, fund_id: str) -> None:
    """Its row is not committed yet, and the content was an orphan that is old enough."""
    address = orphan(store, world.business_id, files.PDF, days=2)
    grant = grant_for(world, fund_id)
    command = Thread(target=lambda: world.app.test_cli_runner().invoke(args=["documents", "prune"]))
    with world.session() as session:
        enter(session, world, fund_id, receive(store, files.PDF), grant)
        set_back(store, address, days=2)
        command.start()
        command.join(1)  # long enough for one that does not wait
    command.join()
    assert contents(store) == {address}


def test_a_document_added_while_its_orphaned_content_is_pruned_has_it(world: World, store: Folder, fund_id: str) -> None:
    address = orphan(store, world.business_id, files.PDF, days=2)
    upload, grant = receive(store, files.PDF), grant_for(world, fund_id)

    def add_it() -> None:
        with world.session() as session:
            enter(session, world, fund_id, upload, grant)

    adding = Thread(target=add_it)
    with world.session() as session:
        (batch,) = pruning.batches(store, now=db.utcnow())
        session.execute(pruning.lock(world.business_id))
        adding.start()
        adding.join(1)  # long enough for one that does not wait
        assert pruning.prune(session, store, batch) == 1
    adding.join()
    assert contents(store) == {address}
