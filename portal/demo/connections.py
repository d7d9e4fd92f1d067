"""What was connected before anyone looks: consents of the past, with when they were last used and how some ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from portal.accounts.models import User
from portal.audit import record
from portal.audit.models import AuditEvent
from portal.businesses.models import Business
from portal.clients.models import Client
from portal.consents import catalogue, ending
from portal.consents.decisions import LENGTHS
from portal.consents.models import Consent
from portal.demo.chance import Chance
from portal.demo.partners import LEDGERLY, POCKETFOLIO, TIDEMARK
from portal.demo.people import GRETA, PRIYA, TOM


@dataclass(frozen=True, kw_only=True)
class Connection:
    """One past decision; times are counted back from the day the demo is loaded."""

    business: str
    client: str
    person: str
    role: str
    scope: str
    duration: str
    granted: timedelta
    last_accessed: timedelta | None = None
    ended: timedelta | None = None
    ended_by: str | None = None


CONNECTIONS = (
    Connection(
        business="NORTHSIDE", client=TIDEMARK, person=TOM, role="access_controller", duration="12_months",
        scope="openid profile funds.summary offline_access",
        granted=timedelta(days=203), last_accessed=timedelta(days=9, hours=4), ended=timedelta(days=9), ended_by=GRETA,
    ),
    Connection(
        business="NORTHSIDE", client=LEDGERLY, person=PRIYA, role="fund_administrator", duration="12_months",
        scope="openid profile funds.summary funds.basic members.read offline_access",
        granted=timedelta(days=141), last_accessed=timedelta(hours=3, minutes=12),
    ),
    Connection(
        business="NORTHSIDE", client=POCKETFOLIO, person=GRETA, role="access_controller", duration="3_months",
        scope="openid funds.summary funds.basic offline_access",
        granted=timedelta(days=91 - 12), last_accessed=timedelta(days=1, hours=5),
    ),
    Connection(
        business="NORTHSIDE", client=LEDGERLY, person=TOM, role="access_controller", duration="12_months",
        scope="openid funds.summary funds.read business.read offline_access",
        granted=timedelta(days=37), last_accessed=timedelta(days=2, hours=1),
    ),
    Connection(
        business="COPPER", client=POCKETFOLIO, person=PRIYA, role="fund_administrator", duration="12_months",
        scope="openid funds.summary offline_access",
        granted=timedelta(days=6),
    ),
)  # fmt: skip
"""The oldest first, as they were decided."""


def add(
    session: Session,
    users: Mapping[str, User],
    businesses: Mapping[str, Business],
    clients: Mapping[str, Client],
    chance: Chance,
    *,
    now: datetime,
) -> list[Consent]:
    """Add the consents (and return them), and to the audit record what each business's history page tells of them, in the order of time."""
    told: list[tuple[datetime, str, Consent, User]] = []
    for past in CONNECTIONS:
        consent = _consent(past, users, businesses[past.business], clients[past.client], now=now)
        consent.id = chance.new_id()
        session.add(consent)
        told.append((consent.granted_at, "consent.given", consent, users[past.person]))
        if consent.revoked_at is not None and past.ended_by is not None:
            told.append((consent.revoked_at, "consent.revoked", consent, users[past.ended_by]))
    for moment, kind, consent, user in sorted(told, key=lambda entry: entry[0]):
        event = _tell(session, kind, consent, user, clients[consent.client_id], now=moment)
        event.id = chance.new_id(moment)
    return list(dict.fromkeys(consent for _, _, consent, _ in told))


def _consent(past: Connection, users: Mapping[str, User], business: Business, client: Client, *, now: datetime) -> Consent:
    granted_at = now - past.granted
    return Consent(
        user_id=users[past.person].id,
        business_id=business.id,
        client_id=client.client_id,
        scope=" ".join(catalogue.in_order(past.scope.split())),
        asked=" ".join(catalogue.in_order(client.scopes)),
        duration=past.duration,
        role=past.role,
        granted_at=granted_at,
        expires_at=granted_at + LENGTHS[past.duration],  # type: ignore[operator]  # none of these is for a session
        last_accessed_at=None if past.last_accessed is None else now - past.last_accessed,
        revoked_at=None if past.ended is None else now - past.ended,
        revoked_by_user_id=None if past.ended_by is None else users[past.ended_by].id,
        revoke_reason=None if past.ended is None else ending.BY_A_PERSON,
    )


def _tell(session: Session, kind: str, consent: Consent, user: User, client: Client, *, now: datetime) -> AuditEvent:
    return record.record(
        session,
        kind,
        now=now,
        user_id=user.id,
        business_id=consent.business_id,
        client_id=client.client_id,
        consent_id=consent.id,
        user_name=user.name,
        client_name=client.client_name,
        scopes=consent.scopes,
        role=consent.role,
    )
