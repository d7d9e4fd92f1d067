"""The access table of Acme as tests meet it: where it is, what it lists, what stands, and what was recorded."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.audit.models import AuditEvent
from portal.consents.models import Consent

Transaction = Callable[[], AbstractContextManager[Session]]
PAGE = "/business/business-acme/access"
UNDO = f"{PAGE}/ledgerly/undo"
HTMX = {"HX-Request": "true"}


def names(text: str) -> list[str]:
    """The applications in the order of the page."""
    return re.findall(r'class="application-name"[^>]*>([^<]+)<', text)


def events(transaction: Transaction, kind: str) -> list[AuditEvent]:
    with transaction() as session:
        return list(session.scalars(select(AuditEvent).where(AuditEvent.kind == kind).order_by(AuditEvent.id)))


def standing(transaction: Transaction) -> set[str]:
    with transaction() as session:
        return set(session.scalars(select(Consent.id).where(Consent.revoked_at.is_(None))))
