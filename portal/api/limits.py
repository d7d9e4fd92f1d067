"""How many calls a consent may make in a minute, over all workers, without a write for each call.

Each worker counts the calls of a consent in its own memory. Whenever a step (a STEPS-th of the quota) has gathered
there, it adds them to the one row that the consent has in the database, in one statement that also tells what all
workers have added so far. A consent that stays below a step in a minute causes no write.

What that promises, with a quota of q calls, a step of s = q / 20 and w workers:

* no call is refused before q calls of the minute were let through: a worker refuses only by calls that were counted;
* at most q + (w - 1)(s - 1) are let through: when the last of q is counted, each other worker can hold s - 1 that it
  has let through and not added yet. One worker is exact, two go over by less than 5 %, and each further one by as much.

Minutes are those of the clock, the same for all, so that a consent may spend two quotas around the turn of one. A
store that many processes share would be exact at the price of a round trip for every call; the libraries that count
in SQL or keep their counts in one process do not fit: a write for each call, or a limit for each worker.

The headers are those of draft-ietf-httpapi-ratelimit-headers-11; what they say is left is what this worker knows of.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from threading import Lock
from typing import Any, cast

from flask import Flask, Response, current_app, g
from sqlalchemy import Connection, bindparam, case
from sqlalchemy.dialects import postgresql, sqlite

from portal import db
from portal.api.models import CallWindow
from portal.db import table_of
from portal.errors import TooManyRequests

POLICY = "consent"
WINDOW_SECONDS = 60
STEPS = 20
EXTENSION = "portal-api-limits"

_window = table_of(CallWindow)


def _settle_in(dialect: Any) -> Any:
    """Add to the minute of the row, or begin a new one; no row comes back when another worker is in a later minute."""
    new = dialect.insert(_window).values(consent_id=bindparam("consent"), minute=bindparam("now_at"), calls=bindparam("more"))
    goes_on = _window.c.minute == new.excluded.minute
    return new.on_conflict_do_update(
        index_elements=[_window.c.consent_id],
        set_={
            "minute": new.excluded.minute,
            "calls": case((goes_on, _window.c.calls + new.excluded.calls), else_=new.excluded.calls),
        },
        where=_window.c.minute <= new.excluded.minute,
    ).returning(_window.c.calls)


SETTLE = {"postgresql": _settle_in(postgresql), "sqlite": _settle_in(sqlite)}


class QuotaExceeded(TooManyRequests):
    kind = "quota-exceeded"
    title = "Too many calls in this minute"
    message = "Nothing was changed. Wait as long as Retry-After says, and then call again."


@dataclass(slots=True)
class Count:
    """The calls of one consent in this minute, as far as this worker knows."""

    settled: int = 0
    """Those in the database when this worker last looked, its own included."""
    own: int = 0
    """Those of this worker that are not there yet."""


class Limits:
    """The counts of one worker. Only those of the running minute are kept."""

    def __init__(self, quota: int) -> None:
        self.quota = quota
        self.step = max(1, quota // STEPS)
        self.policy = f'"{POLICY}";q={quota};w={WINDOW_SECONDS}'
        self._lock = Lock()
        self._minute = 0
        self._counts: dict[str, Count] = {}

    def spend(self, connection: Connection, consent_id: str, *, now: datetime) -> int:
        """Count one call, which then may go on. Returns what is left; raises QuotaExceeded when nothing was."""
        minute, second = divmod(int(now.timestamp()), WINDOW_SECONDS)
        with self._lock:
            count = self._count_of(consent_id, minute)
            is_over = count.settled + count.own >= self.quota
            due = 0
            if not is_over:
                count.own += 1
                if count.own >= self.step:
                    due, count.own = count.own, 0
                    count.settled += due
        if due:
            total = self._settle(connection, consent_id, minute, due)
            with self._lock:
                if total is None:  # somebody else writes, and a later call will add them
                    count.settled, count.own = count.settled - due, count.own + due
                else:
                    count.settled = max(count.settled, total)
            is_over = total is not None and total > self.quota
        if is_over:
            raise _exceeded(WINDOW_SECONDS - second)
        return max(0, self.quota - count.settled - count.own)

    def _count_of(self, consent_id: str, minute: int) -> Count:
        if minute > self._minute:
            self._minute, self._counts = minute, {}
        return self._counts.setdefault(consent_id, Count())

    def _settle(self, connection: Connection, consent_id: str, minute: int, due: int) -> int | None:
        """What all workers have counted, `due` included; 0 when their clocks are in a later minute already, None when busy."""
        named = {"consent": consent_id, "now_at": minute, "more": due}
        statement = SETTLE[connection.dialect.name]
        return db.unless_busy(connection, lambda: connection.execute(statement, named).scalar() or 0)


def init_app(app: Flask) -> None:
    quota = cast(Any, app).settings.api_calls_per_minute
    app.extensions[EXTENSION] = Limits(quota) if quota else None


def spend(connection: Connection, consent_id: str, *, now: datetime) -> None:
    """Count this request against its consent, once however often it is asked. Raises QuotaExceeded."""
    limits: Limits | None = current_app.extensions[EXTENSION]
    if limits is None or "rate_limit" in g:
        return
    g.rate_limit = (0, limits.policy, now)
    g.rate_limit = (limits.spend(connection, consent_id, now=now), limits.policy, now)


def tell(response: Response) -> Response:
    """`RateLimit` and `RateLimit-Policy` on every answer to a call that was counted, refusals too."""
    if "rate_limit" in g:
        left, policy, now = g.rate_limit
        wait = WINDOW_SECONDS - int(now.timestamp()) % WINDOW_SECONDS
        response.headers["RateLimit-Policy"] = policy
        response.headers["RateLimit"] = f'"{POLICY}";r={left};t={wait}'
    return response


def _exceeded(wait: int) -> QuotaExceeded:
    return QuotaExceeded(
        headers={"Retry-After": str(wait)}, members={"violated-policies": [POLICY]}, detail="quota of the consent"
    )
