"""The use of an access token: counted for the business to see, and "last accessed" moved.

"Last accessed" is exact to a minute even when a worker is killed, so it is written at once: forward only, at most once a
minute for each consent, by one call of each worker, and by none that would have to wait for somebody else's write.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection

from portal.consents import usage
from portal.oauth import tokens
from portal.oauth.tokens import AccessLookup

LAST_ACCESSED_EVERY = timedelta(seconds=60)


def note(connection: Connection, access: AccessLookup, scopes: Sequence[str], *, now: datetime) -> None:
    """A call was answered that needed any of `scopes`; mostly without a statement."""
    opened = access.effective.opened
    counter = usage.counter()
    counter.count(access.consent_id, next((scope for scope in scopes if scope in opened), scopes[0]), now=now)
    last = access.last_accessed_at
    if (last is None or now - last >= LAST_ACCESSED_EVERY) and counter.claim(access.consent_id, last):
        before = now - LAST_ACCESSED_EVERY
        tokens.TOUCH_CONSENT.run(connection, consent_id=access.consent_id, before=before, now=now)


def note_refusal(access: AccessLookup | None, scopes: Sequence[str], *, now: datetime) -> None:
    """A call was refused that needed any of `scopes`. A token that nobody knows is nobody's use."""
    if access is not None:
        usage.counter().count(access.consent_id, scopes[0], now=now, refused=True)
