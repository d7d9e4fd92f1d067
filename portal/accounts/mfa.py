"""The second factor: an authenticator app (RFC 6238) and ten recovery codes that stand in for it once each.

Nothing here works twice: a time step and a recovery code are each claimed by one conditional UPDATE, whose row count
decides when several try at once.
"""

from __future__ import annotations

import base64
import re
import secrets
from datetime import datetime, timedelta
from typing import Any

import pyotp
from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from portal import crypto
from portal.accounts.models import RecoveryCode, TotpFactor, User
from portal.audit.record import record
from portal.crypto import DecryptionError, Keyring
from portal.db import ID_ALPHABET

STEP_SECONDS = 30
DRIFT_STEPS = 1
"""How far the clock of a telephone may be off (RFC 6238 §5.2: at most one step of delay)."""
CODE = re.compile(r"[0-9]{6}")

RECOVERY_CODES = 10
GROUPS, GROUP_LENGTH = 4, 5
"""Twenty characters of thirty-two: 100 random bits, beyond guessing even without a limit on tries."""
RECOVERY_CODE = re.compile(rf"[{ID_ALPHABET}]{{{GROUPS * GROUP_LENGTH}}}")
LOOK_ALIKES = str.maketrans({"o": "0", "i": "1", "l": "1"})

SETUP_LIFE = timedelta(minutes=30)


def read_code(typed: str) -> str | None:
    """The six digits of what was typed, spaces left out; None when that is no code."""
    code = re.sub(r"[\s-]", "", typed) if len(typed) <= 40 else ""
    return code if CODE.fullmatch(code) else None


def read_recovery_code(typed: str) -> str | None:
    """The twenty characters of what was typed, as they are digested; None when that is no recovery code."""
    code = re.sub(r"[\s-]", "", typed).lower().translate(LOOK_ALIKES) if len(typed) <= 80 else ""
    return code if RECOVERY_CODE.fullmatch(code) else None


def matching_steps(secret: str, code: str, *, now: datetime) -> list[int]:
    """The time steps around now whose code this is, oldest first; nearly always one or none."""
    totp = pyotp.TOTP(secret)
    step = int(now.timestamp()) // STEP_SECONDS
    around = range(step - DRIFT_STEPS, step + DRIFT_STEPS + 1)
    return [each for each in around if crypto.same(totp.generate_otp(each), code)]


def claim_code(db: Session, keyring: Keyring, user_id: str, code: str, *, now: datetime) -> bool:
    """Spend a code of the authenticator app. False when it is wrong, or was spent already (RFC 6238 §5.2 MUST NOT)."""
    stored = db.scalar(select(TotpFactor.secret).where(TotpFactor.user_id == user_id))
    if stored is None:
        return False
    secret = keyring.decrypt("totp", stored).decode()
    return any(_claim_step(db, user_id, step) for step in matching_steps(secret, code, now=now))


def _claim_step(db: Session, user_id: str, step: int) -> bool:
    claim = update(TotpFactor).where(TotpFactor.user_id == user_id, TotpFactor.last_step < step).values(last_step=step)
    return db.execute(claim).rowcount == 1  # type: ignore[attr-defined,no-any-return]


def claim_recovery_code(db: Session, keyring: Keyring, user_id: str, code: str, *, now: datetime) -> bool:
    """Spend a recovery code. False when there is none like it, or it was spent already."""
    claim = (
        update(RecoveryCode)
        .where(
            RecoveryCode.user_id == user_id,
            RecoveryCode.digest == _digest(keyring, user_id, code),
            RecoveryCode.used_at.is_(None),
        )
        .values(used_at=now)
    )
    return db.execute(claim).rowcount == 1  # type: ignore[attr-defined,no-any-return]


def count_recovery_codes(db: Session, user_id: str) -> int:
    """How many are left."""
    unused = select(func.count()).where(RecoveryCode.user_id == user_id, RecoveryCode.used_at.is_(None))
    return db.scalar(unused) or 0


