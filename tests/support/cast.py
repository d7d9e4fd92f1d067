"""The cast of every test: who they are, where they belong, and how they sign in.

Alice owns Acme, Bob audits it, Dana administers it without a second factor, Charlie is a stranger with a business of
his own, Priya manages twelve businesses. Ledgerly is the partner, Pocketfolio a public client. All of it stands in the
database before the test begins; ids are fixed, so that a failure names who it is about.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from argon2 import PasswordHasher
from sqlalchemy.orm import Session

from portal import crypto
from portal.accounts.models import TotpFactor, User
from portal.businesses.models import Business, Membership
from portal.clients.models import Client
from portal.consents.catalogue import CATALOGUE
from portal.crypto import Keyring
from portal.db import Base
from portal.funds.models import Fund, Member, PensionAccount
from portal.oauth import keys

PASSWORD = "correct horse battery staple"
TOTP_SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
SINCE = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
"""When everyone joined."""
ADDRESS = {"street_address": "1 Wharf Street", "locality": "Sydney", "region": "NSW", "postal_code": "2000", "country": "AU"}


@dataclass(frozen=True)
class Person:
    """Somebody who signs in. Without a TOTP secret they have no second factor."""

    id: str
    given_name: str
    family_name: str
    email: str
    totp_secret: str | None = TOTP_SECRET
    password: str = PASSWORD

    @property
    def name(self) -> str:
        return f"{self.given_name} {self.family_name}"


@dataclass(frozen=True)
class Company:
    id: str
    name: str
    abn: str
    code: str
    connect_policy: str = "members"


@dataclass(frozen=True)
class Partner:
    client_id: str
    client_name: str
    publisher: str
    redirect_uri: str
    scope: str
    required_scopes: tuple[str, ...]
    secret: str | None = None

    @property
    def authentication(self) -> tuple[str, str]:
        return (self.client_id, self.secret or "")


def abn(number: int) -> str:
    """A valid ABN made of any nine digits: two check digits before them, by the register's rule (modulus 89)."""
    digits = f"{number:09d}"
    weighed = sum(int(digit) * weight for digit, weight in zip(digits, range(3, 20, 2), strict=True))
    return f"{99 - weighed % 89}{digits}"


ALICE = Person("user-alice", "Alice", "Hartigan", "alice@acme.example")
BOB = Person("user-bob", "Bob", "Kowalski", "bob@acme.example")
CHARLIE = Person("user-charlie", "Charlie", "Birch", "charlie@birch.example")
PRIYA = Person("user-priya", "Priya", "Venkatesan", "priya@practice.example")
DANA = Person("user-dana", "Dana", "O’Connor", "dana@acme.example", totp_secret=None)
PEOPLE = (ALICE, BOB, CHARLIE, PRIYA, DANA)

ACME = Company("business-acme", "Acme Super Services", "51824753556", "ACME")
BIRCH = Company("business-birch", "Birch & Co", abn(100200300), "BIRCH")
HARBOUR_SYDNEY = Company("business-harbour-syd", "Harbour Super Partners", abn(200300400), "HARBOUR-SYD")
HARBOUR_PERTH = Company("business-harbour-per", "Harbour Super Partners", abn(300400500), "HARBOUR-PER")
FERNHILL = Company("business-fernhill", "Fernhill Accounting", abn(400500600), "FERNHILL")
LOCKYER = Company("business-lockyer", "Lockyer Trusts", abn(500600700), "LOCKYER", connect_policy="access_controllers")
PRACTICES = (
    HARBOUR_SYDNEY,
    HARBOUR_PERTH,
    FERNHILL,
    LOCKYER,
    *(Company(f"business-practice-{n}", f"Practice number {n}", abn(600000000 + n), f"PRACTICE-{n}") for n in range(5, 13)),
)
"""Priya's twelve: two of one name, Fernhill not accepted yet, Lockyer lets only Access Controllers connect."""
COMPANIES = (ACME, BIRCH, *PRACTICES)

PLACES = (
    (ALICE, ACME, "access_controller"),
    (BOB, ACME, "fund_auditor"),
    (DANA, ACME, "fund_administrator"),
    (CHARLIE, BIRCH, "access_controller"),
    *((PRIYA, practice, "fund_administrator") for practice in PRACTICES),
)

LEDGERLY = Partner(
    client_id="ledgerly",
    client_name="Ledgerly",
    publisher="Ledgerly Pty Ltd",
    redirect_uri="http://127.0.0.1:5001/callback",
    scope=" ".join(CATALOGUE),
    required_scopes=("openid", "funds.summary"),
    secret=crypto.CLIENT_SECRET + "ledgerly-secret-that-only-tests-know-0123456789",
)
POCKETFOLIO = Partner(
    client_id="pocketfolio",
    client_name="Pocketfolio",
    publisher="Pocketfolio Apps Pty Ltd",
    redirect_uri="http://127.0.0.1/callback",
    scope="openid profile funds.summary funds.basic members.read funds.read business.read offline_access",
    required_scopes=("openid",),
)


