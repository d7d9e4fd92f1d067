"""Ending access, and taking that back while it is fresh.

Ending is one UPDATE: a token opens nothing once its consent is ended, so nothing else has to be told. What one click
ended carries one moment and one person, and Undo gives back exactly that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, exists, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from portal.accounts.models import User
from portal.audit import record
from portal.businesses import roles
from portal.businesses.models import Membership
from portal.clients.models import Client
from portal.consents.models import Consent
from portal.consents.standing import is_standing
from portal.db import table_of
from portal.errors import Conflict, Forbidden, NotFound

_consent = table_of(Consent)

BY_A_PERSON = "user"
"""The `revoke_reason` of what a person ended; only that can be taken back."""
BY_TWO = "users"
"""The `revoke_reason` of what a second person wanted ended too while the first could still take it back; now nobody can."""


@dataclass(frozen=True)
class Ended:
    """What one click ended (or gave back): of which application, the consents, and who had allowed them."""

    client_name: str
    consent_ids: tuple[str, ...] = ()
    names: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.consent_ids)


def may_revoke_any(role: str) -> bool:
    """Whether this role ends the access of an application for everyone in the business."""
    return roles.may_revoke_any(role)


def may_revoke(role: str, *, user_id: str, granted_by: str) -> bool:
    """Whether a member in this role may end what `granted_by` allowed: their own always, other people's by role."""
    return user_id == granted_by or may_revoke_any(role)


def revoke(
    session: Session,
    member: Membership,
    client_id: str,
    *,
    by: User,
    now: datetime,
    window: timedelta,
    consent_id: str | None = None,
) -> Ended:
    """End the access of an application to the member's business at once: all of it, or what the member granted, or one consent.

    What somebody else's click ended a moment ago no Undo gives back any more, neither that person's nor this one's, since both
    want it ended. Empty when nothing was left to end. Raises NotFound for an application or consent that this business never had,
    and Forbidden for another person's consent that the role may not end.
    """
    known = _find_known(session, member.business_id, client_id, consent_id)
    if consent_id and not may_revoke(member.role, user_id=by.id, granted_by=known.user_id):
        raise Forbidden(_ask_whoever_may(known))
    ended = _end(session, member, client_id, consent_id, by=by, now=now)
    _end_too(session, member, client_id, consent_id, by=by, now=now, window=window)
    if not ended and not may_revoke_any(member.role) and not _has_own(session, member.business_id, client_id, by):
        raise Forbidden(_ask_whoever_may(known))
    return _tell(session, "consent.revoked", member, known, ended, by=by, now=now)


def _end(
    session: Session, member: Membership, client_id: str, consent_id: str | None, *, by: User, now: datetime
) -> Sequence[Row[Any]]:
    claim = (
        update(_consent)
        .where(*_of(member.business_id, client_id, consent_id), is_standing(now))
        .values(revoked_at=now, revoked_by_user_id=by.id, revoke_reason=BY_A_PERSON)
        .returning(_consent.c.id, _consent.c.user_id, _consent.c.scope, _consent.c.role)
    )
    if not may_revoke_any(member.role):
        claim = claim.where(_consent.c.user_id == by.id)
    return session.execute(claim).all()


def _end_too(
    session: Session, member: Membership, client_id: str, consent_id: str | None, *, by: User, now: datetime, window: timedelta
) -> None:
    """Make what somebody else ended a moment ago final."""
    others = update(_consent).where(
        *_of(member.business_id, client_id, consent_id),
        *ended_lately(now=now, window=window),
        _consent.c.revoked_by_user_id != by.id,
    )
    if not may_revoke_any(member.role):
        others = others.where(_consent.c.user_id == by.id)
    session.execute(others.values(revoke_reason=BY_TWO))


