"""A call with an `Idempotency-Key` is done once, however often it is sent (draft-ietf-httpapi-idempotency-key-header).

The key is claimed by the first statement of the transaction that does the work, and the answer is stored by its last:
either both are there or neither, so an answer that got lost on its way is given again and nothing is done again. Of
many at once the database lets one claim the key and the others wait for what becomes of it. A refusal is rolled back
with its claim, so that the same key can be sent again with what was wrong put right.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from flask import Request
from sqlalchemy import Connection, bindparam, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from portal.api.answers import Reply
from portal.api.models import IdempotentCall
from portal.db import table_of
from portal.errors import BadRequest, Unprocessable
from portal.oauth.tokens import AccessLookup

HEADER = "Idempotency-Key"
KEY = re.compile(r"[\x21-\x7e]{1,255}")
KEPT = timedelta(hours=24)
SWEPT_AT_ONCE = 20

_call = table_of(IdempotentCall)

FRESH: dict[str, Any] = {"key_digest": bindparam("key"), "request_digest": bindparam("request"), "created_at": bindparam("now")}


def _claim_of(dialect: Any) -> Any:
    """Store a new key, or take over one whose time is over; no row comes back when it is taken."""
    new = dialect.insert(_call).values(FRESH)
    return new.on_conflict_do_update(
        index_elements=[_call.c.key_digest],
        set_={**FRESH, "status": None, "headers": None, "body": None},
        where=_call.c.created_at < bindparam("before"),
    ).returning(_call.c.key_digest)


CLAIM = {"postgresql": _claim_of(postgresql), "sqlite": _claim_of(sqlite)}
FIND = select(_call.c.request_digest, _call.c.status, _call.c.headers, _call.c.body).where(_call.c.key_digest == bindparam("key"))
KEEP = (
    update(_call)
    .where(_call.c.key_digest == bindparam("key"))
    .values(status=bindparam("answered"), headers=bindparam("told"), body=bindparam("said"))
)
SWEEP = delete(_call).where(
    _call.c.key_digest.in_(
        select(_call.c.key_digest)
        .where(_call.c.created_at < bindparam("before"))
        .limit(SWEPT_AT_ONCE)
        .with_for_update(skip_locked=True)
    )
)
"""A few at each claim keep the table as small as a day; those that another transaction holds are left to it."""


class KeyReused(Unprocessable):
    kind = "idempotency-key-reused"
    title = "This Idempotency-Key was used for something else"
    message = "Nothing was changed. The same key asks for the same answer; send another key with another call or body."


class BadKey(BadRequest):
    kind = "bad-idempotency-key"
    title = "The Idempotency-Key cannot be used"


def read_key(request: Request) -> str | None:
    """The key, when one was sent. Raises BadKey for what is none."""
    key = request.headers.get(HEADER)
    if key is not None and KEY.fullmatch(key) is None:
        raise BadKey(
            f"Nothing was changed. {HEADER} must be 1 to 255 visible ASCII characters, such as a random UUID.",
            detail="bad idempotency key",
        )
    return key


def digest_of(method: str, path: str, body_digest: bytes, versions: frozenset[int] | None) -> bytes:
    """What makes a call the same call; `versions` are those that it is for, or None when it named none."""
    named = "any" if versions is None else sorted(versions)
    return hashlib.sha256(f"{method} {path} {named}\n".encode("utf-8", "surrogatepass") + body_digest).digest()


def once(
    connection: Connection,
    access: AccessLookup,
    key: str | None,
    request_digest: bytes,
    work: Callable[[], Reply],
    *,
    now: datetime,
) -> Reply:
    """What `work` replies, or replied the first time. Without a key it is simply done. Raises KeyReused.

    A key is the application's own, within what one person gave it in one business; it outlives a renewed consent.
    """
    if key is None:
        return work()
    owner = f"{access.client_id}\n{access.user_id}\n{access.business_id}\n{key}"
    named = {"key": hashlib.sha256(owner.encode()).digest()}
    times = {"now": now, "before": now - KEPT}
    claimed = connection.execute(CLAIM[connection.dialect.name], {**named, **times, "request": request_digest}).first()
    if claimed is None:
        return _told_before(connection, named, request_digest)
    connection.execute(SWEEP, times)
    reply = work()
    connection.execute(KEEP, {**named, "answered": reply.status, "told": dict(reply.headers), "said": reply.body})
    return reply


def _told_before(connection: Connection, named: dict[str, bytes], request_digest: bytes) -> Reply:
    row = connection.execute(FIND, named).one()
    if row.request_digest != request_digest:
        raise KeyReused
    return Reply(row.status, row.headers, row.body)