def everything(keyring: Keyring) -> Iterator[Base]:
    """The rows of the whole cast, parents first."""
    password_hash = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash(PASSWORD)
    for person in PEOPLE:
        yield user_row(person, password_hash, keyring)
    for company in COMPANIES:
        yield business_row(company)
    for person, company, role in PLACES:
        yield membership_row(person.id, company.id, role, accepted=company is not FERNHILL)
    for partner in (LEDGERLY, POCKETFOLIO):
        yield client_row(partner)
    for company, count in ((ACME, 3), (BIRCH, 1)):
        yield from fund_rows(company, count)


def seed(session: Session, keyring: Keyring) -> None:
    """Put the cast and the signing keys into an empty database."""
    keys.ensure_keys(session, keyring, now=SINCE)
    for row in everything(keyring):
        session.add(row)
        session.flush()


def user_row(person: Person, password_hash: str | None, keyring: Keyring, **changes: Any) -> User:
    facts: dict[str, Any] = {
        "id": person.id,
        "email": person.email,
        "email_verified_at": SINCE,
        "password_hash": password_hash,
        "given_name": person.given_name,
        "family_name": person.family_name,
        "address": ADDRESS,
        "zoneinfo": "Australia/Sydney",
        "created_at": SINCE,
    }
    user = User(**facts | changes)
    if person.totp_secret:
        user.totp = TotpFactor(secret=keyring.encrypt("totp", person.totp_secret.encode()), confirmed_at=SINCE)
    return user


def business_row(company: Company, **changes: Any) -> Business:
    facts: dict[str, Any] = {
        "id": company.id,
        "name": company.name,
        "abn": company.abn,
        "code": company.code,
        "connect_policy": company.connect_policy,
        "created_at": SINCE,
    }
    return Business(**facts | changes)


def membership_row(user_id: str, business_id: str, role: str, *, accepted: bool = True) -> Membership:
    accepted_at = SINCE + timedelta(days=1) if accepted else None
    return Membership(user_id=user_id, business_id=business_id, role=role, invited_at=SINCE, accepted_at=accepted_at)


def client_row(partner: Partner, **changes: Any) -> Client:
    site = f"https://{partner.client_id}.example"
    facts: dict[str, Any] = {
        "client_id": partner.client_id,
        "client_name": partner.client_name,
        "publisher": partner.publisher,
        "client_uri": site,
        "policy_uri": f"{site}/privacy",
        "tos_uri": f"{site}/terms",
        "application_type": "web" if partner.secret else "native",
        "token_endpoint_auth_method": "client_secret_basic" if partner.secret else "none",
        "secret_digest": crypto.digest(partner.secret) if partner.secret else None,
        "redirect_uris": [partner.redirect_uri],
        "post_logout_redirect_uris": [],
        "scope": partner.scope,
        "required_scopes": list(partner.required_scopes),
        "scope_reasons": {scope: f"Why {partner.client_name} asks for {scope}." for scope in partner.scope.split()},
        "contacts": [f"integrations@{partner.client_id}.example"],
        "created_at": SINCE,
    }
    return Client(**facts | changes)


def fund_rows(company: Company, count: int) -> Iterator[Base]:
    """`count` funds with two members each, of which the elder draws a pension."""
    for number in range(1, count + 1):
        fund_id = f"fund-{company.code.lower()}-{number}"
        yield Fund(
            id=fund_id, business_id=company.id, name=f"{company.name} Fund {number}", code=f"{company.code}{number}", status="active",
            tags=["audit due"] if number == 1 else [], legal_entity_type="SMSF", abn=abn(700000000 + number),
            latest_period_update=date(2026, 6, 30), address=ADDRESS, created_at=SINCE, updated_at=SINCE,
        )  # fmt: skip
        for name, born, phase in (("Margaret", 1951, "pension"), ("Neil", 1974, "accumulation")):
            member_id = f"{fund_id}-{name.lower()}"
            yield Member(
                id=member_id, fund_id=fund_id, business_id=company.id, given_name=name, family_name="Ashby", date_of_birth=date(born, 3, 14),
                joined_on=date(2010, 7, 1), phase=phase, balance=Decimal("412500.25"),
            )  # fmt: skip
        yield PensionAccount(
            id=f"{fund_id}-pension", member_id=f"{fund_id}-margaret", business_id=company.id, kind="account_based", started_on=date(2018, 7, 1),
            balance=Decimal("398000.00"),
        )  # fmt: skip
