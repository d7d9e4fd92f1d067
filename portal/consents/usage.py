"""Every use is seen: what clients do with consents, counted by day and scope without a write for each call.

Each worker counts in its own memory, which costs a look-up under a lock. A thread of its own adds what has gathered to
the database every few seconds, and once more when the worker ends; it begins with the first use, and so in the process
that serves, however that was started. What could not be stored is kept and tried again. A worker that is killed takes
a few seconds of counts with it, and an answer of the database that is lost on its way counts those seconds twice;
"last accessed" is written at once (`oauth.uses`) and suffers from neither. The same thread records, every few minutes,
which consents have run out (`lapsing`), so that nobody has to order that by the clock.

A day is a calendar day in the portal's time zone: people read "23 November" with their own day in mind, and the day of
UTC would turn over in the middle of an Australian morning.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, cast
from weakref import WeakValueDictionary
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy import Connection, CursorResult, Engine, Insert, case, delete, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from portal.config import Settings
from portal.consents import lapsing
from portal.consents.models import UsageDay
from portal.db import Database, table_of, utcnow

log = structlog.get_logger()

EXTENSION = "portal-usage"
"""Where an application holds its counter, for pages and commands."""
MOST_TALLIES = 50_000
"""What a worker holds at most while the database cannot be reached; further ones are counted as lost."""
ROWS_AT_ONCE = 1000
TICK_SECONDS = 1
RECORD_ENDS_SECONDS = 300

_usage = table_of(UsageDay)


def _adding(new: Any) -> Insert:
    """Adds what was counted to a day that is there, and begins one that is not. `new` is the INSERT of a dialect.

    One statement, made once, that takes many rows: to put the rows into it would cost more than to store them.
    """
    is_later = _usage.c.last_at.is_(None) | (new.excluded.last_at > _usage.c.last_at)
    statement = new.on_conflict_do_update(
        index_elements=["consent_id", "day", "scope"],
        set_={
            "calls": _usage.c.calls + new.excluded.calls,
            "refused": _usage.c.refused + new.excluded.refused,
            "last_at": case((is_later, new.excluded.last_at), else_=_usage.c.last_at),
        },
    )
    return cast(Insert, statement)


_ADD = {"postgresql": _adding(postgresql.insert(_usage)), "sqlite": _adding(sqlite.insert(_usage))}

Key = tuple[str, date, str]
"""Consent, day and scope."""


@dataclass(slots=True)
class Tally:
    calls: int = 0
    refused: int = 0
    last_at: datetime | None = None

    def add(self, other: Tally) -> None:
        self.calls += other.calls
        self.refused += other.refused
        self.last_at = max(filter(None, (self.last_at, other.last_at)), default=None)


class Counter:
    """The uses that one worker has counted and not stored yet."""

    def __init__(self, engine: Engine, *, zone: str, every_seconds: int) -> None:
        self._engine = engine
        self._zone = ZoneInfo(zone)
        self._every_seconds = every_seconds
        self._today = (datetime.max.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC), date.min)
        self._process: int | None = None
        self._closed = False
        self._forget()

    def _forget(self) -> None:
        self._lock, self._storing = threading.Lock(), threading.Lock()
        self._tallies: dict[Key, Tally] = {}
        self._claims: dict[str, datetime | None] = {}
        self._lost = 0

    def count(self, consent_id: str, scope: str, *, now: datetime, refused: bool = False) -> None:
        """Count one call that needed `scope`: answered or refused."""
        if self._process != os.getpid():
            self._begin()
        key = (consent_id, self.day_of(now), scope)
        with self._lock:
            tally = self._tallies.get(key)
            if tally is None:
                if len(self._tallies) >= MOST_TALLIES:
                    self._lost += 1
                    return
                tally = self._tallies[key] = Tally()
            if refused:
                tally.refused += 1
                return
            tally.calls += 1
            if tally.last_at is None or now > tally.last_at:
                tally.last_at = now

    def claim(self, consent_id: str, last_accessed_at: datetime | None) -> bool:
        """Whether this call is the one of this worker that moves "last accessed" on from this value; the first that asks."""
        with self._lock:
            if consent_id in self._claims and self._claims[consent_id] == last_accessed_at:
                return False
            self._claims[consent_id] = last_accessed_at
            return True

    def day_of(self, now: datetime) -> date:
        begins, ends, day = self._today
        if begins <= now < ends:
            return day
        day = now.astimezone(self._zone).date()
        midnights = (datetime.combine(day + timedelta(days=n), time.min, self._zone).astimezone(UTC) for n in (0, 1))
        self._today = (*midnights, day)  # type: ignore[assignment]
        return day

    def store(self) -> bool:
        """Add what was counted to the database. False when it could not be stored; then it is kept for the next time."""
        with self._storing:
            with self._lock:
                counted, self._tallies, self._claims = self._tallies, {}, {}
                lost, self._lost = self._lost, 0
            if lost:
                log.warning("uses lost", uses=lost)
            # Workers that store at once take the rows in the same order, and so never wait for each other in a circle.
            rows = sorted(counted.items())
            try:
                while rows:
                    with self._engine.begin() as connection:
                        connection.execute(_ADD[connection.dialect.name], [_values(*row) for row in rows[:ROWS_AT_ONCE]])
                    del rows[:ROWS_AT_ONCE]
            except SQLAlchemyError as error:
                log.warning("uses not stored yet", reason=type(error).__name__, rows=len(rows))
                self._take_back(rows)
                return False
            return True

    def record_ends(self) -> None:
        """Record the consents that have run out; those that could not be recorded now are found the next time."""
        try:
            lapsing.record_all(self._engine, now=utcnow())
        except SQLAlchemyError as error:
            log.warning("ends of consents not recorded yet", reason=type(error).__name__)

    def _take_back(self, rows: Sequence[tuple[Key, Tally]]) -> None:
        with self._lock:
            for key, tally in rows:
                self._tallies.setdefault(key, Tally()).add(tally)

    def _begin(self) -> None:
        """The first use in this process: start to store. What a parent process had counted is the parent's to store."""
        with _beginning:
            if self._process == os.getpid() or self._closed:
                return
            if self._process is not None:
                self._forget()
            self._process = os.getpid()
            threading.Thread(target=self._store_now_and_then, name="usage", daemon=False).start()

    def _store_now_and_then(self) -> None:
        """Until the process ends, which waits for this thread, since it is no daemon; so it stores what is left.

        Neither atexit nor a signal would do: a worker that was forked runs no exit handler, and signals are the server's.
        """
        main, ticks = threading.main_thread(), 0
        try:
            while main.is_alive() and not self._closed:
                main.join(TICK_SECONDS)
                ticks += 1
                if ticks * TICK_SECONDS % self._every_seconds == 0:
                    self.store()
                if ticks * TICK_SECONDS % RECORD_ENDS_SECONDS == 0:
                    self.record_ends()
            if not self._closed:
                self.store()
        finally:
            self._process = None  # the next use starts another

    def close(self) -> None:
        """Store what is left, and end the thread."""
        self._closed = True
        self.store()


