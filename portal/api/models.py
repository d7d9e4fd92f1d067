"""What is stored of calls: how many each consent made in the running minute, and the answers of those not to be done twice."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, SmallInteger, Text
from sqlalchemy.orm import Mapped, mapped_column

from portal.db import Base, Digest, Id


class CallWindow(Base):
    """The calls of one consent in one minute of the clock, as its workers have added them. There is none for a quiet one."""

    __tablename__ = "call_windows"

    consent_id: Mapped[str] = mapped_column(ForeignKey("consents.id"), type_=Id, primary_key=True)
    minute: Mapped[int] = mapped_column(BigInteger)
    """Whole minutes since 1970."""
    calls: Mapped[int]


class IdempotentCall(Base):
    """One call that came with an `Idempotency-Key`, and what was answered. The row is made in the transaction of the work."""

    __tablename__ = "idempotent_calls"
    __table_args__ = (Index("ix_idempotent_calls_created_at", "created_at"),)

    key_digest: Mapped[bytes] = mapped_column(Digest, primary_key=True)
    """SHA-256 of the key with the application, person and business it belongs to."""
    request_digest: Mapped[bytes] = mapped_column(Digest)
    """SHA-256 of method, path and body."""
    created_at: Mapped[datetime]
    status: Mapped[int | None] = mapped_column(SmallInteger)
    """None only while the transaction that made the row is at work, and so never to anyone else."""
    headers: Mapped[dict[str, str] | None] = mapped_column(JSON)
    body: Mapped[str | None] = mapped_column(Text)
