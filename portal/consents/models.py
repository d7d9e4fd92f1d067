"""What is stored of a decision: who allowed which client what, for which business, and how it ended."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import ForeignKey, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.db import Base, Id, new_id


class Consent(Base):
    """What one person allowed one client for one business. At most one stands at a time; ended ones stay for the record."""

    __tablename__ = "consents"
    __table_args__ = (
        Index(
            "uq_consents_standing",
            "user_id",
            "client_id",
            "business_id",
            unique=True,
            sqlite_where=text("revoked_at IS NULL"),
            postgresql_where=text("revoked_at IS NULL"),
        ),
        Index("ix_consents_business_id_client_id", "business_id", "client_id"),
        Index(
            "ix_consents_expires_at",
            "expires_at",
            sqlite_where=text("revoked_at IS NULL"),
            postgresql_where=text("revoked_at IS NULL"),
        ),
        Index(
            "ix_consents_session_id",
            "session_id",
            sqlite_where=text("revoked_at IS NULL AND session_id IS NOT NULL"),
            postgresql_where=text("revoked_at IS NULL AND session_id IS NOT NULL"),
        ),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), type_=Id)
    business_id: Mapped[str] = mapped_column(ForeignKey("businesses.id"), type_=Id)
    client_id: Mapped[str] = mapped_column(ForeignKey("clients.client_id"), type_=Id)
    scope: Mapped[str] = mapped_column(Text)
    """The scopes that were ticked, in catalogue order, separated by spaces."""
    asked: Mapped[str] = mapped_column(Text)
    """The scopes the person was asked for when they decided, so that the same question is not put again."""
    duration: Mapped[str] = mapped_column(String(16))
    """A key of `decisions.LENGTHS`: session, 3_months or 12_months."""
    session_id: Mapped[str | None] = mapped_column(ForeignKey("sessions.id"), type_=Id)
    """The browser session this consent lives and dies with; only for the duration `session`."""
    role: Mapped[str] = mapped_column(String(32))
    """The person's role when they decided."""
    granted_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    last_accessed_at: Mapped[datetime | None]
    """Moved by every successful API call, at most once a minute."""
    revoked_at: Mapped[datetime | None]
    revoked_by_user_id: Mapped[str | None] = mapped_column(ForeignKey("users.id"), type_=Id)
    """The person who ended it; None when it was the client or the clock, or its session was over."""
    revoke_reason: Mapped[str | None] = mapped_column(String(16))
    """user, users (two of them), client, expired or signed_out."""

    @property
    def scopes(self) -> list[str]:
        return self.scope.split()

    @property
    def is_offline(self) -> bool:
        """Whether it opens anything while the person is signed out: not one for a session, whatever was ticked."""
        return "offline_access" in self.scopes and self.session_id is None


class UsageDay(Base):
    """What a client did with a consent on one day, for one scope. Workers add to it what they have counted (`usage`).

    No foreign key: a consent that is gone must not keep the counts of all others from being stored with it.
    """

    __tablename__ = "usage_days"

    consent_id: Mapped[str] = mapped_column(Id, primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    """The calendar day in the portal's time zone."""
    scope: Mapped[str] = mapped_column(String(32), primary_key=True)
    """The scope that the calls needed, which may be a part of one that was allowed."""
    calls: Mapped[int]
    """Calls that were answered."""
    refused: Mapped[int]
    """Calls that were refused: for want of the scope, after the access had ended, over the limit, or for a mistake of their own."""
    last_at: Mapped[datetime | None]
    """The last call that was answered."""
