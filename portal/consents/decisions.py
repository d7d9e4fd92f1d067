"""What a person decides about an application: allow what was ticked, or deny.

A consent belongs to one person, one business and one client. Saying yes replaces what stood before with what was ticked
now, never with both together; saying it twice at once leaves one consent. What a token opens is asked of the consent at
every use, so older tokens go on only for what is still allowed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from portal.accounts.models import BrowserSession, User
from portal.audit import record
from portal.businesses import roles
from portal.businesses.models import Membership
from portal.clients.models import Client
from portal.consents import catalogue, lapsing, standing
from portal.consents.models import Consent
from portal.db import new_id, table_of
from portal.errors import Conflict

_consent = table_of(Consent)

LONGEST = "12_months"
LENGTHS = {"session": None, "3_months": timedelta(days=91), LONGEST: timedelta(days=365)}
"""How long a person may allow access for; `session` ends with the browser session."""


@dataclass(frozen=True)
class Question:
    """One scope as the consent page asks for it. `reason` says why this person cannot give it; "" when they can."""

    name: str
    is_required: bool
    is_ticked: bool
    is_new: bool
    reason: str

    @property
    def is_open(self) -> bool:
        """Whether the person decides about it: neither fixed nor beyond their role."""
        return not self.is_required and not self.reason


def questions(
    client: Client, asked: Iterable[str], role: str, before: Consent | None, *, ticked: Collection[str] | None = None
) -> list[Question]:
    """What the page asks, in catalogue order. Optional boxes start unticked, but for what stands already.

    `ticked` is what a form that came back had ticked.
    """
    ceiling, stood = roles.ceiling(role), catalogue.opened_by(before.scopes if before else ())
    required = required_of(client, asked)
    chosen = set(ticked) if ticked is not None else set(before.scopes if before else ())
    return [
        Question(
            name=name,
            is_required=name in required,
            is_ticked=name in ceiling and (name in required or name in chosen),
            is_new=before is not None and name not in stood,
            reason="" if name in ceiling else f"Your role, {roles.title(role)}, cannot give this.",
        )
        for name in catalogue.in_order(asked)
    ]


def required_of(client: Client, asked: Iterable[str]) -> frozenset[str]:
    """What the application does not work without, of what it asks for now."""
    return frozenset(client.required_scopes) & frozenset(asked)


def beyond_role(client: Client, asked: Iterable[str], role: str) -> list[str]:
    """The required scopes that this role cannot give; the application cannot be connected while there are any."""
    return catalogue.in_order(required_of(client, asked) - roles.ceiling(role))


def granted(client: Client, asked: Iterable[str], ticked: Collection[str], role: str) -> list[str]:
    """What a yes with these boxes ticked gives: never more than was asked for, than was ticked, or than the role may give."""
    wanted = list(asked)
    return catalogue.in_order((set(ticked) & set(wanted) | required_of(client, wanted)) & roles.ceiling(role))


def find_standing(session: Session, user_id: str, client_id: str, business_id: str, *, now: datetime) -> Consent | None:
    """The consent that stands between these three now."""
    return session.scalars(
        select(Consent).where(
            Consent.user_id == user_id,
            Consent.client_id == client_id,
            Consent.business_id == business_id,
            standing.is_standing(now),
        )
    ).one_or_none()


def list_standing(session: Session, user_id: str, client_id: str, *, now: datetime) -> dict[str, Consent]:
    """The consents of this person for this client that stand now, by business."""
    found = session.scalars(
        select(Consent).where(Consent.user_id == user_id, Consent.client_id == client_id, standing.is_standing(now))
    )
    return {consent.business_id: consent for consent in found}


def answers(consent: Consent, client: Client, asked: Iterable[str]) -> bool:
    """Whether this consent answers what is asked, so that the person need not be asked again.

    It does when each scope was asked for when they decided, be it given or not, or is part of what they gave; an
    application that wants to put a question again says `prompt=consent`. What it requires must have been given.
    """
    wanted, given = set(asked), catalogue.opened_by(consent.scopes)
    return wanted <= given | set(consent.asked.split()) and required_of(client, wanted) <= given


def ends_at(duration: str, browser_session: BrowserSession, *, now: datetime) -> datetime:
    length = LENGTHS[duration]
    return browser_session.expires_at if length is None else now + length


def allow(
    session: Session,
    user: User,
    member: Membership,
    client: Client,
    *,
    asked: Iterable[str],
    scopes: Iterable[str],
    duration: str,
    browser_session: BrowserSession,
    now: datetime,
) -> Consent:
    """Give `scopes` (from `granted`) for `duration`, in place of what stood. `member` is the person's own, with its business."""
    values: dict[str, Any] = {
        "scope": " ".join(catalogue.in_order(scopes)),
        "asked": " ".join(catalogue.in_order(asked)),
        "duration": duration,
        "session_id": browser_session.id if LENGTHS[duration] is None else None,
        "role": member.role,
        "granted_at": now,
        "expires_at": ends_at(duration, browser_session, now=now),
    }
    consent_id, stood = None, _stood(session, user, member, client, now=now)
    if stood is None:
        lapsing.record_ends(session, *_of(user, member, client), now=now)  # out of the way; never what stands
        consent_id = _give(session, user, member, client, values)
        stood = None if consent_id is not None else _stood(session, user, member, client, now=now)
    if consent_id is None:
        consent_id = _replace(session, user, member, client, values, now=now)
    record.record(
        session, "consent.given" if stood is None else "consent.changed", now=now, user_id=user.id,
        business_id=member.business_id, client_id=client.client_id, consent_id=consent_id, user_name=user.name,
        client_name=client.client_name, business_name=member.business.name, scopes=values["scope"].split(), role=member.role,
        duration=duration, expires_at=values["expires_at"].isoformat(), **({} if stood is None else {"scopes_before": stood}),
    )  # fmt: skip
    return session.get_one(Consent, consent_id, populate_existing=True)


