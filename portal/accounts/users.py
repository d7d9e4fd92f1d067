"""Who there is: people by their e-mail or id, and how the operator adds and disables them."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from email_validator import EmailNotValidError, validate_email
from sqlalchemy import select, update
from sqlalchemy.orm import Session, joinedload

from portal.accounts.models import User
from portal.audit.record import record

MAX_EMAIL_LENGTH = 254
MAX_NAME_LENGTH = 200


def normalise_email(typed: str) -> str | None:
    """The one form in which an e-mail is stored and looked up; None when it is no e-mail."""
    typed = typed.strip()
    if not typed or len(typed) > MAX_EMAIL_LENGTH:
        return None
    try:
        return validate_email(typed, check_deliverability=False).normalized.lower()
    except (EmailNotValidError, UnicodeError):
        return None


def find(db: Session, user_id: str | None) -> User | None:
    """The active person with this id, with their second factor; None when there is none."""
    if user_id is None:
        return None
    found = db.get(User, user_id, options=[joinedload(User.totp)])
    return found if found is not None and found.is_active else None


def find_by_email(db: Session, email: str) -> User | None:
    """The person with this e-mail, active or not, with their second factor."""
    return db.scalars(select(User).where(User.email == email).options(joinedload(User.totp))).one_or_none()


def add(
    db: Session,
    *,
    email: str,
    given_name: str,
    family_name: str,
    middle_name: str | None = None,
    zoneinfo: str | None = None,
    password_hash: str | None,
    now: datetime,
) -> User:
    """A new person whose e-mail the operator vouches for. `email` is normalised; a second one of the same is an IntegrityError."""
    user = User(
        email=email,
        email_verified_at=now,
        password_hash=password_hash,
        given_name=given_name,
        middle_name=middle_name or None,
        family_name=family_name,
        zoneinfo=zoneinfo,
        created_at=now,
        totp=None,
    )
    db.add(user)
    db.flush()
    record(db, "user.added", now=now, user_id=user.id, user_name=user.name)
    return user


def change_password(db: Session, user_id: str, *, old_hash: str, new_hash: str) -> bool:
    """Claim the change from the password that was just checked; False when it is another one by now."""
    claim = update(User).where(User.id == user_id, User.password_hash == old_hash).values(password_hash=new_hash)
    return db.execute(claim).rowcount == 1  # type: ignore[attr-defined,no-any-return]


def disable(db: Session, user: User, *, now: datetime) -> bool:
    """Keep a person out from now on; False when they are out already."""
    claim = update(User).where(User.id == user.id, User.disabled_at.is_(None)).values(disabled_at=now)
    if db.execute(claim).rowcount != 1:  # type: ignore[attr-defined]
        return False
    record(db, "user.disabled", now=now, user_id=user.id, user_name=user.name)
    return True


def enable(db: Session, user: User, *, now: datetime) -> bool:
    """Let a person in again; False when they are not disabled."""
    claim = update(User).where(User.id == user.id, User.disabled_at.is_not(None)).values(disabled_at=None)
    if db.execute(claim).rowcount != 1:  # type: ignore[attr-defined]
        return False
    record(db, "user.enabled", now=now, user_id=user.id, user_name=user.name)
    return True


def is_zone(name: str) -> bool:
    """Whether this is a time zone of the tz database."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True
