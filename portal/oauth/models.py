"""What is stored of the protocol: signing keys, pushed requests, authorizations (codes) and the tokens they produced."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Index, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from portal.db import Base, Digest, Id, new_id


class SigningKey(Base):
    """A key that signs ID tokens. The newest active one of each algorithm signs; all that are not retired are published."""

    __tablename__ = "signing_keys"

    kid: Mapped[str] = mapped_column(Id, primary_key=True)
    algorithm: Mapped[str] = mapped_column(String(8))
    """ES256, RS256 or EdDSA."""
    public_jwk: Mapped[dict[str, Any]] = mapped_column(JSON)
    private_jwk: Mapped[bytes] = mapped_column(LargeBinary)
    """The private JWK as JSON, encrypted by the keyring for the purpose `signing-key`."""
    created_at: Mapped[datetime]
    retires_at: Mapped[datetime | None]
    """Set by rotation: signs no longer, and stays published until then."""


class PushedRequest(Base):
    """An authorization request that waits on the server behind a request_uri (RFC 9126)."""

    __tablename__ = "pushed_requests"

    digest: Mapped[bytes] = mapped_column(Digest, primary_key=True)
    client_id: Mapped[str] = mapped_column(Id)
    parameters: Mapped[dict[str, str]] = mapped_column(JSON)
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
    replayed_at: Mapped[datetime | None]
    """When it was first presented again: that is told once, however often it comes."""


class Authorization(Base):
    """One code and everything it produced. Ending it ends every token of its line, in one write."""

    __tablename__ = "authorizations"
    __table_args__ = (Index("ix_authorizations_consent_id", "consent_id"),)

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    code_digest: Mapped[bytes] = mapped_column(Digest, unique=True)
    client_id: Mapped[str] = mapped_column(Id)
    user_id: Mapped[str] = mapped_column(Id)
    business_id: Mapped[str] = mapped_column(Id)
    consent_id: Mapped[str] = mapped_column(Id)
    """No foreign key: it would lock and write the consent for each code, and no consent is ever deleted."""
    browser_session_id: Mapped[str] = mapped_column(Id)
    """Where the person was signed in; the `sid` of the ID token."""
    session_id: Mapped[str | None] = mapped_column(Id)
    """The session its tokens die with: set for online access, None with offline access."""
    scope: Mapped[str] = mapped_column(Text)
    redirect_uri: Mapped[str] = mapped_column(Text)
    code_challenge: Mapped[str] = mapped_column(String(128))
    nonce: Mapped[str | None] = mapped_column(Text)
    auth_time: Mapped[datetime]
    amr: Mapped[list[str]] = mapped_column(JSON)
    acr: Mapped[str | None] = mapped_column(String(32))
    """The level that the ID token tells; None in rows of an earlier release, where `amr` tells it."""
    created_at: Mapped[datetime]
    code_expires_at: Mapped[datetime]
    code_used_at: Mapped[datetime | None]
    """Claimed by one conditional UPDATE together with the tokens it earns (RFC 6749 §4.1.2)."""
    ended_at: Mapped[datetime | None]
    end_reason: Mapped[str | None] = mapped_column(String(16))
    """code_replay, reuse or revoked."""


class AccessToken(Base):
    """An access token. No foreign key: it would cost a lock on the authorization for each token, and `pruning` deletes that last."""

    __tablename__ = "access_tokens"
    __table_args__ = (Index("ix_access_tokens_expires_at", "expires_at"),)

    digest: Mapped[bytes] = mapped_column(Digest, primary_key=True)
    authorization_id: Mapped[str] = mapped_column(Id)
    scope: Mapped[str | None] = mapped_column(Text)
    """A narrower scope asked for at refresh (RFC 6749 §6); None means all of the authorization's."""
    issued_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]


class RefreshToken(Base):
    """A refresh token. Its successor follows from the token itself (`Keyring.successor`), so no link is kept."""

    __tablename__ = "refresh_tokens"

    digest: Mapped[bytes] = mapped_column(Digest, primary_key=True)
    authorization_id: Mapped[str] = mapped_column(Id)
    issued_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
