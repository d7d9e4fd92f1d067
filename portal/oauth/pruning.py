"""What of the protocol is over and tells nothing any more, so that tables do not grow for ever.

Consents stay: they say who could read what, and when. A spent refresh token stays while its line may still be refreshed,
since that is how a stolen one is known; an authorization stays while any token of it is there, since that is what a code
that is presented again ends.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, CursorResult, Delete, Table, delete, exists, or_, select
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
_pushed, _assertion = table_of(PushedRequest), table_of(AssertionId)


def prune_access_tokens(session: Session, *, now: datetime) -> int:
    """Delete AT_ONCE at most, as each of these does, and return how many; for the night, since whole tables are read."""
    return _prune(session, _access, _access.c.expires_at < now - KEEP_ACCESS_TOKENS)


def prune_refresh_tokens(session: Session, *, now: datetime) -> int:
    """Delete those of lines and consents that ended."""
    return _prune(session, _refresh, _is_over(now - KEEP_REFRESH_TOKENS))


def prune_pushed_requests(session: Session, *, now: datetime) -> int:
    """Delete those that nobody came back with in time."""
    return _prune(session, _pushed, _pushed.c.expires_at < now)


def prune_assertion_ids(session: Session, *, now: datetime) -> int:
    """Delete those of assertions that have expired, and so are good no more anyway."""
    return _prune(session, _assertion, _assertion.c.expires_at < now)


def prune_authorizations(session: Session, *, now: datetime) -> int:
    """Delete authorizations that no token is left of and none can come to; after the tokens.

    Never redeemed ones are among them. The joins are such that each table is read once, without an index.
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


def _prune(session: Session, table: Table, is_over: ColumnElement[bool]) -> int:
    return _rows(session, delete(table).where(table.c.digest.in_(select(table.c.digest).where(is_over).limit(AT_ONCE))))


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
