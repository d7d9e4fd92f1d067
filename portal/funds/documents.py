"""The documents of a fund: listed, found, added, each inside a business; another business's are as unknown as none.

A document is a row here and a content in the store. The row is committed after the content is kept, so that none is
ever without one; a content without a row is left when nothing comes of an upload between the two, and `pruning` removes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, Select, bindparam, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from portal.businesses.models import Business
from portal.crypto import Keyring
from portal.db import new_id, table_of
from portal.errors import Conflict
from portal.funds import cursor as cursors
from portal.funds import telling
from portal.funds.kinds import Kind
from portal.funds.models import Document, Fund
from portal.funds.paging import rows_of_fund
from portal.funds.storage import Address, Incoming, Store
from portal.funds.telling import Partner

_fund, _document = table_of(Fund), table_of(Document)

FIELDS = (
    "id", "fund_id", "name", "type", "period_start", "period_end", "tags", "media_type", "size", "sha256", "uploaded_at",
)  # fmt: skip
COLUMNS = tuple(_document.c[name] for name in FIELDS)

FIND = (
    select(*COLUMNS)
    .join(_fund, _fund.c.id == _document.c.fund_id)
    .where(_document.c.id == bindparam("document_id"), _fund.c.business_id == bindparam("business_id"))
)


def _of_fund(after: bool) -> Select[Any]:
    """The fund and its documents, the newest first: no row without such a fund, one without an id for an empty one."""
    belongs = _document.c.fund_id == _fund.c.id
    return (
        select(*COLUMNS)
        .select_from(_fund.outerjoin(_document, belongs & (_document.c.id < bindparam("before")) if after else belongs))
        .where(_fund.c.id == bindparam("fund_id"), _fund.c.business_id == bindparam("business_id"))
        .order_by(_document.c.id.desc())
    )


LIST_OF_FUND = _of_fund(after=False)
FIRST_PAGE = LIST_OF_FUND.limit(bindparam("rows"))
NEXT_PAGE = _of_fund(after=True).limit(bindparam("rows"))


@dataclass(frozen=True, slots=True)
class Page:
    """Documents by field of FIELDS, and the cursor of the next page or None after the last one."""

    documents: list[dict[str, Any]]
    next_cursor: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class NewDocument:
    """What is said about a document."""

    name: str
    type: str
    period_start: date | None
    period_end: date | None
    tags: Sequence[str]
    kind: Kind


class AlreadyThere(Conflict):
    """409: the fund has a document with this very content. `document_id` names it."""

    kind = "document-exists"
    title = "The fund has this document already"
    message = "Nothing was stored. `document_id` names the document of this fund that has the same content."


def find(connection: Connection, business_id: str, document_id: str) -> dict[str, Any] | None:
    """The document by field of FIELDS, or None when this business has no such document."""
    row = connection.execute(FIND, {"document_id": document_id, "business_id": business_id}).first()
    return None if row is None else _told(row)


def list_of_fund(connection: Connection, business_id: str, fund_id: str) -> list[dict[str, Any]] | None:
    """All documents of the fund, the newest first; None when this business has no such fund."""
    found = rows_of_fund(connection, LIST_OF_FUND, {"fund_id": fund_id, "business_id": business_id})
    return None if found is None else [_told(row) for row in found]


def find_page(
    connection: Connection, business_id: str, fund_id: str, *, limit: int, cursor: str | None, keyring: Keyring
) -> Page | None:
    """One page of the fund's documents in one statement; None when this business has no such fund.

    Raises BadRequest for a cursor that is not of this query.
    """
    values: dict[str, Any] = {"fund_id": fund_id, "business_id": business_id, "rows": limit + 1}
    query = ("documents", business_id, fund_id)
    if cursor:
        (values["before"],) = cursors.read(keyring, query, cursor)
    found = rows_of_fund(connection, NEXT_PAGE if cursor else FIRST_PAGE, values)
    if found is None:
        return None
    documents = [_told(row) for row in found[:limit]]
    return Page(documents, cursors.make(keyring, query, (documents[-1]["id"],)) if len(found) > limit else None)


def add(
    session: Session, store: Store, fund_id: str, fund_name: str, new: NewDocument, upload: Incoming, *,
    by: Partner, user_id: str, now: datetime,
) -> dict[str, Any]:  # fmt: skip
    """Enter a document and keep its content, best one that was sent to the store beforehand; told by field of FIELDS.

    `user_id` is the person whose access was used. Raises AlreadyThere, of many at once for all but one, and
    StoreUnavailable. The shared lock on the business keeps `pruning` out until the commit, which would take the content
    for an orphan.
    """
    session.execute(select(Business.id).where(Business.id == by.business_id).with_for_update(read=True))
    document = Document(
        id=new_id(), fund_id=fund_id, name=new.name, type=new.type, period_start=new.period_start, period_end=new.period_end,
        tags=list(new.tags), media_type=new.kind.media_type, size=upload.size, sha256=upload.sha256, uploaded_at=now, version=1,
        uploaded_by_user_id=user_id, client_id=by.client_id, consent_id=by.consent_id,
    )  # fmt: skip
    try:
        with session.begin_nested():
            session.add(document)
    except IntegrityError:
        raise _already_there(session, fund_id, upload.sha256) from None
    facts = {"document_id": document.id, "document_name": new.name, "document_type": new.type}
    telling.tell(session, by, "data.document_added", now=now, fund_id=fund_id, fund_name=fund_name, **facts)
    store.keep(Address(by.business_id, upload.sha256), upload)
    return _told([getattr(document, name) for name in FIELDS])


def _already_there(session: Session, fund_id: str, sha256: bytes) -> AlreadyThere:
    there = session.scalars(select(Document.id).where(Document.fund_id == fund_id, Document.sha256 == sha256)).one()
    return AlreadyThere(members={"document_id": there}, detail="same content in the same fund")


def _told(row: Iterable[Any]) -> dict[str, Any]:
    named = dict(zip(FIELDS, row, strict=True))
    named["sha256"] = named["sha256"].hex()
    named["uploaded_at"] = named["uploaded_at"].isoformat()
    return named
