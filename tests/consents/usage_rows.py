"""The counts that workers have stored, and uses of the past put there as if they had."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.consents.models import Consent, UsageDay
from tests.api.world import Grant

Transaction = Callable[[], AbstractContextManager[Session]]
ZONE = ZoneInfo("Australia/Sydney")


def add_uses(
    transaction: Transaction,
    consent_id: str,
    scope: str,
    *,
    now: datetime,
    days_ago: int,
    calls: int = 1,
    refused: int = 0,
) -> None:
    """Days of people, of which one may have 23 hours or 25."""
    moment = now.astimezone(ZONE) - timedelta(days=days_ago)
    with transaction() as session:
        session.add(
            UsageDay(
                consent_id=consent_id, day=moment.date(), scope=scope, calls=calls, refused=refused,
                last_at=moment.astimezone(UTC) if calls else None,
            )
        )  # fmt: skip


def stored(transaction: Transaction, consent_id: str) -> dict[tuple[date, str], tuple[int, int]]:
    with transaction() as session:
        rows = session.scalars(select(UsageDay).where(UsageDay.consent_id == consent_id))
        return {(row.day, row.scope): (row.calls, row.refused) for row in rows}


def totals(transaction: Transaction, consent_id: str) -> tuple[int, int]:
    found = stored(transaction, consent_id).values()
    return sum(calls for calls, _ in found), sum(refused for _, refused in found)


def last_accessed(transaction: Transaction, grant: Grant) -> datetime | None:
    with transaction() as session:
        return session.get_one(Consent, grant.consent_id).last_accessed_at
