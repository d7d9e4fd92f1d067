"""Uses of the past, put where workers would have stored them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from portal.consents.models import UsageDay

ZONE = ZoneInfo("Australia/Sydney")


def add_uses(
    transaction: Callable[[], AbstractContextManager[Session]],
    consent_id: str,
    scope: str,
    *,
    now: datetime,
    days_ago: int,
    calls: int = 1,
    refused: int = 0,
) -> None:
    moment = now - timedelta(days=days_ago)
    with transaction() as session:
        session.add(
            UsageDay(
                consent_id=consent_id, day=moment.astimezone(ZONE).date(), scope=scope, calls=calls, refused=refused,
                last_at=moment if calls else None,
            )
        )  # fmt: skip
