"""A small world for the tests of the API: a business with its people, funds and partner, and tokens in any state of life."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import update
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from portal import Portal, crypto, db
from portal.accounts.models import BrowserSession, User
from portal.businesses.models import Business, Membership
from portal.clients.models import Client
from portal.consents.catalogue import CATALOGUE
from portal.consents.models import Consent
from portal.funds.models import Document, Fund, Member, PensionAccount, ReferenceData
from portal.funds.storage import Address, Incoming
from portal.oauth.models import AccessToken, Authorization

ABN = "51824753556"
ADDRESS = {
    "street_address": "1 Wattle Grove",
    "locality": "Orange",
    "region": "NSW",
    "postal_code": "2800",
    "country": "Australia",
}
NEVER = object()


@dataclass
class Grant:
    """A token with the ids of all it hangs on."""

    token: str
    consent_id: str
    client_id: str
    user_id: str
    business_id: str
    session_id: str
    authorization_id: str


@dataclass
class World:
    """One business of its own, so that tests share a database and never meet."""

    app: Portal
    business_id: str = field(default_factory=db.new_id)

    def __post_init__(self) -> None:
        self.add_business(self.business_id)

    @contextmanager
    def session(self) -> Iterator[Session]:
        with self.app.app_context(), db.transaction() as session:
            yield session

    def add_business(self, business_id: str | None = None, name: str = "Acme Super Services") -> str:
        business = Business(
            id=business_id or db.new_id(), name=name, abn=ABN, code=f"C{random.getrandbits(60):x}", fund_count=0,
            connect_policy="members", created_at=db.utcnow(),
        )  # fmt: skip
        with self.session() as session:
            session.add(business)
        return business.id

    def add_user(
        self, role: str = "access_controller", *, accepted: bool = True, business_id: str | None = None, **names: Any
    ) -> str:
        now = db.utcnow()
        user_id = db.new_id()
        named = {"given_name": "Alice", "family_name": "Hartigan", "email": f"{user_id}@acme.example", **names}
        with self.session() as session:
            session.add(User(id=user_id, created_at=now, email_verified_at=now, **named))
            session.flush()
            session.add(
                Membership(
                    user_id=user_id, business_id=business_id or self.business_id, role=role, invited_at=now,
                    accepted_at=now if accepted else None,
                )
            )  # fmt: skip
        return user_id

    def add_client(self) -> str:
        client_id = f"ledgerly-{db.new_id()}"
        with self.session() as session:
            session.add(
                Client(
                    client_id=client_id, client_name="Ledgerly", publisher="Ledgerly Pty Ltd", application_type="web",
                    token_endpoint_auth_method="none", redirect_uris=["https://ledgerly.example/callback"],
                    post_logout_redirect_uris=[], scope=" ".join(CATALOGUE), required_scopes=[], scope_reasons={},
                    id_token_signed_response_alg="ES256", is_resource_server=False, contacts=[], created_at=db.utcnow(),
                )
            )  # fmt: skip
        return client_id

    def add_funds(self, *names: str, business_id: str | None = None, **values: Any) -> list[str]:
        now = db.utcnow()
        rows = [
            Fund(
                id=db.new_id(), business_id=business_id or self.business_id, name=name, created_at=now, updated_at=now,
                **{
                    "code": f"F{number:03}", "status": "active", "tags": [], "abn": ABN, "address": ADDRESS, "version": 1,
                    "legal_entity_type": "Small APRA fund", "latest_period_update": date(2026, 6, 30), **values,
                },
            )
            for number, name in enumerate(names)
        ]  # fmt: skip
        with self.session() as session:
            session.add_all(rows)
        return [row.id for row in rows]

    def add_member(self, fund_id: str, given_name: str, balance: str = "418250.75", *, business_id: str | None = None) -> str:
        member = Member(
            id=db.new_id(), fund_id=fund_id, business_id=business_id or self.business_id, given_name=given_name, family_name="Hartigan", date_of_birth=date(1961, 3, 4),
            joined_on=date(2009, 7, 1), phase="accumulation", balance=Decimal(balance), version=1,
        )  # fmt: skip
        with self.session() as session:
            session.add(member)
        return member.id

    def add_pension_account(self, member_id: str, *, business_id: str | None = None) -> str:
        account = PensionAccount(
            id=db.new_id(), member_id=member_id, business_id=business_id or self.business_id, kind="account_based",
            started_on=date(2021, 7, 1), balance=Decimal("398000.00"), version=1,
        )  # fmt: skip
        with self.session() as session:
            session.add(account)
        return account.id

    def add_document(
        self, fund_id: str, content: bytes, *, name: str = "Annual return", business_id: str | None = None, **values: Any
    ) -> str:
        store = self.app.extensions["portal-documents"]
        upload = Incoming(store.incoming)
        upload.write(content)
        upload.seek(0)
        document = Document(
            id=db.new_id(), fund_id=fund_id, size=upload.size, sha256=upload.sha256, uploaded_at=db.utcnow(), version=1,
            **{"name": name, "type": "annual_return", "tags": [], "media_type": "application/pdf", **values},
        )  # fmt: skip
        store.keep(Address(business_id or self.business_id, upload.sha256), upload)
        with self.session() as session:
            session.add(document)
        return document.id

    def add_reference_data(self, fund_id: str) -> None:
        account = {"code": "604", "name": "Cash at bank", "type": "asset"}
        with self.session() as session:
            session.add(
                ReferenceData(
                    fund_id=fund_id, as_at=date(2026, 7, 1), chart_of_accounts=[account], investment_codes=[], opening_balances=[],
                    version=1, loaded_at=db.utcnow(),
                )
            )  # fmt: skip

    def grant(
        self, scope: str, *, role: str = "access_controller", user_id: str | None = None, client_id: str | None = None,
        online: bool = False, consent_scope: str | None = None, business_id: str | None = None,
    ) -> Grant:  # fmt: skip
        """A live token for `scope`, given by a person of that role; online ones hang on a session."""
        now, token = db.utcnow(), crypto.new_secret(crypto.ACCESS_TOKEN)
        made = Grant(
            token=token, consent_id=db.new_id(), client_id=client_id or self.add_client(), business_id=business_id or self.business_id,
            user_id=user_id or self.add_user(role, business_id=business_id), session_id=db.new_id(), authorization_id=db.new_id(),
        )  # fmt: skip
        owned = {"user_id": made.user_id, "business_id": made.business_id, "client_id": made.client_id}
        with self.session() as session:
            session.add(
                BrowserSession(
                    id=made.session_id, digest=crypto.digest(crypto.new_secret()), data={}, user_id=made.user_id, amr=[],
                    created_at=now, last_seen_at=now, idle_expires_at=now + timedelta(hours=1), expires_at=now + timedelta(hours=2),
                )
            )  # fmt: skip
            session.flush()
            session.add(
                Consent(
                    id=made.consent_id, **owned, scope=consent_scope or scope, asked=consent_scope or scope, role=role,
                    duration="12_months", granted_at=now, expires_at=now + timedelta(days=365),
                )
            )  # fmt: skip
            session.flush()
            session.add(
                Authorization(
                    id=made.authorization_id, **owned, code_digest=crypto.digest(crypto.new_secret()), consent_id=made.consent_id,
                    browser_session_id=made.session_id, session_id=made.session_id if online else None, scope=scope,
                    redirect_uri="https://ledgerly.example/callback", code_challenge="x" * 43, auth_time=now, amr=["pwd"],
                    created_at=now, code_expires_at=now, code_used_at=now,
                )
            )  # fmt: skip
            session.add(
                AccessToken(
                    digest=crypto.digest(token), authorization_id=made.authorization_id, issued_at=now,
                    expires_at=now + timedelta(minutes=10),
                )
            )  # fmt: skip
        return made

    def another_token(self, grant: Grant) -> str:
        """A second live token that hangs on the same consent."""
        now, token = db.utcnow(), crypto.new_secret(crypto.ACCESS_TOKEN)
        with self.session() as session:
            session.add(
                AccessToken(
                    digest=crypto.digest(token), authorization_id=grant.authorization_id, issued_at=now,
                    expires_at=now + timedelta(minutes=10),
                )
            )  # fmt: skip
        return token

    def change(self, model: type[db.Base], *where: Any, **values: Any) -> None:
        with self.session() as session:
            session.execute(update(model).where(*where).values(**values))

    def last_accessed(self, grant: Grant) -> Any:
        with self.session() as session:
            consent = session.get(Consent, grant.consent_id)
            assert consent is not None
            return consent.last_accessed_at

    def call(
        self, path: str, token: str | None = None, *, method: str = "GET", headers: Any = None, **options: Any
    ) -> TestResponse:
        """One call of the partner, without cookies."""
        sent = dict(headers or {})
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        partner = self.app.test_client(use_cookies=False)
        return partner.open(
            f"/api/v1{path}", method=method, headers=sent, base_url=self.app.settings.issuer, buffered=True, **options
        )
