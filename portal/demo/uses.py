"""What the applications did before anyone looks: calls on the days of the last three months, for the activity pages."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import insert
from sqlalchemy.orm import Session

from portal.consents import catalogue
from portal.consents.activity import WINDOW_DAYS
from portal.consents.models import Consent, UsageDay
from portal.db import table_of
from portal.demo.chance import Chance

SEED = 20260702
"""A source of its own, so that the rest of the demo data stays as it is."""
CALLED = {"funds.summary": 140, "funds.basic": 35, "profile": 2}
"""How often each scope is called on a busy day; what is not here is never used, and so can be taken away."""
WEEKEND = 5
REFUSED_ON = frozenset({9, 10, 44})
"""Days ago on which each application tried what nobody had allowed it."""


def add(session: Session, consents: list[Consent], zone: str, *, now: datetime) -> None:
    """Add the uses of consents that were ever used: on working days, from the grant to the last access."""
    chance, local = Chance(SEED), ZoneInfo(zone)
    rows = []
    for consent in consents:
        if consent.last_accessed_at is not None:
            last = consent.last_accessed_at.astimezone(local)
            first = max(consent.granted_at, now - timedelta(days=WINDOW_DAYS + 10)).astimezone(local).date()
            for number in range((last.date() - first).days + 1):
                day = first + timedelta(days=number)
                if day.weekday() < WEEKEND or day == last.date():
                    rows += _of_day(consent, day, last, chance, now=now)
    if rows:
        session.execute(insert(table_of(UsageDay)), rows)


def _of_day(consent: Consent, day: date, last: datetime, chance: Chance, *, now: datetime) -> list[dict[str, object]]:
    moment = last if day == last.date() else datetime.combine(day, time(chance.random.randint(8, 17), 12), last.tzinfo)
    opened = catalogue.opened_by(consent.scopes)
    calls = {scope: chance.random.randint(1, most) for scope, most in CALLED.items() if scope in opened}
    if consent.is_offline:
        calls[catalogue.OFFLINE_ACCESS] = chance.random.randint(4, 12)
    rows = [_row(consent, day, scope, moment, calls=count) for scope, count in calls.items()]
    if (now.astimezone(last.tzinfo).date() - day).days in REFUSED_ON:
        rows.append(_row(consent, day, "funds.create", None, refused=chance.random.randint(2, 20)))
    return rows


def _row(
    consent: Consent, day: date, scope: str, last_at: datetime | None, *, calls: int = 0, refused: int = 0
) -> dict[str, object]:
    return {
        "consent_id": consent.id, "day": day, "scope": scope, "calls": calls, "refused": refused, "last_at": last_at,
    }  # fmt: skip
