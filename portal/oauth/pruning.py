"""What of the protocol is over and tells nothing any more, so that tables do not grow for ever.

Consents stay: they say who could read what, and when. A spent refresh token stays while its line may still be refreshed,
since that is how a stolen one is known; an authorization stays while any token of it is there, since that is what a code
that is presented again ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, CursorResult, Delete, delete, exists, or_, select
from sqlalchemy.orm import Session

from portal.clients.models import AssertionId
from portal.consents.models import Consent
from portal.db import table_of
from portal.oauth.models import AccessToken, Authorization, PushedRequest, RefreshToken

KEEP_ACCESS_TOKENS = timedelta(days=1)
"""So that a client that comes late still hears why its token is dead."""
KEEP_REFRESH_TOKENS = timedelta(days=30)
"""After the end of their consent or line; longer than any Undo."""
KEEP_AUTHORIZATIONS = timedelta(days=30)
"""After the life of their code, so that one who comes late with it still hears why it is dead, and it is told."""
AT_ONCE = 5000

_access, _refresh = table_of(AccessToken), table_of(RefreshToken)
_authorization, _consent = table_of(Authorization), table_of(Consent)


@dataclass(frozen=True)
class Pruned:
    """How many rows of each kind were deleted."""

    access_tokens: int
    refresh_tokens: int
    pushed_requests: int
    assertion_ids: int


def prune(session: Session, *, now: datetime) -> Pruned:
    """Delete what expired long enough ago; for the night, since it looks through whole tables."""
    pushed, assertions = table_of(PushedRequest), table_of(AssertionId)
    return Pruned(
        access_tokens=_rows(session, delete(_access).where(_access.c.expires_at < now - KEEP_ACCESS_TOKENS)),
        refresh_tokens=_rows(session, delete(_refresh).where(_is_over(now - KEEP_REFRESH_TOKENS))),
        pushed_requests=_rows(session, delete(pushed).where(pushed.c.expires_at < now)),
        assertion_ids=_rows(session, delete(assertions).where(assertions.c.expires_at < now)),
    )


def prune_authorizations(session: Session, *, now: datetime) -> int:
    """Delete authorizations that no token is left of and none can come to, AT_ONCE at most; after `prune`.

    Returns how many. Never redeemed ones are among them. The joins are such that each table is read once, without an index.
    """
    is_left_of_none = _access.c.authorization_id.is_(None) & _refresh.c.authorization_id.is_(None)
    over = (
        select(_authorization.c.id)
        .outerjoin(_access, _access.c.authorization_id == _authorization.c.id)
        .outerjoin(_refresh, _refresh.c.authorization_id == _authorization.c.id)
        .where(_authorization.c.code_expires_at < now - KEEP_AUTHORIZATIONS, is_left_of_none)
        .limit(AT_ONCE)
    )
    return _rows(session, delete(_authorization).where(_authorization.c.id.in_(over)))


def _is_over(before: datetime) -> ColumnElement[bool]:
    """Whether a refresh token's line or consent ended before this moment."""
    ended = or_(_authorization.c.ended_at < before, _consent.c.revoked_at < before, _consent.c.expires_at < before)
    return exists(
        select(_authorization.c.id)
        .join(_consent, _consent.c.id == _authorization.c.consent_id)
        .where(_authorization.c.id == _refresh.c.authorization_id, ended)
    )


def _rows(session: Session, statement: Delete) -> int:
    result = session.execute(statement)
    assert isinstance(result, CursorResult)  # noqa: S101, for the type
    return result.rowcount
