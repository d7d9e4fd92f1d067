"""What the access table shows: which applications reach a business today, through whom, and what has ended.

How each consent stands is asked in the query itself (`standing`). The table takes two statements, however many people
and applications there are: one that counts and sums up, and one for the first people of each row.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, and_, case, func, or_, select
from sqlalchemy.orm import Session

from portal.consents import ending, standing
from portal.consents.models import UsageDay
from portal.consents.rows import Application, EndedPart, Part, Viewer, application_of, part_of
from portal.consents.standing import ENDED
from portal.db import table_of

PEOPLE_IN_A_ROW = 10

_consent, _client, _user = standing.consent, standing.client, standing.user
_membership, _usage = standing.membership, table_of(UsageDay)
_ender = _user.alias("ender")


def list_applications(session: Session, business_id: str, viewer: Viewer) -> list[Application]:
    """The applications that reach this business or just did, each with its first people: two statements, however many."""
    return _list(session, viewer, _consent.c.business_id == business_id, _is_current(viewer))


def find_application(session: Session, business_id: str, client_id: str, viewer: Viewer) -> Application | None:
    """One row of that table; None when nothing of it is left in the table."""
    one = _list(session, viewer, *_of(business_id, client_id), _is_current(viewer))
    return one[0] if one else None


def get_application(session: Session, business_id: str, client_id: str, viewer: Viewer) -> Application:
    """The same after a click on it, when it may have ended long before; the caller knows that this business has it."""
    found = find_application(session, business_id, client_id, viewer)
    return found or _list(session, viewer, *_of(business_id, client_id))[0]


def _list(session: Session, viewer: Viewer, *conditions: ColumnElement[bool]) -> list[Application]:
    groups: dict[str, list[Row[Any]]] = {}
    for row in session.execute(_groups(viewer).where(*conditions)):
        groups.setdefault(row.client_id, []).append(row)
    parts: dict[str, list[Part]] = {}
    if groups:
        for row in session.execute(_first_people(viewer, *conditions)):
            parts.setdefault(row.client_id, []).append(part_of(row, viewer))
    return [application_of(found, parts[client], viewer) for client, found in groups.items() if client in parts]


def _of(business_id: str, client_id: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return _consent.c.business_id == business_id, _consent.c.client_id == client_id


def list_people(
    session: Session,
    business_id: str,
    client_id: str,
    viewer: Viewer,
    *,
    after: str | None,
    limit: int,
    used_since: date | None = None,
) -> tuple[list[Part], str | None]:
    """Everyone whose access an application has, the latest grant first, and where the next page begins.

    With `used_since`, what has ended is among it as well, when there was a call to it from that day on.
    """
    wanted = _is_current(viewer)
    if used_since is not None:
        calls = select(_usage.c.day).where(_usage.c.consent_id == _consent.c.id, _usage.c.day >= used_since)
        wanted = or_(wanted, calls.exists())
    query = _people(viewer).where(*_of(business_id, client_id), wanted)
    if after:
        query = query.where(_consent.c.id < after)
    rows = session.execute(query.order_by(_consent.c.id.desc()).limit(limit + 1)).all()
    return [part_of(row, viewer) for row in rows[:limit]], rows[limit - 1].id if len(rows) > limit else None


def list_ended(
    session: Session, business_id: str, viewer: Viewer, *, q: str, after: str | None, limit: int
) -> tuple[list[EndedPart], str | None]:
    """What has ended in this business, the latest grant first, and where the next page begins."""
    query = (
        _people(viewer)
        .add_columns(_client.c.client_name, _client.c.publisher, _client.c.logo)
        .where(_consent.c.business_id == business_id, standing.state(viewer.now).in_(ENDED))
    )
    if q:
        names = (func.lower(_client.c.client_name), func.lower(_client.c.publisher))
        query = query.where(or_(*(name.contains(q.lower(), autoescape=True) for name in names)))
    if after:
        query = query.where(_consent.c.id < after)
    rows = session.execute(query.order_by(_consent.c.id.desc()).limit(limit + 1)).all()
    shown = [EndedPart(part_of(row, viewer), row.client_id, row.client_name, row.publisher, row.logo) for row in rows[:limit]]
    return shown, rows[limit - 1].id if len(rows) > limit else None


def count_applications(session: Session, user_id: str, *, now: datetime) -> dict[str, int]:
    """How many applications reach each business of a person today; a business that none reaches is left out."""
    mine = standing.membership.alias("mine")
    query = (
        select(_consent.c.business_id, func.count(_consent.c.client_id.distinct()).label("applications"))
        .select_from(standing.source().join(mine, mine.c.business_id == _consent.c.business_id))
        .where(mine.c.user_id == user_id, mine.c.accepted_at.is_not(None), mine.c.ended_at.is_(None))
        .where(standing.stands(now), standing.state(now) == standing.ACTIVE)
        .group_by(_consent.c.business_id)
    )
    return {row.business_id: row.applications for row in session.execute(query)}


# the queries

FOR_A_SESSION = _consent.c.session_id.is_not(None).label("is_for_session")


def _just_ended(viewer: Viewer) -> ColumnElement[bool]:
    return and_(*ending.ended_just_now(viewer.user_id, viewer.role, now=viewer.now, window=viewer.window))


def _is_current(viewer: Viewer) -> ColumnElement[bool]:
    """What stands, and what anyone ended so lately that the table still shows it; not what ended by itself."""
    just_ended = and_(
        _consent.c.revoked_at > viewer.now - viewer.window,
        func.coalesce(_consent.c.revoke_reason, "").not_in(standing.BY_ITSELF),
    )
    return or_(standing.stands(viewer.now), just_ended)


def _groups(viewer: Viewer) -> Select[Any]:
    """Per application, what was allowed, role, state and whether for a session: how many people, how many of them the viewer, and the extremes."""
    state = standing.state(viewer.now).label("state")
    own = case((_consent.c.user_id == viewer.user_id, 1), else_=0)
    undoable = case((_just_ended(viewer), 1), else_=0)
    by = (_consent.c.client_id, _consent.c.scope, _membership.c.role, state, FOR_A_SESSION)
    return (
        select(
            *by,
            *(func.max(_client.c[name]).label(name) for name in ("client_name", "publisher", "logo", "client_uri", "policy_uri")),
            func.count().label("people"),
            func.sum(own).label("own"),
            func.sum(undoable).label("undoable"),
            func.max(_consent.c.granted_at).label("granted_at"),
            func.max(_consent.c.expires_at).label("expires_at"),
            func.max(_consent.c.last_accessed_at).label("last_accessed_at"),
            func.max(_consent.c.revoked_at).label("revoked_at"),
        )
        .select_from(standing.source())
        .group_by(*by)
    )


def _people(viewer: Viewer) -> Select[Any]:
    names = ("given_name", "middle_name", "family_name")
    return (
        select(
            _consent.c.id, _consent.c.client_id, _consent.c.user_id, _consent.c.scope, _consent.c.role, FOR_A_SESSION,
            _consent.c.granted_at, _consent.c.expires_at, _consent.c.last_accessed_at,
            _user.c.email, *(_user.c[name] for name in names), *(_ender.c[name].label(f"ender_{name}") for name in names),
            _membership.c.role.label("role_now"), standing.state(viewer.now).label("state"), standing.ended_at(viewer.now).label("ended_at"),
            case((_just_ended(viewer), 1), else_=0).label("undoable"),
        )
        .select_from(standing.source().outerjoin(_ender, _ender.c.id == _consent.c.revoked_by_user_id))
    )  # fmt: skip


def _first_people(viewer: Viewer, *conditions: ColumnElement[bool]) -> Select[Any]:
    """The first people of each application; and always the viewer, and whose part the viewer may give back.

    What is active comes before what is paused or ended, and of the same standing the latest grant first.
    """
    standing_first = case((standing.state(viewer.now) == standing.ACTIVE, 0), (_consent.c.revoked_at.is_(None), 1), else_=2)
    place = func.row_number().over(
        partition_by=_consent.c.client_id,
        order_by=(standing_first, _consent.c.granted_at.desc(), _consent.c.id.desc()),
    )
    ranked = _people(viewer).where(*conditions).add_columns(place.label("place")).subquery()
    shown = or_(ranked.c.place <= PEOPLE_IN_A_ROW, ranked.c.user_id == viewer.user_id, ranked.c.undoable == 1)
    return select(ranked).where(shown).order_by(ranked.c.client_id, ranked.c.place)
