"""Loading the demo data: everyone of the cast, their businesses with funds, the partner applications, and what was connected before."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from portal import crypto
from portal.accounts.models import TotpFactor, User
from portal.accounts.passwords import Passwords
from portal.businesses.models import Business, Membership
from portal.clients import metadata, registration
from portal.clients.metadata import Rules
from portal.clients.models import Client
from portal.config import Settings
from portal.crypto import Keyring
from portal.db import table_of
from portal.demo import connections, papers, partners, portfolio, uses
from portal.demo.chance import Chance
from portal.demo.people import COMPANIES, PASSWORD, PEOPLE, TOTP_SECRET, Company, Person
from portal.demo.portfolio import Portfolio
from portal.funds import storage
from portal.funds.models import Fund, Member, PensionAccount, ReferenceData
from portal.oauth import keys

EMPTY, LOADED, FOREIGN = "empty", "loaded", "foreign"
SINCE = timedelta(days=400)
"""How long ago everyone joined."""


def state(session: Session) -> str:
    """What the database holds: nothing (EMPTY), the demo data and what came of using it (LOADED), or other people's data (FOREIGN)."""
    cast = {person.email for person in PEOPLE}
    if cast <= set(session.scalars(select(User.email).where(User.email.in_(cast)))) and _has_client(session):
        return LOADED
    holds_any = any(
        session.scalars(select(column).limit(1)).first() is not None for column in (User.id, Business.id, Client.client_id)
    )
    return FOREIGN if holds_any else EMPTY


def _has_client(session: Session) -> bool:
    return session.scalar(select(Client.client_id).where(Client.client_id == partners.LEDGERLY)) is not None


def load(
    session: Session, settings: Settings, keyring: Keyring, rules: Rules, *, partner_origin: str, now: datetime
) -> dict[str, int]:
    """Fill an empty database. Returns how many there are of each kind, in words to counts."""
    chance = Chance()
    keys.ensure_keys(session, keyring, now=now)
    users = {person.email: _user(person, settings, keyring, chance, now) for person in PEOPLE}
    session.add_all(users.values())
    businesses = {company.code: _business(company, chance, now) for company in COMPANIES}
    session.add_all(businesses.values())
    session.flush()
    session.add_all(_memberships(users, businesses, chance, now))
    clients = _clients(rules, partner_origin, now)
    session.add_all(clients.values())
    session.flush()
    connected = connections.add(session, users, businesses, clients, chance, now=now)
    uses.add(session, connected, settings.timezone, now=now)
    funds = _add_funds(session, businesses, chance, now)
    documents = papers.add(session, storage.store_of(settings), funds.funds, chance, now=now)
    return {
        "people": len(users),
        "businesses": len(businesses),
        "funds": len(funds.funds),
        "members": len(funds.members),
        "documents": documents,
        "partner applications": len(clients),
    }


def point_partner(session: Session, rules: Rules, *, partner_origin: str, now: datetime) -> bool:
    """Let the sample partner be where it runs today; its port is a setting of the demo. Whether it was elsewhere before."""
    today = partners.ledgerly(partner_origin)
    ledgerly = session.get_one(Client, partners.LEDGERLY, with_for_update=True)
    moved = {name: today[name] for name in ("redirect_uris", "post_logout_redirect_uris")}
    changed, _secret = registration.change(session, ledgerly, moved, rules, now=now)
    return bool(changed)


def _user(person: Person, settings: Settings, keyring: Keyring, chance: Chance, now: datetime) -> User:
    user = User(
        id=chance.new_id(),
        email=person.email,
        email_verified_at=now - SINCE,
        password_hash=Passwords(settings).hash(PASSWORD) if person.can_sign_in else None,
        given_name=person.given_name,
        middle_name=person.middle_name,
        family_name=person.family_name,
        address=chance.address(),
        zoneinfo=settings.timezone,
        created_at=now - SINCE,
    )
    if person.can_sign_in and person.mfa:
        user.totp = TotpFactor(secret=keyring.encrypt("totp", TOTP_SECRET.encode()), confirmed_at=now - SINCE)
    return user


def _business(company: Company, chance: Chance, now: datetime) -> Business:
    return Business(
        id=chance.new_id(),
        name=company.name,
        abn=chance.abn(),
        code=company.code,
        connect_policy=company.connect_policy,
        fund_count=company.funds,
        created_at=now - SINCE,
    )


def _memberships(users: dict[str, User], businesses: dict[str, Business], chance: Chance, now: datetime) -> list[Membership]:
    return [
        Membership(
            id=chance.new_id(),
            user_id=users[place.email].id,
            business_id=businesses[company.code].id,
            role=place.role,
            invited_at=now - SINCE if place.accepted else now - timedelta(days=5),
            accepted_at=now - SINCE + timedelta(days=2) if place.accepted else None,
        )
        for company in COMPANIES
        for place in company.people
    ]


def _clients(rules: Rules, partner_origin: str, now: datetime) -> dict[str, Client]:
    digest = crypto.digest(partners.LEDGERLY_SECRET)
    described = (partners.ledgerly(partner_origin), partners.POCKETFOLIO_METADATA, partners.TIDEMARK_METADATA)
    return {
        document["client_id"]: Client(
            client_id=document["client_id"],
            **metadata.check(document, rules),
            secret_digest=digest if document["client_id"] == partners.LEDGERLY else None,
            created_at=now - SINCE,
        )
        for document in described
    }


def _add_funds(session: Session, businesses: dict[str, Business], chance: Chance, now: datetime) -> Portfolio:
    made = Portfolio()
    for company in COMPANIES:
        portfolio.add_funds(made, company, businesses[company.code].id, chance, now=now)
    tables: tuple[tuple[Any, portfolio.Rows], ...] = (
        (Fund, made.funds),
        (Member, made.members),
        (PensionAccount, made.pension_accounts),
        (ReferenceData, made.reference_data),
    )
    for model, rows in tables:
        session.execute(insert(table_of(model)), rows)
    return made