_beginning = threading.Lock()
_counters: WeakValueDictionary[Engine, Counter] = WeakValueDictionary()


def _values(key: Key, tally: Tally) -> dict[str, Any]:
    consent_id, day, scope = key
    return {
        "consent_id": consent_id,
        "day": day,
        "scope": scope,
        "calls": tally.calls,
        "refused": tally.refused,
        "last_at": tally.last_at,
    }


def prune(session: Session, *, before: date, most: int) -> int:
    """Delete the counts of days before this one, no more than `most` rows, and return how many there were."""
    key = (_usage.c.consent_id, _usage.c.day, _usage.c.scope)
    old = select(*key).where(_usage.c.day < before).limit(most)
    result = session.execute(delete(_usage).where(tuple_(*key).in_(old)))
    assert isinstance(result, CursorResult)  # noqa: S101, for the type
    return result.rowcount


def start(settings: Settings, database: Database) -> Counter:
    """The counter of an application in this worker; `counter_of` finds it for as long as the application holds it."""
    counter = Counter(database.pages, zone=settings.timezone, every_seconds=settings.usage_seconds)
    _counters[database.machine] = _counters[database.pages] = counter
    return counter


def counter_of(connection: Connection) -> Counter:
    """The counter of the application that this connection is of, be it given back by now or not."""
    return _counters[connection.engine]
