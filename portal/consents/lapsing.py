"""Consents that end by themselves: their time is over, or so is the session that they were given for.

They open nothing from that moment on, whatever is written (`standing`). That it happened is recorded here, once: at once
when a session is ended, and else a minute later, as soon as anybody reads the history of the business, or by a worker within
minutes. The row is claimed by one conditional UPDATE, and its event bears the time at which the consent ended and stands there
in the trail.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Engine, Row, case, select, update
from sqlalchemy.orm import Session

from portal.audit import record
from portal.businesses.models import Business
from portal.consents.standing import EXPIRED, SIGNED_OUT, client, consent, end_of, has_run_out, session, user
from portal.db import new_id, table_of

AT_ONCE = 500
WAIT = timedelta(minutes=1)
"""A page that was asked for in time may be about to put off the idle end of its session, and this clock may be ahead of others:
what is recorded as ended stays so."""
AT_THE_MOMENT = timedelta()
EVENTS = {EXPIRED: "consent.expired", SIGNED_OUT: "consent.signed_out"}

_business = table_of(Business)
_its_session = session.alias("its_session")
_outlived = select(end_of(_its_session)).where(_its_session.c.id == consent.c.session_id).correlate(consent).scalar_subquery()


def record_ends(db: Session, *which: ColumnElement[bool], now: datetime, wait: timedelta = AT_THE_MOMENT) -> int:
    """Record that those of these consents that ran out `wait` ago or earlier did. Returns how many nobody had recorded before."""
    claim = (
        update(consent)
        .where(*which, has_run_out(now - wait))
        .values(
            revoked_at=case((_outlived < consent.c.expires_at, _outlived), else_=consent.c.expires_at),
            revoke_reason=case((_outlived < consent.c.expires_at, SIGNED_OUT), else_=EXPIRED),
        )
        .returning(consent.c.id, consent.c.revoked_at, consent.c.revoke_reason, consent.c.scope, consent.c.role)
    )
    ended = db.execute(claim).all()
    names = _names(db, [row.id for row in ended]) if ended else {}
    for row in sorted(ended, key=lambda row: row.revoked_at):
        _tell(db, row, names[row.id], now=now)
    return len(ended)


def record_of_sessions(db: Session, session_ids: Sequence[str], now: datetime) -> int:
    """The same for what was given for sessions that have just been ended."""
    return record_ends(db, consent.c.session_id.in_(session_ids), now=now)


def record_some(db: Session, *which: ColumnElement[bool], now: datetime) -> int:
    """The same after the WAIT, for AT_ONCE of these at most, leaving out those that somebody else is writing at this moment."""
    due = (
        select(consent.c.id)
        .where(*which, has_run_out(now - WAIT))
        .limit(AT_ONCE)
        .with_for_update(key_share=True, skip_locked=True)
    )
    found = db.scalars(due).all()
    return record_ends(db, consent.c.id.in_(found), now=now, wait=WAIT) if found else 0


def record_of_business(db: Session, business_id: str, *, now: datetime) -> int:
    """The same for one business, before its people read what has happened."""
    return record_some(db, consent.c.business_id == business_id, now=now)


def record_all(pages: Engine, *, now: datetime) -> int:
    """The same for every business, some at a time so that nobody waits long for a row."""
    total, recorded = 0, AT_ONCE
    while recorded == AT_ONCE:
        with Session(pages) as db, db.begin():
            recorded = record_some(db, now=now)
        total += recorded
    return total


def _names(db: Session, consent_ids: Sequence[str]) -> dict[str, Row[Any]]:
    query = (
        select(consent.c.id, consent.c.business_id, consent.c.client_id, client.c.client_name)
        .add_columns(_business.c.name.label("business_name"), user.c.given_name, user.c.middle_name, user.c.family_name)
        .join(client, client.c.client_id == consent.c.client_id)
        .join(user, user.c.id == consent.c.user_id)
        .join(_business, _business.c.id == consent.c.business_id)
        .where(consent.c.id.in_(consent_ids))
    )
    return {row.id: row for row in db.execute(query)}


def _tell(db: Session, ended: Row[Any], names: Row[Any], *, now: datetime) -> None:
    """The event of one consent, at its place in time; when it was written down is a fact of it."""
    person = " ".join(name for name in (names.given_name, names.middle_name, names.family_name) if name)
    event = record.record(
        db, EVENTS[ended.revoke_reason], now=ended.revoked_at, business_id=names.business_id, client_id=names.client_id,
        consent_id=ended.id, user_name=person, client_name=names.client_name, business_name=names.business_name,
        scopes=ended.scope.split(), role=ended.role, recorded_at=now.isoformat(),
    )  # fmt: skip
    event.id = new_id(ended.revoked_at)
    if ended.revoked_at != now:  # whoever is asking for a page now has not ended it
        event.address = event.request_id = None
