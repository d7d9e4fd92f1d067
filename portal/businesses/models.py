"""What is stored of a business, and of the people who may act for it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, Integer, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal.accounts.models import User
from portal.db import Base, Id, new_id


class Business(Base):
    """A company whose data partner applications may reach."""

    __tablename__ = "businesses"
    __table_args__ = (CheckConstraint("connect_policy IN ('members', 'access_controllers')", name="connect_policy"),)

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(String(200))
    abn: Mapped[str] = mapped_column(String(11))
    """Eleven digits, valid by checksum (`businesses.abn`)."""
    code: Mapped[str] = mapped_column(String(32), unique=True)
    """The short code people know the business by; two businesses may share a name, never a code."""
    connect_policy: Mapped[str] = mapped_column(String(32), default="members")
    """Who may connect applications: `members` (within the ceiling of their role) or only `access_controllers`."""
    fund_count: Mapped[int] = mapped_column(Integer, default=0)
    """Kept by the funds room in the transaction that adds a fund."""
    created_at: Mapped[datetime]


class Membership(Base):
    """The tie between a person and a business. It counts while it is accepted and not ended."""

    __tablename__ = "memberships"
    __table_args__ = (
        UniqueConstraint("user_id", "business_id"),
        Index("ix_memberships_business_id", "business_id"),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), type_=Id)
    business_id: Mapped[str] = mapped_column(ForeignKey("businesses.id"), type_=Id)
    role: Mapped[str] = mapped_column(String(32))
    """A key of `businesses.roles.ROLES`, such as `access_controller`."""
    invited_at: Mapped[datetime]
    accepted_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]

    user: Mapped[User] = relationship(lazy="raise_on_sql")
    business: Mapped[Business] = relationship(lazy="raise_on_sql")

    @property
    def is_active(self) -> bool:
        return self.accepted_at is not None and self.ended_at is None
