"""What is stored of a fund, its members and their pension accounts."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import JSON, Date, ForeignKey, Index, Integer, Numeric, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from portal.db import Base, Digest, Id, new_id

FUND_STATUSES = ("active", "winding_up", "closed")
DOCUMENT_TYPES = (
    "annual_return", "financial_statement", "audit_report", "minutes", "trust_deed", "member_statement", "bank_statement",
    "investment_report", "correspondence", "other",
)  # fmt: skip
MEMBER_PHASES = ("accumulation", "pension")
PENSION_KINDS = ("account_based", "transition_to_retirement", "market_linked")


class Fund(Base):
    """A retirement fund of a business."""

    __tablename__ = "funds"
    __table_args__ = (Index("ix_funds_business_id_name_id", "business_id", "name", "id"),)

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    business_id: Mapped[str] = mapped_column(ForeignKey("businesses.id"), type_=Id)
    name: Mapped[str] = mapped_column(String(200))
    code: Mapped[str] = mapped_column(String(32))
    status: Mapped[str] = mapped_column(String(16))
    """A word of FUND_STATUSES."""
    tags: Mapped[list[str]] = mapped_column(JSON)
    legal_entity_type: Mapped[str] = mapped_column(String(64))
    abn: Mapped[str] = mapped_column(String(11))
    latest_period_update: Mapped[date | None] = mapped_column(Date)
    address: Mapped[dict[str, str]] = mapped_column(JSON)
    """street_address, locality, region, postal_code, country."""
    version: Mapped[int] = mapped_column(Integer, default=1)
    """Counted up by each change; the ETag."""
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class Member(Base):
    """A member of a fund. Tax file numbers are not stored."""

    __tablename__ = "fund_members"
    __table_args__ = (
        Index("ix_fund_members_fund_id_id", "fund_id", "id"),
        Index("ix_fund_members_business_id_id", "business_id", "id"),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    fund_id: Mapped[str] = mapped_column(ForeignKey("funds.id"), type_=Id)
    business_id: Mapped[str] = mapped_column(Id)
    """That of the fund, which never changes; here so that one index serves the list of a whole business."""
    given_name: Mapped[str] = mapped_column(String(200))
    family_name: Mapped[str] = mapped_column(String(200))
    date_of_birth: Mapped[date] = mapped_column(Date)
    joined_on: Mapped[date] = mapped_column(Date)
    phase: Mapped[str] = mapped_column(String(16))
    """A word of MEMBER_PHASES."""
    balance: Mapped[Decimal] = mapped_column(Numeric(16, 2))
    version: Mapped[int] = mapped_column(Integer, default=1)


class PensionAccount(Base):
    """A pension paid to a member."""

    __tablename__ = "pension_accounts"
    __table_args__ = (
        Index("ix_pension_accounts_member_id_id", "member_id", "id"),
        Index("ix_pension_accounts_business_id_id", "business_id", "id"),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    member_id: Mapped[str] = mapped_column(ForeignKey("fund_members.id"), type_=Id)
    business_id: Mapped[str] = mapped_column(Id)
    """That of the member's fund."""
    kind: Mapped[str] = mapped_column(String(32))
    """A word of PENSION_KINDS."""
    started_on: Mapped[date] = mapped_column(Date)
    balance: Mapped[Decimal] = mapped_column(Numeric(16, 2))
    version: Mapped[int] = mapped_column(Integer, default=1)


class Document(Base):
    """A document of a fund. Its content lies outside the tables, under the business and its SHA-256."""

    __tablename__ = "documents"
    __table_args__ = (UniqueConstraint("fund_id", "sha256"), Index("ix_documents_fund_id_id", "fund_id", "id"))

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    fund_id: Mapped[str] = mapped_column(ForeignKey("funds.id"), type_=Id)
    name: Mapped[str] = mapped_column(String(200))
    type: Mapped[str] = mapped_column(String(32))
    """A word of DOCUMENT_TYPES."""
    period_start: Mapped[date | None] = mapped_column(Date)
    period_end: Mapped[date | None] = mapped_column(Date)
    tags: Mapped[list[str]] = mapped_column(JSON)
    media_type: Mapped[str] = mapped_column(String(100))
    """One of `kinds.KINDS`, which the content was checked against."""
    size: Mapped[int] = mapped_column(Integer)
    """Bytes."""
    sha256: Mapped[bytes] = mapped_column(Digest)
    uploaded_at: Mapped[datetime]
    uploaded_by_user_id: Mapped[str | None] = mapped_column(ForeignKey("users.id"), type_=Id)
    """The person whose access was used."""
    client_id: Mapped[str | None] = mapped_column(ForeignKey("clients.client_id"), type_=Id)
    consent_id: Mapped[str | None] = mapped_column(ForeignKey("consents.id"), type_=Id)
    version: Mapped[int] = mapped_column(Integer, default=1)


class ReferenceData(Base):
    """What a fund's books begin with; loaded as a whole and replaced as a whole."""

    __tablename__ = "fund_reference_data"

    fund_id: Mapped[str] = mapped_column(ForeignKey("funds.id"), primary_key=True, type_=Id)
    as_at: Mapped[date] = mapped_column(Date)
    """The day of the opening balances."""
    chart_of_accounts: Mapped[list[dict[str, str]]] = mapped_column(JSON)
    """`code`, `name` and `type` of each account."""
    investment_codes: Mapped[list[dict[str, str]]] = mapped_column(JSON)
    """`code` and `name` of each."""
    opening_balances: Mapped[list[dict[str, str]]] = mapped_column(JSON)
    """`account_code`, `amount` and maybe `investment_code` of each; debits above zero, all together zero."""
    version: Mapped[int] = mapped_column(Integer, default=1)
    loaded_at: Mapped[datetime]
