"""Who there is: people by their e-mail or id, and how the operator adds and disables them."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from email_validator import EmailNotValidError, validate_email
from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from portal.accounts.models import User

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
    return user


def is_zone(name: str) -> bool:
    """Whether this is a time zone of the tz database."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True
