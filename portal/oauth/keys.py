"""Signing keys: in the database, private parts encrypted at rest, rotated without a moment in which a token cannot be checked.

Each algorithm has at most one key that signs. Rotation adds a new one and gives the old one a date until which it
stays published (RFC 7517 §5; OIDC Core §10.1.1), later than the end of every token it signed. Only a key that leaked is
withdrawn at once, with whatever it signed.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from joserfc.jwk import ECKey, Key, OKPKey, RSAKey
from joserfc.jws import JWSRegistry
from sqlalchemy import Connection, delete, or_, select, update
from sqlalchemy.orm import Session

from portal.audit import record
from portal.clients.models import Client
from portal.config import Settings
from portal.crypto import Keyring
from portal.db import table_of
from portal.oauth.models import SigningKey

PURPOSE = "signing-key"
ALGORITHMS = ("ES256", "RS256", "EdDSA")
RELOAD_SECONDS = 30
"""How long a worker goes on with the keys it has read; a retired key stays published for longer than that."""

_keys = table_of(SigningKey)
READ_KEYS = select(_keys.c.kid, _keys.c.algorithm, _keys.c.private_jwk, _keys.c.public_jwk, _keys.c.retires_at).order_by(
    _keys.c.created_at.desc(), _keys.c.kid.desc()
)
_clients = table_of(Client)
READ_ALGORITHMS = select(_clients.c.id_token_signed_response_alg).where(_clients.c.disabled_at.is_(None)).distinct()


class OurAlgorithms(JWSRegistry):
    """Of joserfc's algorithms those that are named, EdDSA without a warning at every use.

    RFC 9864 gives it the name Ed25519; OpenID registrations and verifiers go on saying EdDSA.
    """

    def get_alg(self, name: str) -> Any:
        return self.algorithms[name] if name == "EdDSA" and name in (self.allowed or ()) else super().get_alg(name)


def generate(algorithm: str) -> Key:
    """A new private key for ES256 (P-256), RS256 (2048 bits) or EdDSA (Ed25519)."""
    if algorithm == "ES256":
        return ECKey.generate_key("P-256", private=True)
    if algorithm == "RS256":
        return RSAKey.generate_key(2048, private=True)
    if algorithm == "EdDSA":
        return OKPKey.generate_key("Ed25519", private=True)
    raise ValueError(f"{algorithm!r} is not one of {', '.join(ALGORITHMS)}")


def ensure_keys(session: Session, keyring: Keyring, *, now: datetime) -> list[str]:
    """Make the signing key of each algorithm that has none; returns the new key ids."""
    having = set(session.scalars(select(SigningKey.algorithm).where(SigningKey.retires_at.is_(None))))
    kids = [_add(session, keyring, algorithm, now=now).kid for algorithm in ALGORITHMS if algorithm not in having]
    if kids:
        record.record(session, "key.made", now=now, kids=kids)
    return kids


def rotate(session: Session, keyring: Keyring, settings: Settings, *, now: datetime) -> list[str]:
    """Replace every signing key; the old ones stay published until the last token they signed has expired."""
    retires_at = now + timedelta(seconds=settings.id_token_seconds + 10 * RELOAD_SECONDS)
    session.execute(update(SigningKey).where(SigningKey.retires_at.is_(None)).values(retires_at=retires_at))
    kids = [_add(session, keyring, algorithm, now=now).kid for algorithm in ALGORITHMS]
    record.record(session, "key.rotated", now=now, kids=kids, old_keys_published_until=retires_at.isoformat())
    return kids


def withdraw(session: Session, keyring: Keyring, *, now: datetime) -> list[str]:
    """Replace every key because one leaked: no old one is published from now on, nor is what it signed taken as a hint."""
    old = sorted(session.scalars(delete(SigningKey).returning(SigningKey.kid)))
    kids = [_add(session, keyring, algorithm, now=now).kid for algorithm in ALGORITHMS]
    record.record(session, "key.withdrawn", now=now, kids=kids, withdrawn_kids=old)
    return kids


def prune(session: Session, settings: Settings, *, now: datetime) -> list[str]:
    """Delete the keys that can tell nothing any more; returns their ids.

    What they signed is good no longer when their date has passed, but it hints at a session for as long as that lives
    (RP-Initiated Logout §2).
    """
    before = now - timedelta(seconds=settings.session_absolute_seconds)
    over = delete(SigningKey).where(SigningKey.retires_at <= before).returning(SigningKey.kid)
    kids = sorted(session.scalars(over))
    if kids:
        record.record(session, "key.pruned", now=now, kids=kids)
    return kids


def newest_first(session: Session) -> Sequence[SigningKey]:
    """Every key there is, those that sign and those that are over."""
    return session.scalars(select(SigningKey).order_by(SigningKey.created_at.desc(), SigningKey.kid.desc())).all()


def signing(session: Session) -> list[SigningKey]:
    """The keys that sign now."""
    return [key for key in newest_first(session) if key.retires_at is None]


def check_readable(session: Session, keyring: Keyring) -> None:
    """Raises DecryptionError when a key that signs does not open: the portal runs under another PORTAL_SECRET_KEY."""
    for key in signing(session):
        keyring.decrypt(PURPOSE, key.private_jwk)


def _add(session: Session, keyring: Keyring, algorithm: str, *, now: datetime) -> SigningKey:
    key = generate(algorithm)
    kid = key.thumbprint()
    facts = {"kid": kid, "use": "sig", "alg": algorithm}
    stored = SigningKey(
        kid=kid,
        algorithm=algorithm,
        public_jwk={**key.as_dict(private=False), **facts},
        private_jwk=keyring.encrypt(PURPOSE, json.dumps({**key.as_dict(private=True), **facts}).encode()),
        created_at=now,
    )
    session.add(stored)
    session.flush()
    return stored


@dataclass
class KeyStore:
    """The keys as one worker knows them, read again every RELOAD_SECONDS."""

    keyring: Keyring
    _signing: dict[str, Key] = field(default_factory=dict)
    _opened: set[str] = field(default_factory=set)
    """The ids of keys that `check_ready` has opened once: what is stored of a key never changes."""
    _loaded_at: float = float("-inf")
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def signing_key(self, connection: Connection, algorithm: str, *, now: datetime) -> Key:
        """The key that signs for `algorithm`. Raises LookupError when there is none; `flask keys rotate` makes them."""
        if time.monotonic() - self._loaded_at > RELOAD_SECONDS:
            self._load(connection)
        if algorithm not in self._signing:
            self._load(connection)
        return self._signing[algorithm]

    def check_ready(self, connection: Connection) -> None:
        """Raises LookupError when an algorithm that active clients use has no key that signs, DecryptionError when one does not open."""
        signing = _that_sign(connection)
        for algorithm in set(connection.scalars(READ_ALGORITHMS)) or ALGORITHMS:
            key = signing[algorithm]
            if key.kid not in self._opened:
                self.keyring.decrypt(PURPOSE, key.private_jwk)
                self._opened.add(key.kid)

    def _load(self, connection: Connection) -> None:
        with self._lock:
            self._signing = {
                algorithm: import_key(json.loads(self.keyring.decrypt(PURPOSE, row.private_jwk)))
                for algorithm, row in _that_sign(connection).items()
            }
            self._loaded_at = time.monotonic()


def _that_sign(connection: Connection) -> dict[str, Any]:
    """The row of the key that signs, by algorithm; the newest where there are several."""
    signing: dict[str, Any] = {}
    for row in connection.execute(READ_KEYS):
        if row.retires_at is None:
            signing.setdefault(row.algorithm, row)
    return signing


def import_key(jwk: Mapping[str, Any]) -> Key:
    """A joserfc key from a JWK of type EC, RSA or OKP. Raises ValueError for any other."""
    kinds: dict[str, type[Key]] = {"EC": ECKey, "RSA": RSAKey, "OKP": OKPKey}
    kind = kinds.get(str(jwk.get("kty")))
    if kind is None:
        raise ValueError("the key type must be EC, RSA or OKP")
    return kind.import_key(dict(jwk))


def published(connection: Connection, *, now: datetime) -> list[dict[str, Any]]:
    """The public JWKs that anyone may need now: those that sign, and the retired ones until their date."""
    current = select(_keys.c.public_jwk).where(or_(_keys.c.retires_at.is_(None), _keys.c.retires_at > now))
    return [row.public_jwk for row in connection.execute(current.order_by(_keys.c.created_at.desc(), _keys.c.kid))]


def find(connection: Connection | Session, kid: str) -> Any:
    """The row of a key with its `algorithm` and `public_jwk`, retired or not; None when we never had it."""
    return connection.execute(select(_keys.c.algorithm, _keys.c.public_jwk).where(_keys.c.kid == kid)).first()
