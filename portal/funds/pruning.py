"""Removing contents that no document has: those that were stored, and then the upload was refused or its worker killed.

Only what has lain there for a day is looked at, never what is being uploaded now. Each business is locked for as long as
it takes to look and remove, so that an upload of what lies there already waits and then puts it there anew, or is seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import groupby, islice
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from portal.businesses.models import Business
from portal.funds.models import Document, Fund
from portal.funds.storage import Address, Store

OLD_ENOUGH = timedelta(hours=24)
AT_ONCE = 200

Batch = tuple[str, list[Address]]


def batches(store: Store, *, now: datetime, older_than: timedelta = OLD_ENOUGH) -> Iterator[Batch]:
    """The addresses of contents that are old enough, business by business, a few hundred at a time."""
    old = (content.address for content in store.contents() if content.stored_at <= now - older_than)
    for business_id, addresses in groupby(old, key=lambda address: address.business_id):
        while batch := list(islice(addresses, AT_ONCE)):
            yield business_id, batch


def lock(business_id: str) -> Select[Any]:
    """Keeps every upload of the business out until the commit, and nobody who only refers to it, as a new fund does."""
    return select(Business.id).where(Business.id == business_id).with_for_update(key_share=True)


def prune(session: Session, store: Store, batch: Batch) -> int:
    """Remove what no document of the business has; to be committed after each batch. Returns how many were removed."""
    business_id, addresses = batch
    session.execute(lock(business_id))
    digests = [address.sha256 for address in addresses]
    kept = set(
        session.scalars(
            select(Document.sha256)
            .join(Fund, Fund.id == Document.fund_id)
            .where(Fund.business_id == business_id, Document.sha256.in_(digests))
        )
    )
    orphans = [address for address in addresses if address.sha256 not in kept]
    if orphans:
        store.remove(*orphans)
    return len(orphans)
