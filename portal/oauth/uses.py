"""The use of an access token: counted for the business to see, and "last accessed" moved.

"Last accessed" is exact to a minute even when a worker is killed, so it is written at once: forward only, at most once a
minute for each consent, by one call of each worker, and by none that would have to wait for somebody else's write.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection
from werkzeug.exceptions import HTTPException

from portal import db
from portal.consents import usage
from portal.errors import PortalError
from portal.oauth import tokens
from portal.oauth.tokens import AccessLookup

LAST_ACCESSED_EVERY = timedelta(seconds=60)


def note(connection: Connection, access: AccessLookup, scopes: Sequence[str], *, now: datetime) -> None:
    """A call was answered that needed any of `scopes`; mostly without a statement."""
    counter = usage.counter_of(connection)
    counter.count(access.consent_id, _needed(access, scopes), now=now)
    last = access.last_accessed_at
    if (last is None or now - last >= LAST_ACCESSED_EVERY) and counter.claim(access.consent_id, last):
        named = {"consent_id": access.consent_id, "before": now - LAST_ACCESSED_EVERY, "now": now}
        # Where somebody else is writing, the next call does it; the claim is free again when the counts are stored.
        db.unless_busy(connection, lambda: tokens.TOUCH_CONSENT.run(connection, **named))


def note_refusal(connection: Connection, access: AccessLookup | None, scopes: Sequence[str], *, now: datetime) -> None:
    """A call was refused that needed any of `scopes`. A token that nobody knows is nobody's use."""
    if access is not None:
        usage.counter_of(connection).count(access.consent_id, _needed(access, scopes), now=now, refused=True)


def _needed(access: AccessLookup, scopes: Sequence[str]) -> str:
    """The scope that such a call counts for: the first of these that was open to it."""
    opened = access.effective.opened
    return next((scope for scope in scopes if scope in opened), scopes[0])


class Refusals:
    """`with Refusals(…):` a call that may be made, and is refused in here for a mistake of its own, is noted as refused."""

    __slots__ = ("_access", "_connection", "_now", "_scopes")

    def __init__(self, connection: Connection, access: AccessLookup, scopes: Sequence[str], *, now: datetime) -> None:
        self._connection, self._access, self._scopes, self._now = connection, access, scopes, now

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if error is not None and _status(error) < 500:
            note_refusal(self._connection, self._access, self._scopes, now=self._now)


def _status(error: BaseException) -> int:
    if isinstance(error, HTTPException):
        return error.code or 500
    return error.status if isinstance(error, PortalError) else 500
