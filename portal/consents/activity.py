"""What an application did with its access in the last 90 days, as a person reads it: by day, and by what was allowed.

A call counts for the scope it needed. Where that is a part of a broader one that was allowed, it is shown with that
one; and when nothing but such parts were used, the advice is to keep those and take the rest away.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from portal.clients.models import Client
from portal.consents import catalogue, narrowing
from portal.consents.models import Consent, UsageDay
from portal.consents.rows import Part
from portal.db import table_of

WINDOW_DAYS = 90
TALLEST, LEAST = 100, 2
"""Heights in the chart: of the busiest day, and of a day with one call beside it."""
NEVER_ADVISED = ("openid", catalogue.OFFLINE_ACCESS)
"""Used at sign-in and at refresh, which say nothing of whether they are needed."""

_usage, _consent, _client = table_of(UsageDay), table_of(Consent), table_of(Client)


@dataclass(frozen=True)
class Day:
    day: date
    calls: int
    refused: int


@dataclass(frozen=True)
class Bar:
    """One day in the chart: calls stand on the line, refused ones hang from it."""

    x: int
    height: int
    depth: int


@dataclass(frozen=True)
class Chart:
    """The last 90 days, the oldest first. `height` is above the line, `depth` below."""

    days: tuple[Day, ...]
    bars: tuple[Bar, ...]
    height: int
    depth: int
    busiest: Day | None

    @property
    def calls(self) -> int:
        return sum(day.calls for day in self.days)

    @property
    def refused(self) -> int:
        return sum(day.refused for day in self.days)

    @property
    def busy_days(self) -> list[Day]:
        """Those on which anything happened, the newest first."""
        return [day for day in reversed(self.days) if day.calls or day.refused]


@dataclass(frozen=True)
class Line:
    """What was done with one scope. Of one that was not used itself, `keep` are the parts to leave: `used`, and required ones."""

    scope: str
    calls: int
    refused: int
    last_at: datetime | None
    is_allowed: bool
    is_required: bool
    is_unused: bool
    used: tuple[str, ...]
    keep: tuple[str, ...]

    @property
    def only_required(self) -> list[str]:
        """What is to be left for no other reason than that the application requires it."""
        return [name for name in self.keep if name not in self.used]


@dataclass(frozen=True)
class PartActivity:
    """One person's part with what was done with it."""

    part: Part
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Used:
    """The answered and refused calls of one scope in the window, and the last answered one at any time."""

    calls: int
    refused: int
    last_at: datetime | None


NOTHING = Used(0, 0, None)


def first_day(today: date) -> date:
    """With which the window begins."""
    return today - timedelta(days=WINDOW_DAYS - 1)


def chart(session: Session, business_id: str, client_id: str, *, today: date) -> Chart:
    """What all consents of an application did in this business, ended ones included."""
    first = first_day(today)
    query = (
        select(_usage.c.day, func.sum(_usage.c.calls).label("calls"), func.sum(_usage.c.refused).label("refused"))
        .join(_consent, _consent.c.id == _usage.c.consent_id)
        .where(_consent.c.business_id == business_id, _consent.c.client_id == client_id)
        .where(_usage.c.day >= first, _usage.c.day <= today, _usage.c.scope != catalogue.OFFLINE_ACCESS)
        .group_by(_usage.c.day)
    )
    found = {row.day: Day(row.day, int(row.calls), int(row.refused)) for row in session.execute(query)}
    dates = [first + timedelta(days=number) for number in range(WINDOW_DAYS)]
    return drawn([found.get(one, Day(one, 0, 0)) for one in dates])


