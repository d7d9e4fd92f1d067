"""Proving who one is: password, then second factor, and what a browser session knows afterwards.

Between the two steps the session holds `pending_user_id` and nothing else; `user_id` is set only when both are done, so
no page has to ask how far a sign-in has come. `amr` speaks RFC 8176 and names only what this session has seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, bindparam, select, update
from sqlalchemy.orm import Session

from portal import interaction
from portal.accounts import mfa, throttle, users
from portal.accounts.models import BrowserSession, User
from portal.accounts.passwords import Passwords
from portal.accounts.throttle import Attempt
from portal.audit.record import record
from portal.crypto import Keyring
from portal.db import table_of
from portal.errors import Unavailable
from portal.interaction import Interaction

PENDING_LIFE = timedelta(minutes=10)
"""How long the second factor may take after the password."""
FRESH = timedelta(minutes=10)
"""How long after signing in a person may change what signing in needs."""

PASSWORD = ("pwd",)
PASSWORD_AND_CODE = ("pwd", "otp", "mfa")
PASSWORD_AND_RECOVERY = ("pwd", "mfa")

_users = table_of(User)
FIND_BY_EMAIL = select(_users.c.id, _users.c.password_hash, _users.c.disabled_at).where(_users.c.email == bindparam("email"))


@dataclass(frozen=True)
class Checked:
    """What came of a password. `user_id` is whose e-mail it is, right password or not; `refused_by` is the limit that was hit."""

    email: str
    user_id: str | None = None
    is_right: bool = False
    stored: str | None = None
    new_hash: str | None = None
    refused_by: Attempt | None = None


def check_password(
    connection: Connection,
    keyring: Keyring,
    passwords: Passwords,
    *,
    email: str,
    password: str,
    address: str | None,
    now: datetime,
) -> Checked:
    """Check a password, with `connection` committing by itself so that the attempt counts whatever happens next.

    An unknown e-mail costs the same statements and the same hashing as a known one. Raises Unavailable, uncounted.
    """
    subjects = ((throttle.ADDRESS, throttle.network_of(address)), (throttle.ACCOUNT, email))
    for limit, subject in subjects:
        attempt = throttle.claim(connection, keyring, limit, subject, now=now)
        if not attempt.is_allowed:
            return Checked(email, refused_by=attempt)
    found = connection.execute(FIND_BY_EMAIL, {"email": email}).first()
    stored = found.password_hash if found is not None else None
    try:
        right = passwords.verify(stored, password) and found is not None and found.disabled_at is None
        new_hash = passwords.hash(password) if right and stored and passwords.needs_rehash(stored) else None
    except Unavailable:
        for limit, subject in subjects:
            throttle.give_back(connection, keyring, limit, subject)
        raise
    return Checked(email, found.id if found is not None else None, right, stored, new_hash)


def accept_password(db: Session, keyring: Keyring, checked: Checked, *, address: str | None) -> User | None:
    """The person, once the password was right; None when the account was changed in that moment. Takes back the attempt.

    The account stays locked until the sign-in is stored: a change of the password ends every session that it finds, and
    would miss one that is just being made with the old one.
    """
    is_same = (User.id == checked.user_id, User.password_hash == checked.stored)
    if not checked.is_right or db.scalar(select(User.id).where(*is_same).with_for_update()) is None:
        return None
    user = users.find(db, checked.user_id)
    if user is None:
        return None
    if checked.new_hash is not None:
        same = update(User).where(User.id == user.id, User.password_hash == checked.stored)
        db.execute(same.values(password_hash=checked.new_hash))
    throttle.give_back(db, keyring, throttle.ADDRESS, throttle.network_of(address))
    throttle.forget(db, keyring, throttle.ACCOUNT, checked.email)
    return user


def record_refusal(db: Session, *, user_id: str | None, reason: str, refused_by: Attempt | None, now: datetime) -> None:
    """An audit event for each wrong try, and one for each limit that is hit: not for each try after that."""
    if refused_by is None:
        record(db, "user.sign_in_refused", now=now, user_id=user_id, reason=reason)
    elif refused_by.is_first_refused:
        record(db, "user.sign_in_refused", now=now, user_id=user_id, reason="too_many_attempts", limit=refused_by.limit.kind)


def begin(row: BrowserSession, user: User, *, now: datetime) -> None:
    """Remember that the password was right and the second factor is still to come."""
    row.pending_user_id = user.id
    row.data = {**row.data, "pending_at": int(now.timestamp())}


def find_pending(db: Session, row: BrowserSession | None, *, now: datetime) -> User | None:
    """The person whose second factor is asked for: after the password, or to raise a session that had none."""
    if row is None:
        return None
    if row.pending_user_id is not None:
        in_time = now.timestamp() - row.data.get("pending_at", 0) <= PENDING_LIFE.total_seconds()
        return users.find(db, row.pending_user_id) if in_time else None
    return row.user if row.user is not None and row.user.is_active and row.user.mfa_on and "mfa" not in row.amr else None


@dataclass(frozen=True)
class CodeChecked:
    """What came of a code."""

    is_right: bool
    refused_by: Attempt | None = None


def check_code(db: Session, keyring: Keyring, user: User, typed: str, *, recovery: bool, now: datetime) -> CodeChecked:
    """Spend an authentication code, or a recovery code. Counted before it is looked at."""
    limits = (throttle.RECOVERY,) if recovery else (throttle.CODE, throttle.CODE_A_DAY)
    for limit in limits:
        attempt = throttle.claim(db, keyring, limit, user.id, now=now)
        if not attempt.is_allowed:
            return CodeChecked(False, attempt)
    code = mfa.read_recovery_code(typed) if recovery else mfa.read_code(typed)
    claim = mfa.claim_recovery_code if recovery else mfa.claim_code
    if code is None or not claim(db, keyring, user.id, code, now=now):
        return CodeChecked(False)
    for limit in limits:
        throttle.forget(db, keyring, limit, user.id)
    if recovery:
        left = mfa.count_recovery_codes(db, user.id)
        record(db, "user.recovery_code_used", now=now, user_id=user.id, user_name=user.name, left=left)
    return CodeChecked(True)


def complete(db: Session, row: BrowserSession, user: User, *, amr: tuple[str, ...], now: datetime) -> None:
    """Sign the person in. A person who only raises a session to a second factor keeps the time of their password."""
    raised = row.pending_user_id is None and row.user_id == user.id and "mfa" in amr
    row.user, row.pending_user_id = user, None
    row.amr = list(amr)
    if not raised or row.auth_time is None:
        row.auth_time = now
    row.data = {name: value for name, value in row.data.items() if name != "pending_at"}
    record(db, "user.signed_in", now=now, user_id=user.id, user_name=user.name, amr=list(amr))


def is_fresh(row: BrowserSession, *, now: datetime) -> bool:
    """Whether the person signed in so lately that they may change what signing in needs."""
    age = row.age_of_sign_in(now)
    return age is not None and age <= FRESH


def may_change_security(row: BrowserSession, user: User, *, now: datetime) -> bool:
    """Whether this session has proved enough, and lately enough, to change what signing in needs."""
    return is_fresh(row, now=now) and (not user.mfa_on or "mfa" in row.amr)


def answer_prompts(parked: Interaction, *prompts: str, now: datetime) -> None:
    """Note in the parked request that the person has done these for it: `login`, `mfa`."""
    parked.prompted = {**parked.prompted, **dict.fromkeys(prompts, int(now.timestamp()))}


def carry_over(
    db: Session, interaction_id: str | None, *, old_session_id: str, new_session_id: str, now: datetime
) -> Interaction | None:
    """Bind the parked request of a browser's old session to its new one; None when it was not the old one's."""
    parked = interaction.find(db, interaction_id, session_id=old_session_id, now=now)
    if parked is not None:
        interaction.rebind(db, parked, session_id=new_session_id)
    return parked
