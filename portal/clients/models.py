"""What is stored of a partner application; the names are those of RFC 7591 §2."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Boolean, CheckConstraint, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from portal.db import Base, Digest, Id

AUTHENTICATION_METHODS = ("client_secret_basic", "client_secret_post", "private_key_jwt", "none")


class Client(Base):
    """A partner application. Its secrets are 256 random bits, so a SHA-256 digest of each is all that is kept."""

    __tablename__ = "clients"
    __table_args__ = (
        CheckConstraint(
            "token_endpoint_auth_method IN ('client_secret_basic', 'client_secret_post', 'private_key_jwt', 'none')",
            name="token_endpoint_auth_method",
        ),
    )

    client_id: Mapped[str] = mapped_column(Id, primary_key=True)
    client_name: Mapped[str] = mapped_column(String(100))
    publisher: Mapped[str] = mapped_column(String(100))
    """The company behind the application, as people know it."""
    client_uri: Mapped[str | None] = mapped_column(Text)
    policy_uri: Mapped[str | None] = mapped_column(Text)
    tos_uri: Mapped[str | None] = mapped_column(Text)
    logo: Mapped[str | None] = mapped_column(String(200))
    """A path below static/, served from our own origin; never another host's picture."""
    application_type: Mapped[str] = mapped_column(String(8), default="web")
    """`web`, or `native` whose loopback redirect may use any port (RFC 8252 §7.3)."""
    token_endpoint_auth_method: Mapped[str] = mapped_column(String(32))
    secret_digest: Mapped[bytes | None] = mapped_column(Digest)
    previous_secret_digest: Mapped[bytes | None] = mapped_column(Digest)
    previous_secret_expires_at: Mapped[datetime | None]
    """While rotating, the previous secret works until then."""
    jwks: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    """Public keys for private_key_jwt; given by value, since nothing is ever fetched."""
    redirect_uris: Mapped[list[str]] = mapped_column(JSON)
    post_logout_redirect_uris: Mapped[list[str]] = mapped_column(JSON)
    scope: Mapped[str] = mapped_column(Text)
    """Every scope the application may ask for, separated by spaces."""
    required_scopes: Mapped[list[str]] = mapped_column(JSON)
    """Scopes without which the application does not work; fixed on the consent page."""
    scope_reasons: Mapped[dict[str, str]] = mapped_column(JSON)
    """Scope to the partner's own reason for asking."""
    id_token_signed_response_alg: Mapped[str] = mapped_column(String(8), default="ES256")
    is_resource_server: Mapped[bool] = mapped_column(Boolean, default=False)
    """A resource server may introspect every token (RFC 7662 §2.1)."""
    contacts: Mapped[list[str]] = mapped_column(JSON)
    created_at: Mapped[datetime]
    disabled_at: Mapped[datetime | None]

    @property
    def is_active(self) -> bool:
        return self.disabled_at is None

    @property
    def is_public(self) -> bool:
        return self.token_endpoint_auth_method == "none"

    @property
    def scopes(self) -> list[str]:
        return self.scope.split()


class AssertionId(Base):
    """The `jti` of a client assertion that was used; claimed by its insertion (RFC 7523 §3)."""

    __tablename__ = "assertion_ids"

    digest: Mapped[bytes] = mapped_column(Digest, primary_key=True)
    expires_at: Mapped[datetime]
    replayed_at: Mapped[datetime | None]
    """When it was first presented again: that is told once, however often it comes."""