def drawn(days: Sequence[Day]) -> Chart:
    """The bars of these days, on one scale for calls and refused ones."""
    most, refused = max(day.calls for day in days), max(day.refused for day in days)
    scale = max(most, refused, 1)

    def tall(count: int) -> int:
        return max(LEAST, round(count * TALLEST / scale)) if count else 0

    busiest = max(days, key=lambda day: day.calls) if most else None
    bars = [Bar(number * 10, tall(day.calls), tall(day.refused)) for number, day in enumerate(days)]
    return Chart(
        days=tuple(days),
        bars=tuple(bar for bar in bars if bar.height or bar.depth),
        height=max(tall(most), TALLEST // 4),
        depth=tall(refused),
        busiest=busiest,
    )


def of_parts(
    session: Session, parts: Sequence[Part], *, required: Collection[str], today: date, now: datetime
) -> list[PartActivity]:
    """Each person's part with its lines; one statement for all of them."""
    lately = _usage.c.day >= first_day(today)
    query = (
        select(
            _usage.c.consent_id,
            _usage.c.scope,
            func.sum(case((lately, _usage.c.calls), else_=0)).label("calls"),
            func.sum(case((lately, _usage.c.refused), else_=0)).label("refused"),
            func.max(_usage.c.last_at).label("last_at"),
        )
        .where(_usage.c.consent_id.in_([part.consent_id for part in parts]))
        .group_by(_usage.c.consent_id, _usage.c.scope)
    )
    used: dict[str, dict[str, Used]] = {}
    for row in session.execute(query):
        used.setdefault(row.consent_id, {})[row.scope] = Used(int(row.calls), int(row.refused), row.last_at)
    return [PartActivity(part, tuple(lines(part, used.get(part.consent_id, {}), required, now=now))) for part in parts]


def lines(part: Part, used: Mapping[str, Used], required: Collection[str], *, now: datetime) -> list[Line]:
    """A line for each scope that was allowed, and for each that was called for without; in catalogue order, unnamed calls last."""
    shown_with: dict[str, list[str]] = {}
    for scope in used:
        shown_with.setdefault(_line_of(scope, part.allowed), []).append(scope)
    called = {name for name, shown in shown_with.items() if any(used[scope].calls or used[scope].refused for scope in shown)}
    is_old_enough = now - part.granted_at >= timedelta(days=WINDOW_DAYS)
    may_advise = part.is_offline and not part.is_ended and is_old_enough and "" not in called
    names = [*catalogue.in_order({*part.allowed, *called}), *([""] if "" in called else [])]
    return [
        _line(name, part, used, shown_with.get(name, ()), required, may_advise=may_advise and name not in NEVER_ADVISED)
        for name in names
    ]


def _line_of(scope: str, allowed: Collection[str]) -> str:
    """The scope itself when it was allowed, else the narrowest one that was and contains it, else itself."""
    broader = [name for name in allowed if scope in catalogue.CATALOGUE[name].contains]
    return scope if scope in allowed or not broader else min(broader, key=lambda name: len(catalogue.CATALOGUE[name].contains))


def _line(
    name: str, part: Part, used: Mapping[str, Used], shown: Iterable[str], required: Collection[str], *, may_advise: bool
) -> Line:
    counts = [used[scope] for scope in shown]
    answered = [scope for scope in shown if used[scope].calls]
    is_unused = may_advise and name in part.allowed and name not in answered and not narrowing.contained_in(name, part.allowed)
    needed = set(catalogue.CATALOGUE[name].contains) & set(required) if is_unused else set()
    kept = narrowing.outermost({*answered, *needed}) if is_unused else []
    return Line(
        scope=name,
        calls=sum(count.calls for count in counts),
        refused=sum(count.refused for count in counts),
        last_at=max((count.last_at for count in counts if count.last_at), default=None),
        is_allowed=name in part.allowed or name == "",
        is_required=name in required,
        is_unused=is_unused,
        used=tuple(narrowing.outermost(answered)) if is_unused else (),
        keep=tuple(scope for scope in kept if scope not in part.allowed),
    )


def find_client(session: Session, business_id: str, client_id: str) -> Any:
    """Name, publisher, logo and required scopes of an application that this business has, or had; None for others."""
    if "\0" in client_id:
        return None
    known = select(_consent.c.id).where(_consent.c.business_id == business_id, _consent.c.client_id == client_id).limit(1)
    columns = (_client.c.client_id, _client.c.client_name, _client.c.publisher, _client.c.logo, _client.c.required_scopes)
    return session.execute(select(*columns).where(_client.c.client_id == client_id, known.exists())).one_or_none()