def make_recovery_codes(db: Session, keyring: Keyring, user: User, *, now: datetime) -> list[str]:
    """Ten new codes in place of all earlier ones, to be shown this once; only their keyed digests are stored."""
    db.execute(select(TotpFactor.user_id).where(TotpFactor.user_id == user.id).with_for_update())  # one maker at a time
    db.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user.id))
    codes = ["".join(secrets.choice(ID_ALPHABET) for _ in range(GROUPS * GROUP_LENGTH)) for _ in range(RECOVERY_CODES)]
    db.add_all(RecoveryCode(user_id=user.id, digest=_digest(keyring, user.id, code), created_at=now) for code in codes)
    record(db, "user.recovery_codes_made", now=now, user_id=user.id, user_name=user.name)
    return ["-".join(code[at : at + GROUP_LENGTH] for at in range(0, len(code), GROUP_LENGTH)) for code in codes]


def seal_codes(keyring: Keyring, codes: list[str], user_id: str) -> str:
    """Codes on their way to the one page that shows them, encrypted, in a form that the server-side session can hold."""
    return base64.b64encode(keyring.encrypt("recovery-codes-shown", " ".join([user_id, *codes]).encode())).decode()


def unseal_codes(keyring: Keyring, sealed: str | None, user_id: str) -> list[str]:
    """The codes that wait to be shown to this person; none when they were shown."""
    if not sealed:
        return []
    try:
        owner, *codes = keyring.decrypt("recovery-codes-shown", base64.b64decode(sealed)).decode().split(" ")
    except DecryptionError:
        return []
    return codes if owner == user_id else []


def _digest(keyring: Keyring, user_id: str, code: str) -> bytes:
    return keyring.mac("recovery-code", user_id + code)


# setting it up


def begin_setup(keyring: Keyring, user_id: str, *, now: datetime) -> dict[str, Any]:
    """A new secret waiting for its first code, encrypted, in a form that the server-side session can hold."""
    sealed = keyring.encrypt("totp-setup", f"{user_id} {pyotp.random_base32()}".encode())
    return {"sealed": base64.b64encode(sealed).decode(), "at": int(now.timestamp())}


def setup_secret(keyring: Keyring, setup: Any, user_id: str, *, now: datetime) -> str | None:
    """The secret that waits, when it is this person's and not too old."""
    if not isinstance(setup, dict) or now.timestamp() - setup["at"] > SETUP_LIFE.total_seconds():
        return None
    try:
        owner, secret = keyring.decrypt("totp-setup", base64.b64decode(setup["sealed"])).decode().split(" ")
    except DecryptionError:
        return None
    return secret if owner == user_id else None


def enrol(db: Session, keyring: Keyring, user: User, secret: str, code: str, *, now: datetime) -> list[str] | None:
    """Make this the person's authenticator app, in place of an earlier one. Returns the recovery codes; None on a wrong code."""
    steps = matching_steps(secret, code, now=now)
    if not steps:
        return None
    replaced = user.totp is not None
    factor = user.totp or TotpFactor(user_id=user.id)
    factor.secret = keyring.encrypt("totp", secret.encode())
    factor.last_step = steps[-1]  # this code is spent now
    factor.confirmed_at = now
    user.totp = factor
    db.flush()
    record(db, "user.mfa_enrolled", now=now, user_id=user.id, user_name=user.name, replaced=replaced)
    return make_recovery_codes(db, keyring, user, now=now)


def remove(db: Session, user: User, *, now: datetime, by: str = "user") -> bool:
    """Take the second factor away, and the recovery codes with it. False when there was none."""
    gone: bool = db.execute(delete(TotpFactor).where(TotpFactor.user_id == user.id)).rowcount == 1  # type: ignore[attr-defined]
    db.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user.id))
    if gone:
        record(db, "user.mfa_removed", now=now, user_id=user.id, user_name=user.name, by=by)
    return gone


def provisioning_uri(secret: str, *, email: str, brand: str) -> str:
    """What the QR code says to the app: an otpauth URI of this account."""
    return pyotp.TOTP(secret).provisioning_uri(name=email, issuer_name=brand)


def in_groups(secret: str) -> str:
    """The secret for typing: groups of four."""
    return " ".join(secret[at : at + 4] for at in range(0, len(secret), 4))
