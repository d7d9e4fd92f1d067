"""What an audit event is: who did what to which business, client and consent, and when."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from portal.db import Base, Id, new_id


class AuditEvent(Base):
    """One thing that happened. Rows are only ever added; names are copied in, so that they stay true when those change."""

    __tablename__ = "audit_events"
    __table_args__ = (
        Index("ix_audit_events_business_id_id", "business_id", "id"),
        Index("ix_audit_events_user_id_id", "user_id", "id"),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    at: Mapped[datetime]
    kind: Mapped[str] = mapped_column(String(64))
    """A word of `audit.record.KINDS`, such as `consent.given`."""
    business_id: Mapped[str | None] = mapped_column(Id)
    user_id: Mapped[str | None] = mapped_column(Id)
    """The person who did it, if a person did."""
    client_id: Mapped[str | None] = mapped_column(Id)
    consent_id: Mapped[str | None] = mapped_column(Id)
    address: Mapped[str | None] = mapped_column(String(64))
    request_id: Mapped[str | None] = mapped_column(String(64))
    detail: Mapped[dict[str, Any]] = mapped_column(JSON)
    """Names and facts for the sentence: `user_name`, `client_name`, `scopes`, …; never a secret."""
