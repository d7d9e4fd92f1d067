"""Writing audit events. `record` adds to the transaction of the thing it tells of, so neither is ever without the other."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import insert
from sqlalchemy.orm import Session

from portal.audit.models import AuditEvent
from portal.db import new_id, table_of
from portal.logs import origin

KINDS = {
    "user.added": "was added",
    "user.disabled": "may no longer sign in",
    "user.enabled": "may sign in again",
    "user.signed_in": "signed in",
    "user.sign_in_refused": "failed to sign in",
    "user.signed_out": "signed out",
    "user.password_changed": "changed their password",
    "user.mfa_enrolled": "set up a second factor",
    "user.mfa_removed": "removed their second factor",
    "user.recovery_codes_made": "made new recovery codes",
    "user.recovery_code_used": "signed in with a recovery code",
    "user.session_ended": "ended a session",
    "membership.added": "was added",
    "membership.accepted": "accepted the invitation",
    "membership.role_changed": "has a new role",
    "membership.ended": "was removed",
    "business.policy_changed": "changed who may connect applications",
    "consent.given": "allowed access",
    "consent.changed": "changed what is allowed",
    "consent.narrowed": "took away a part of what is allowed",
    "consent.denied": "denied access",
    "consent.revoked": "ended access",
    "consent.undone": "took back the ending of access",
    "consent.expired": "access expired",
    "consent.signed_out": "access ended with the session it was given for",
    "client.registered": "was registered",
    "client.changed": "was changed",
    "client.disabled": "was disabled",
    "client.enabled": "was enabled",
    "token.reuse_refused": "presented a spent refresh token",
    "code.replay_refused": "presented a spent code",
    "assertion.replay_refused": "presented a client assertion that was used before",
    "pushed_request.replay_refused": "had a pushed authorization request opened that was used before",
    "authorization.revoked": "gave back its tokens",
    "data.document_added": "added a document",
    "data.document_refused": "sent a document that the virus scan refused",
    "data.fund_created": "created a fund",
    "data.fund_changed": "changed details of a fund",
    "data.member_changed": "changed details of a member",
    "data.pension_account_changed": "changed details of a pension account",
    "data.reference_data_loaded": "loaded reference data",
    "key.made": "the first signing keys were made",
    "key.rotated": "signing keys were rotated",
    "key.withdrawn": "signing keys were replaced and the old ones withdrawn at once",
    "key.pruned": "old signing keys were deleted",
}
"""Every kind of event, with the words operators read; the pages' sentences are in the room that shows them."""


def record(
    db: Session,
    kind: str,
    *,
    now: datetime,
    user_id: str | None = None,
    business_id: str | None = None,
    client_id: str | None = None,
    consent_id: str | None = None,
    **detail: Any,
) -> AuditEvent:
    """Add one event to the transaction. `detail` holds JSON values: names and facts of the moment, never a secret."""
    if kind not in KINDS:
        raise ValueError(f"{kind!r} is not a kind of audit event")
    source = origin.get()
    event = AuditEvent(
        at=now,
        kind=kind,
        user_id=user_id,
        business_id=business_id,
        client_id=client_id,
        consent_id=consent_id,
        address=source.address,
        request_id=source.request_id,
        detail=detail,
    )
    db.add(event)
    return event


def record_for_each(
    db: Session, kind: str, business_ids: Iterable[str], *, now: datetime, client_id: str | None = None, **detail: Any
) -> None:
    """Store what no person of theirs did as an event of each of these businesses, by one statement however many they are."""
    events = [
        row(kind, now=now, business_id=business_id, client_id=client_id, consent_id=None, **detail)
        for business_id in business_ids
    ]
    if events:
        db.execute(insert(ROW[0]), events)


ROW = (
    table_of(AuditEvent),
    ("id", "at", "kind", "business_id", "user_id", "client_id", "consent_id", "address", "request_id", "detail"),
)
"""For `statements.ClaimAndInsert`: an event stored by the statement that makes it true."""


def row(
    kind: str, *, now: datetime, business_id: str | None, client_id: str | None, consent_id: str | None, **detail: Any
) -> dict[str, Any]:
    """The values of ROW for something that no person did; `detail` as for `record`."""
    if kind not in KINDS:
        raise ValueError(f"{kind!r} is not a kind of audit event")
    source = origin.get()
    return {
        "id": new_id(),
        "at": now,
        "kind": kind,
        "business_id": business_id,
        "user_id": None,
        "client_id": client_id,
        "consent_id": consent_id,
        "address": source.address,
        "request_id": source.request_id,
        "detail": detail,
    }