def undo(
    session: Session,
    member: Membership,
    client_id: str,
    *,
    by: User,
    now: datetime,
    window: timedelta,
    consent_id: str | None = None,
) -> Ended:
    """Give back what the same person's last click ended less than `window` ago, or one consent of it, as far as their role goes today.

    Empty when it stands again already. What was connected anew in the meantime is left out. Raises Conflict when that is all, or
    the window is over.
    """
    known = _find_known(session, member.business_id, client_id, consent_id)
    mine = [*_of(member.business_id, client_id, consent_id), *ended_just_now(by.id, member.role, now=now, window=window)]
    last = select(func.max(_consent.c.revoked_at)).where(*mine).correlate(None).scalar_subquery()
    other = _consent.alias("other")
    replaced = exists(
        select(other.c.id).where(
            other.c.user_id == _consent.c.user_id,
            other.c.client_id == _consent.c.client_id,
            other.c.business_id == _consent.c.business_id,
            other.c.revoked_at.is_(None),
        )
    )
    claim = (
        update(_consent)
        .where(*mine, _consent.c.revoked_at == last, ~replaced)
        .values(revoked_at=None, revoked_by_user_id=None, revoke_reason=None)
        .returning(_consent.c.id, _consent.c.user_id, _consent.c.scope, _consent.c.role)
    )
    try:
        restored = session.execute(claim).all()
    except IntegrityError:  # the unique index saw a new consent that came in between
        raise _replaced(known) from None
    if not restored and session.scalar(select(_consent.c.id).where(*mine, _consent.c.revoked_at == last, replaced).limit(1)):
        raise _replaced(known)
    if not restored and not session.scalar(
        select(_consent.c.id).where(*_of(member.business_id, client_id, consent_id), is_standing(now)).limit(1)
    ):
        raise Conflict(
            f"The time to undo is over, or somebody else has ended it too. Nothing was changed; "
            f"it can be connected again from {known.client_name}.",
            title="This can no longer be undone",
        )
    return _tell(session, "consent.undone", member, known, restored, by=by, now=now)


def ended_just_now(user_id: str, role: str, *, now: datetime, window: timedelta) -> tuple[ColumnElement[bool], ...]:
    """What this person ended so lately that Undo is offered, and may still end in the role of today."""
    within = () if may_revoke_any(role) else (_consent.c.user_id == user_id,)
    return (_consent.c.revoked_by_user_id == user_id, *within, *ended_lately(now=now, window=window))


def ended_lately(*, now: datetime, window: timedelta) -> tuple[ColumnElement[bool], ...]:
    """What a person ended so lately that somebody is offered Undo."""
    return _consent.c.revoke_reason == BY_A_PERSON, _consent.c.revoked_at > now - window


def _replaced(known: Row[Any]) -> Conflict:
    return Conflict(
        f"{known.client_name} was connected again in the meantime, so there is nothing to undo. Nothing was changed.",
        title="This can no longer be undone",
    )


def _ask_whoever_may(known: Row[Any]) -> str:
    return (
        f"You have not allowed {known.client_name} anything here yourself, and your role does not end what others allowed. "
        "An Access Controller or Fund Administrator of the business can. Nothing was changed."
    )


def _of(business_id: str, client_id: str, consent_id: str | None) -> list[ColumnElement[bool]]:
    conditions = [_consent.c.business_id == business_id, _consent.c.client_id == client_id]
    return [*conditions, _consent.c.id == consent_id] if consent_id else conditions


def _find_known(session: Session, business_id: str, client_id: str, consent_id: str | None) -> Row[Any]:
    """The application's name, and the person of one consent of it. Raises NotFound where the business never had it."""
    if "\0" in f"{client_id}{consent_id}":
        raise NotFound
    query: Select[Any] = (
        select(Client.client_id, Client.client_name, _consent.c.user_id)
        .join(_consent, _consent.c.client_id == Client.client_id)
        .where(*_of(business_id, client_id, consent_id))
        .limit(1)
    )
    known = session.execute(query).one_or_none()
    if known is None:
        raise NotFound
    return known


def _has_own(session: Session, business_id: str, client_id: str, by: User) -> bool:
    own = select(_consent.c.id).where(*_of(business_id, client_id, None), _consent.c.user_id == by.id).limit(1)
    return session.scalar(own) is not None


def _tell(
    session: Session, kind: str, member: Membership, known: Row[Any], rows: Sequence[Row[Any]], *, by: User, now: datetime
) -> Ended:
    """One event for each consent, in the transaction that changed it."""
    if not rows:
        return Ended(known.client_name)
    people = session.scalars(select(User).where(User.id.in_({row.user_id for row in rows})))
    names = {person.id: person.name for person in people}
    for row in rows:
        record.record(
            session, kind, now=now, user_id=by.id, business_id=member.business_id, client_id=known.client_id,
            consent_id=row.id, user_name=by.name, client_name=known.client_name, business_name=member.business.name,
            granted_by_name=names[row.user_id], scopes=row.scope.split(), role=row.role,
        )  # fmt: skip
    return Ended(known.client_name, tuple(row.id for row in rows), tuple(names[row.user_id] for row in rows))
