"""What is stored of calls: how many each consent made in the running minute."""

from __future__ import annotations

from sqlalchemy import BigInteger, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from portal.db import Base, Id


class CallWindow(Base):
    """The calls of one consent in one minute of the clock, as its workers have added them. There is none for a quiet one."""

    __tablename__ = "call_windows"

    consent_id: Mapped[str] = mapped_column(ForeignKey("consents.id"), type_=Id, primary_key=True)
    minute: Mapped[int] = mapped_column(BigInteger)
    """Whole minutes since 1970."""
    calls: Mapped[int]