def _of(user: User, member: Membership, client: Client) -> tuple[Any, Any, Any]:
    return (
        _consent.c.user_id == user.id,
        _consent.c.client_id == client.client_id,
        _consent.c.business_id == member.business_id,
    )


def _stood(session: Session, user: User, member: Membership, client: Client, *, now: datetime) -> list[str] | None:
    """The scopes that stand, locked until the end of the transaction; None when there is no consent to replace."""
    standing_one = select(_consent.c.scope).where(*_of(user, member, client), standing.is_standing(now)).with_for_update()
    scope: str | None = session.scalar(standing_one)
    return None if scope is None else scope.split()


def _replace(session: Session, user: User, member: Membership, client: Client, values: dict[str, Any], *, now: datetime) -> str:
    """Change the consent that stands. Raises Conflict when it ended in this very moment."""
    claim = update(_consent).where(*_of(user, member, client), standing.is_standing(now)).values(**values)
    replaced: str | None = session.execute(claim.returning(_consent.c.id)).scalar_one_or_none()
    if replaced is None:
        raise Conflict
    return replaced


def _give(session: Session, user: User, member: Membership, client: Client, values: dict[str, Any]) -> str | None:
    """A new consent; None when another yes of the same person was said at the same moment."""
    consent_id = new_id()
    owned = {"id": consent_id, "user_id": user.id, "business_id": member.business_id, "client_id": client.client_id}
    try:
        with session.begin_nested():
            session.execute(insert(_consent).values(**owned, **values))
    except IntegrityError:  # the unique index saw it
        return None
    return consent_id


def deny(session: Session, user: User, client: Client, member: Membership | None, *, now: datetime) -> None:
    """Note that the person said no; what stood before stands on."""
    record.record(
        session, "consent.denied", now=now, user_id=user.id, business_id=member.business_id if member else None,
        client_id=client.client_id, user_name=user.name, client_name=client.client_name,
        business_name=member.business.name if member else None,
    )  # fmt: skip
