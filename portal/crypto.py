"""Secrets: how they are made, how they are digested, and how what must be read again is encrypted at rest.

Tokens and client secrets are 256 random bits, so one SHA-256 is all the hashing they need; only passwords, which
people choose, go through argon2id (`accounts.passwords`).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

ACCESS_TOKEN = "cpat_"
REFRESH_TOKEN = "cprt_"
CODE = "cpac_"
CLIENT_SECRET = "cpcs_"
PUSHED_REQUEST = "cppr_"
PREFIXES = (ACCESS_TOKEN, REFRESH_TOKEN, CODE, CLIENT_SECRET, PUSHED_REQUEST)
"""What secret scanners look for; each kind of secret has its own."""

NONCE_BYTES = 12


class DecryptionError(ValueError):
    """What is stored was not encrypted under this key, or was changed since."""


def new_secret(prefix: str = "") -> str:
    """`prefix` and 256 random bits in base64url without padding, 43 characters."""
    return prefix + secrets.token_urlsafe(32)


def digest(secret: str) -> bytes:
    """SHA-256 of a secret; the 32 bytes that are stored in its place."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def same(left: bytes | str, right: bytes | str) -> bool:
    """Equality in constant time."""
    left = left.encode() if isinstance(left, str) else left
    right = right.encode() if isinstance(right, str) else right
    return hmac.compare_digest(left, right)


class Keyring:
    """The keys derived from `PORTAL_SECRET_KEY`, one per purpose, so that no purpose can be played against another."""

    def __init__(self, secret_key: str) -> None:
        self._secret_key = secret_key.encode()
        self._keys: dict[str, bytes] = {}

    def successor(self, refresh_token: str) -> str:
        """The one refresh token that follows `refresh_token`; the same for each call, and unguessable without the key."""
        mac = self.mac("refresh-successor", refresh_token)
        return REFRESH_TOKEN + base64.urlsafe_b64encode(mac).rstrip(b"=").decode()

    def mac(self, purpose: str, message: str) -> bytes:
        """A keyed digest of 32 bytes, for short secrets (recovery codes) and for look-ups that must not be guessed."""
        return hmac.digest(self._key(purpose), message.encode(), "sha256")

    def seal(self, purpose: str, message: str, size: int) -> bytes:
        """A keyed digest of `size` bytes for what is handed out and comes back: BLAKE2b (RFC 7693), a third of an HMAC's cost."""
        return hashlib.blake2b(message.encode(), key=self._key(purpose), digest_size=size).digest()

    def encrypt(self, purpose: str, plain: bytes) -> bytes:
        """AES-256-GCM under the key of `purpose`: 12 bytes nonce, then ciphertext and tag."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + AESGCM(self._key(purpose)).encrypt(nonce, plain, purpose.encode())

    def decrypt(self, purpose: str, stored: bytes) -> bytes:
        """The inverse of `encrypt`. Raises DecryptionError."""
        try:
            return AESGCM(self._key(purpose)).decrypt(stored[:NONCE_BYTES], stored[NONCE_BYTES:], purpose.encode())
        except InvalidTag:
            raise DecryptionError(f"what is stored for {purpose!r} does not open with PORTAL_SECRET_KEY") from None

    def _key(self, purpose: str) -> bytes:
        if purpose not in self._keys:
            hkdf = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"consent-portal:" + purpose.encode())
            self._keys[purpose] = hkdf.derive(self._secret_key)
        return self._keys[purpose]
