"""Taking a part of what was allowed away again, by one click and without the partner.

Narrowing takes effect on the next call, since what a token opens is asked of the consent at every use. It never widens:
that needs a new consent. What the application requires, and access while signed out, are not taken away singly: without
the first the connection would stop working, and what is left without the second would have no session to end with. For
both there is ending the access.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, select, update
from sqlalchemy.orm import Session

from portal.accounts.models import User
from portal.audit import record
from portal.businesses.models import Membership
from portal.clients.models import Client
from portal.consents import catalogue, ending, standing
from portal.consents.models import Consent
from portal.db import table_of
from portal.errors import BadRequest, Conflict, Forbidden, NotFound

_consent, _client, _user = table_of(Consent), table_of(Client), table_of(User)


@dataclass(frozen=True)
class Narrowed:
    """What one click took away, and which parts of it were left; `is_new` is False when it was not there to be taken."""

    client_name: str
    scope: str
    kept: tuple[str, ...]
    is_new: bool


def contained_in(scope: str, scopes: Iterable[str]) -> bool:
    """Whether a broader one of these scopes opens this one anyway."""
    return any(scope in catalogue.CATALOGUE[other].contains for other in scopes if other != scope)


def outermost(scopes: Collection[str]) -> list[str]:
    """The scopes without those that another of them contains, in catalogue order."""
    return [name for name in catalogue.in_order(scopes) if not contained_in(name, scopes)]


def without(scopes: Collection[str], scope: str, kept: Iterable[str]) -> list[str]:
    """What is left of `scopes` when `kept` takes the place of `scope`, in catalogue order."""
    return catalogue.in_order({*scopes, *kept} - {scope})


def lost(scopes: Collection[str], left: Collection[str], required: Iterable[str]) -> list[str]:
    """What the application requires and would no longer have, in catalogue order."""
    return catalogue.in_order((catalogue.opened_by(scopes) - catalogue.opened_by(left)) & set(required))


def narrow(
    session: Session,
    member: Membership,
    client_id: str,
    *,
    consent_id: str,
    scope: str,
    keep: Collection[str],
    by: User,
    now: datetime,
    brand: str,
) -> Narrowed:
    """Take `scope` out of one consent and leave `keep`, which are parts of it; whoever may end the consent may.

    Raises NotFound for a consent that this business never had, Forbidden for another person's that the role may not end,
    BadRequest for what is no narrowing, and Conflict for what cannot be taken away or was changed meanwhile.
    """
    known = _find(session, member.business_id, client_id, consent_id)
    if not ending.may_revoke(member.role, user_id=by.id, granted_by=known.user_id):
        raise Forbidden(
            f"{known.given_name} {known.family_name} allowed this, and your role does not change what others allowed. "
            "An Access Controller or Fund Administrator of the business can. Nothing was changed."
        )
    if scope not in catalogue.CATALOGUE or not set(keep) <= set(catalogue.CATALOGUE[scope].contains):
        raise BadRequest(detail="not a narrower scope")
    scopes = known.scope.split()
    if scope not in scopes:
        return Narrowed(known.client_name, scope, (), is_new=False)
    left = without(scopes, scope, keep)
    _check(known, scopes, left, scope=scope, title=catalogue.title(scope, brand=brand))
    claim = (
        update(_consent)
        .where(_consent.c.id == consent_id, _consent.c.scope == known.scope, standing.is_standing(now))
        .values(scope=" ".join(left))
        .returning(_consent.c.id)
    )
    if session.execute(claim).scalar_one_or_none() is None:
        raise Conflict(
            f"What {known.client_name} may reach was changed or ended in the meantime, so nothing was changed now. "
            "Reload the page to see how it stands."
        )
    kept = tuple(name for name in left if name not in scopes)
    record.record(
        session, "consent.narrowed", now=now, user_id=by.id, business_id=member.business_id, client_id=known.client_id,
        consent_id=consent_id, user_name=by.name, client_name=known.client_name, business_name=member.business.name,
        granted_by_name=f"{known.given_name} {known.family_name}", scopes=left, role=known.role, scopes_before=scopes,
        taken=scope, kept=list(kept),
    )  # fmt: skip
    return Narrowed(known.client_name, scope, kept, is_new=True)


def _find(session: Session, business_id: str, client_id: str, consent_id: str) -> Row[Any]:
    if "\0" in f"{client_id}{consent_id}":
        raise NotFound
    query: Select[Any] = (
        select(
            _consent.c.scope, _consent.c.user_id, _consent.c.role, _client.c.client_id, _client.c.client_name,
            _client.c.required_scopes, _user.c.given_name, _user.c.family_name,
        )
        .join(_client, _client.c.client_id == _consent.c.client_id)
        .join(_user, _user.c.id == _consent.c.user_id)
        .where(_consent.c.id == consent_id, _consent.c.business_id == business_id, _consent.c.client_id == client_id)
    )  # fmt: skip
    known = session.execute(query).one_or_none()
    if known is None:
        raise NotFound
    return known


def _check(known: Row[Any], scopes: list[str], left: list[str], *, scope: str, title: str) -> None:
    if scope == catalogue.OFFLINE_ACCESS or not left or lost(scopes, left, known.required_scopes):
        raise Conflict(
            f"{known.client_name} does not work without “{title}”, so it cannot be taken away alone. "
            "To stop it, revoke its access. Nothing was changed.",
            title="This cannot be taken away alone",
        )
    if catalogue.opened_by(left) == catalogue.opened_by(scopes):
        raise Conflict(
            f"“{title}” is a part of something broader that {known.client_name} may do, so taking it away would change "
            "nothing. Narrow the broader one instead. Nothing was changed.",
            title="This is a part of something broader",
        )
