"""Failed attempts, counted where every worker and every restart sees them.

An attempt is claimed before it is checked, by one statement, so that many tries at once get no more than the limit
together; a success gives the claim back. Keys are keyed digests, so the table tells nothing about who tried, and
unknown accounts are counted like known ones.
"""

from __future__ import annotations

import ipaddress
import math
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, Integer, bindparam, delete, text, update
from sqlalchemy.orm import Session

from portal.accounts.models import Throttle
from portal.crypto import Keyring
from portal.db import Digest, UtcDateTime, table_of


@dataclass(frozen=True)
class Limit:
    """How many attempts one subject has in one window, which begins with the first."""

    kind: str
    attempts: int
    window: timedelta


ACCOUNT = Limit("account", 10, timedelta(minutes=15))
"""Subject: the e-mail as typed, normalised."""
ADDRESS = Limit("address", 100, timedelta(minutes=15))
"""Subject: the network address; many people may share one."""
CODE = Limit("mfa", 6, timedelta(minutes=15))
"""Subject: a user's id. Six tries of a million, three codes being right at a time."""
CODE_A_DAY = Limit("mfa-day", 60, timedelta(days=1))
"""Beside CODE, so that whoever knows a password cannot go on guessing codes day after day."""
RECOVERY = Limit("recovery", 6, timedelta(minutes=15))
"""Apart from CODE, so that somebody guessing codes does not take this way in from the person too."""


@dataclass(frozen=True)
class Attempt:
    """One claimed attempt: the how-manieth in its window it is, and when the window ends."""

    limit: Limit
    number: int
    window_ends_at: datetime

    @property
    def is_allowed(self) -> bool:
        return self.number <= self.limit.attempts

    @property
    def is_first_refused(self) -> bool:
        return self.number == self.limit.attempts + 1

    def seconds_left(self, now: datetime) -> int:
        return max(1, math.ceil((self.window_ends_at - now).total_seconds()))


CLAIM = (
    text(
        "INSERT INTO throttles (key, failures, window_ends_at) VALUES (:key, 1, :ends) "
        "ON CONFLICT (key) DO UPDATE SET "
        "failures = CASE WHEN throttles.window_ends_at <= :now THEN 1 ELSE throttles.failures + 1 END, "
        "window_ends_at = CASE WHEN throttles.window_ends_at <= :now THEN excluded.window_ends_at "
        "ELSE throttles.window_ends_at END "
        "RETURNING failures, window_ends_at"
    )
    .bindparams(bindparam("key", type_=Digest), bindparam("now", type_=UtcDateTime()), bindparam("ends", type_=UtcDateTime()))
    .columns(failures=Integer(), window_ends_at=UtcDateTime())
)


def claim(db: Connection | Session, keyring: Keyring, limit: Limit, subject: str, *, now: datetime) -> Attempt:
    """Count one attempt and say whether it may be made."""
    key = _key(keyring, limit, subject)
    row = db.execute(CLAIM, {"key": key, "now": now, "ends": now + limit.window}).one()
    return Attempt(limit, row.failures, row.window_ends_at)


def give_back(db: Connection | Session, keyring: Keyring, limit: Limit, subject: str) -> None:
    """Uncount one attempt that did not fail."""
    table = table_of(Throttle)
    db.execute(
        update(table)
        .where(table.c.key == _key(keyring, limit, subject), table.c.failures > 0)
        .values(failures=table.c.failures - 1)
    )


def forget(db: Connection | Session, keyring: Keyring, limit: Limit, subject: str) -> None:
    """Uncount everything, once the subject has proved who they are."""
    table = table_of(Throttle)
    db.execute(delete(table).where(table.c.key == _key(keyring, limit, subject)))


def prune(db: Session, *, now: datetime) -> int:
    """Delete the windows that are over. Returns how many there were."""
    table = table_of(Throttle)
    return db.execute(delete(table).where(table.c.window_ends_at <= now)).rowcount  # type: ignore[attr-defined,no-any-return]


def network_of(address: str | None) -> str:
    """The address, or for IPv6 its /64, of which one person has all."""
    try:
        parsed = ipaddress.ip_address(address or "")
    except ValueError:
        return address or "unknown"
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    return str(parsed.ipv4_mapped or ipaddress.ip_network((parsed, 64), strict=False))


def _key(keyring: Keyring, limit: Limit, subject: str) -> bytes:
    return keyring.mac("throttle", f"{limit.kind}:{subject}")
