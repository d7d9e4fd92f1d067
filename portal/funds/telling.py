"""What a partner application changed, told to the business in its history, in the transaction of the change."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from portal.audit import record
from portal.clients.models import Client
from portal.db import table_of

_client = table_of(Client)

FIND_NAME = select(_client.c.client_name).where(_client.c.client_id == bindparam("client_id"))


@dataclass(frozen=True, slots=True)
class Partner:
    """The application that calls, and the access that lets it."""

    client_id: str
    consent_id: str
    business_id: str


def tell(session: Session, partner: Partner, kind: str, *, now: datetime, **facts: Any) -> None:
    """Add the event to the business's history. `facts` are names and which members changed; never a value of theirs."""
    name = session.connection().execute(FIND_NAME, {"client_id": partner.client_id}).scalar()
    record.record(
        session,
        kind,
        now=now,
        business_id=partner.business_id,
        client_id=partner.client_id,
        consent_id=partner.consent_id,
        client_name=name,
        **facts,
    )
