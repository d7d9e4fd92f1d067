"""What is stored of a person: the user, the browser sessions, the second factor, and failed attempts to sign in."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from flask_login import UserMixin
from sqlalchemy import JSON, BigInteger, ForeignKey, Index, Integer, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal.db import Base, Digest, Id, new_id


class User(UserMixin, Base):  # type: ignore[misc]
    """A person. `id` is also the `sub` that partners see: stable and opaque (OIDC Core §2)."""

    __tablename__ = "users"

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    email: Mapped[str] = mapped_column(String(320), unique=True)
    """Normalised by email-validator and lower-cased."""
    email_verified_at: Mapped[datetime | None]
    password_hash: Mapped[str | None] = mapped_column(Text)
    """argon2id in PHC form; None until an invited person has chosen a password."""
    given_name: Mapped[str] = mapped_column(String(200))
    middle_name: Mapped[str | None] = mapped_column(String(200))
    family_name: Mapped[str] = mapped_column(String(200))
    address: Mapped[dict[str, str] | None] = mapped_column(JSON)
    """OIDC Core §5.1.1: street_address, locality, region, postal_code, country."""
    zoneinfo: Mapped[str | None] = mapped_column(String(64))
    created_at: Mapped[datetime]
    disabled_at: Mapped[datetime | None]

    totp: Mapped[TotpFactor | None] = relationship(back_populates="user", lazy="raise_on_sql", uselist=False)

    @property
    def name(self) -> str:
        return " ".join(part for part in (self.given_name, self.middle_name, self.family_name) if part)

    @property
    def is_active(self) -> bool:
        return self.disabled_at is None

    @property
    def mfa_on(self) -> bool:
        return self.totp is not None


class BrowserSession(Base):
    """One browser, signed in or not. The cookie holds a secret whose digest is stored; a new one at each privilege change."""

    __tablename__ = "sessions"
    __table_args__ = (Index("ix_sessions_user_id", "user_id"),)

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    """Stable for the life of the session; the `sid` of ID tokens."""
    digest: Mapped[bytes] = mapped_column(Digest, unique=True)
    data: Mapped[dict[str, Any]] = mapped_column(JSON)
    """What Flask's `session` holds: the CSRF secret, flashed messages, half-done enrolment."""
    user_id: Mapped[str | None] = mapped_column(ForeignKey("users.id"), type_=Id)
    """The person signed in: password given, and the second factor if they have one."""
    pending_user_id: Mapped[str | None] = mapped_column(ForeignKey("users.id"), type_=Id)
    """The person whose password was right and whose second factor is still asked for."""
    auth_time: Mapped[datetime | None]
    """When the person last proved who they are (OIDC Core §2)."""
    amr: Mapped[list[str]] = mapped_column(JSON)
    """What was performed in this session, in words of RFC 8176."""
    created_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
    """Moved at most once a minute."""
    idle_expires_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    end_reason: Mapped[str | None] = mapped_column(String(32))
    """signed_out, ended_elsewhere, switched_user, password_changed, mfa_changed."""
    user_agent: Mapped[str | None] = mapped_column(String(400))
    network_address: Mapped[str | None] = mapped_column("address", String(64))

    user: Mapped[User | None] = relationship(foreign_keys=[user_id], lazy="raise_on_sql")

    @property
    def is_visit(self) -> bool:
        """Whether this is the session of nobody in particular: no password was right in it."""
        return self.user is None and self.pending_user_id is None

    def is_live(self, now: datetime) -> bool:
        return self.ended_at is None and now < self.idle_expires_at and now < self.expires_at

    def age_of_sign_in(self, now: datetime) -> timedelta | None:
        return None if self.auth_time is None else now - self.auth_time


class TotpFactor(Base):
    """An authenticator app (RFC 6238): the secret, encrypted, and the last time step that was used."""

    __tablename__ = "totp_factors"

    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), type_=Id, primary_key=True)
    secret: Mapped[bytes] = mapped_column(LargeBinary)
    """Encrypted by the keyring for the purpose `totp`."""
    last_step: Mapped[int] = mapped_column(BigInteger, default=0)
    """A code counts once: claimed by `UPDATE … WHERE last_step < :step` (RFC 6238 §5.2)."""
    confirmed_at: Mapped[datetime]

    user: Mapped[User] = relationship(back_populates="totp")


class RecoveryCode(Base):
    """One of ten codes that stand in for the authenticator app once each."""

    __tablename__ = "recovery_codes"

    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), type_=Id, primary_key=True)
    digest: Mapped[bytes] = mapped_column(Digest, primary_key=True)
    """Keyed digest by the keyring for the purpose `recovery-code`."""
    created_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class Throttle(Base):
    """Failed attempts counted for one account or one address; kept in the database so that all workers and restarts see them."""

    __tablename__ = "throttles"

    key: Mapped[bytes] = mapped_column(Digest, primary_key=True)
    """Keyed digest of `account:…`, `mfa:…` or `address:…`, so that the table tells nothing about who tried."""
    failures: Mapped[int] = mapped_column(Integer)
    window_ends_at: Mapped[datetime]
